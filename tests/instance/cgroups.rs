//! Killing a cgroup whole in each kind of hierarchy, against processes that fork all the time.

use std::process::{Child, Command};

use gatehouse::im::cgroup::{Cgroups, Hierarchy, mounted};
use rustix::process::Pid;

use crate::Test;

pub(crate) const TESTS: &[Test] = &[
    ("forking_processes_are_killed_whole_in_v1", v1),
    ("forking_processes_are_killed_whole_in_v2", v2),
    ("a_killed_folder_leaves_its_neighbour_alone", neighbour),
    ("folders_are_made_while_their_neighbours_are_tidied", tidied_above),
];

/// Forks as fast as it can; its children live for a second.
fn forker() -> Child {
    Command::new("sh").args(["-c", "while :; do sleep 1 & sleep 0.01; done"]).spawn().unwrap()
}

fn killed_whole(kind: &str, of: impl Fn(&Hierarchy) -> bool) {
    let hierarchies: Vec<Hierarchy> = mounted().unwrap().into_iter().filter(of).collect();
    if hierarchies.is_empty() {
        eprintln!("\nSKIPPED: this host has no cgroup {kind}\n");
        return;
    }
    run(async {
        let cgroups = Cgroups::of(hierarchies, &format!("gatehouse-test/{kind}-{}", std::process::id()));
        cgroups.make("session").unwrap();
        let mut child = forker();
        cgroups.place("session", Pid::from_child(&child)).unwrap();
        while cgroups.processes("session").unwrap().len() < 10 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        cgroups.kill("session").await.unwrap();
        assert!(cgroups.processes("session").unwrap().is_empty());
        assert!(!child.wait().unwrap().success());
        cgroups.remove("").await.unwrap();
        cgroups.tidy_above();
        assert!(cgroups.children("").is_empty());
    });
}

fn v1() {
    killed_whole("v1", |it| matches!(it, Hierarchy::V1 { .. }));
}

fn v2() {
    killed_whole("v2", |it| matches!(it, Hierarchy::V2 { .. }));
}

fn neighbour() {
    run(async {
        let cgroups = Cgroups::new(&format!("gatehouse-test/n-{}", std::process::id())).unwrap();
        let mut children = Vec::new();
        for name in ["one", "two"] {
            cgroups.make(name).unwrap();
            let child = Command::new("sleep").arg("1000").spawn().unwrap();
            cgroups.place(name, Pid::from_child(&child)).unwrap();
            children.push(child);
        }
        let [one, two] = children.as_mut_slice() else { panic!("two children") };
        assert!(cgroups.holds("one", Pid::from_child(one)) && !cgroups.holds("two", Pid::from_child(one)));
        cgroups.kill("one").await.unwrap();
        assert!(!one.wait().unwrap().success());
        assert!(two.try_wait().unwrap().is_none());
        cgroups.kill("").await.unwrap();
        two.wait().unwrap();
        cgroups.remove("").await.unwrap();
        cgroups.tidy_above();
    });
}

/// Two instances of one manager, of which one ends whenever the other begins.
fn tidied_above() {
    let parent = format!("gatehouse-test/t-{}", std::process::id());
    let ends = || {
        let parent = parent.clone();
        move |name: &str| {
            let cgroups = Cgroups::new(&format!("{parent}/{name}")).unwrap();
            for _ in 0..500 {
                cgroups.make("").unwrap();
                run(async { cgroups.remove("").await.unwrap() });
                cgroups.tidy_above();
            }
        }
    };
    let (one, two) = (ends(), ends());
    std::thread::scope(|scope| {
        scope.spawn(move || one("one"));
        scope.spawn(move || two("two"));
    });
}

fn run(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

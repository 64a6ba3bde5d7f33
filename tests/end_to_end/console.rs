//! Consoles: a clone, a command in it, and nothing left, whoever is killed in the middle.

use std::io::Write;

use crate::cluster::{Cluster, eventually, is_root, read_until, wait};

#[test]
fn console_runs_in_a_clone_and_leaves_the_app_alone() {
    if !is_root("console") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(false);
    let before = cluster.does("tom", &["app", "show", "web", "--json"]).out;
    let traces = Traces::of(&cluster);

    let said = cluster.apc("tom", &["app", "console", "web", "--", "sh", "-c", "env; hostname; exit 5"]);
    assert_eq!(said.code, Some(5), "{said:?}");
    assert!(said.out.contains("GREETING=hello"), "{said:?}");

    eventually("nothing of the console is left", || Traces::of(&cluster) == traces);
    assert_eq!(cluster.does("tom", &["app", "show", "web", "--json"]).out, before);
    let trail = cluster.does("admin", &["audit", "tail", "--limit", "1000"]).out;
    assert!(trail.contains("console.created") && trail.contains("console.deleted"), "{trail}");
}

#[test]
fn image_without_a_shell_is_refused_with_the_reason() {
    if !is_root("console") {
        return;
    }
    let cluster = Cluster::start();
    let image = cluster.directory.join("single");
    std::fs::create_dir_all(image.join("bin")).unwrap();
    std::fs::copy("/bin/busybox", image.join("bin/httpd")).unwrap();
    cluster.does("tom", &["package", "import", image.to_str().unwrap(), "--name", "single"]);
    cluster.does("tom", &["app", "create", "lone", "--package", "single", "--", "/bin/httpd", "-f", "-p", "8080"]);
    cluster.does("tom", &["app", "start", "lone"]);
    let said = cluster.apc("tom", &["app", "console", "lone"]);
    assert_eq!(said.code, Some(255), "{said:?}");
    assert!(said.err.contains("no shell"), "{said:?}");
    eventually("no clone is left", || !cluster.does("tom", &["job", "list"]).out.contains("-console-"));
}

#[test]
fn killed_client_leaves_no_clone() {
    if !is_root("console") {
        return;
    }
    let cluster = Cluster::start();
    cluster.deploy(false);
    let traces = Traces::of(&cluster);
    let mut console = open_console(&cluster);
    assert_ne!(Traces::of(&cluster), traces);
    console.kill().unwrap();
    wait(&mut console);
    eventually("nothing of the console is left", || Traces::of(&cluster) == traces);
}

#[test]
fn killed_servers_leave_no_clone() {
    if !is_root("console") {
        return;
    }
    // A lease of two seconds instead of thirty: the sweeper waits one out.
    let mut cluster = Cluster::start_with("\n[console]\nlease_ms = 2000\n");
    cluster.deploy(false);
    let traces = Traces::of(&cluster);
    let mut console = open_console(&cluster);
    cluster.kill();
    assert_eq!(wait(&mut console).code(), Some(255));
    cluster.restart();
    eventually("nothing of the console is left", || Traces::of(&cluster) == traces);
    let web = cluster.does("tom", &["app", "show", "web"]).out;
    assert!(web.contains("started"), "{web}");
}

/// A console with a shell that has answered.
fn open_console(cluster: &Cluster) -> std::process::Child {
    let mut console = cluster.spawn("tom", &["app", "console", "web"]);
    let mut stdin = console.stdin.take().unwrap();
    stdin.write_all(b"echo inside\n").unwrap();
    read_until(console.stdout.as_mut().unwrap(), "inside\n");
    // Kept open by the child handle's end of life, so that the shell does not end by itself.
    console.stdin = Some(stdin);
    console
}

/// What an instance leaves in the kernel's tables, and a job in the store.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    jobs: Vec<String>,
    links: usize,
    nat_elements: usize,
    mounts: usize,
}

impl Traces {
    fn of(cluster: &Cluster) -> Self {
        let jobs: serde_json::Value =
            serde_json::from_str(&cluster.does("tom", &["job", "list", "--json"]).out).unwrap();
        let jobs = jobs.as_array().unwrap().iter().map(|it| it["fqn"].as_str().unwrap().to_owned()).collect();
        let links = cluster.namespace.run("ip", &["-o", "link"]).lines().filter(|it| it.contains('@')).count();
        let rules = cluster.namespace.run("nft", &["list", "ruleset"]);
        let nat_elements = rules.matches(" . 222").count();
        let directory = cluster.directory.display().to_string();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        Self { jobs, links, nat_elements, mounts: mounts.lines().filter(|it| it.contains(&directory)).count() }
    }
}

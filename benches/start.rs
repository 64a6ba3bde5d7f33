//! What a start costs until the first decision: documents compiled, or the compiled set mapped from the file it was kept in.
//!
//! `make bench` runs it. It runs itself anew for each start, because a process that has compiled or unsealed once is warm. The
//! file's pages are in memory, as after a restart of the program alone. `GATEHOUSE_POLICIES` says of how many policies.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod sandboxes;

use std::{env, fs, path::Path, process::Command, time::Instant};

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Claim, Fact, verdict_of_text},
    gate::{Kept, Snapshot},
};

use crate::sandboxes::{ByHand, sources};

const POLICIES: usize = 1_000_000;
const STARTS: usize = 11;

/// Who asks, and for what.
fn question(policies: usize) -> (String, String) {
    let user = policies / 2 + 1;
    (format!("user-{user}"), format!("job::/sandbox/user-{user}::web"))
}

fn is_let_in(set: &PolicySet, policies: usize) -> bool {
    let (name, target) = question(policies);
    let facts = [Fact { issuer: "auth_server@apcera.me", claim_type: "name", value: name.as_str() }];
    let want = [Claim { claim_type: "permit", value: "ssh" }];
    verdict_of_text(set, &facts, &target, &want).unwrap().is_allowed()
}

/// One start, in milliseconds.
fn start(folder: &Path, policies: usize, way: &str) -> f64 {
    let start = Instant::now();
    match way {
        "kept" => {
            let set = Kept::open(folder).take().unwrap();
            assert!(is_let_in(&set.set, policies));
            start.elapsed().as_secs_f64() * 1e3
        }
        "by hand" => {
            let map = ByHand::new(policies);
            let (name, target) = question(policies);
            assert!(map.allows(&target, &name));
            start.elapsed().as_secs_f64() * 1e3
        }
        _ => compiled(folder, policies),
    }
}

/// A start without a file, which leaves one.
fn compiled(folder: &Path, policies: usize) -> f64 {
    let sources = sources(policies);
    let start = Instant::now();
    let set = compile(&sources, System::Included).unwrap();
    assert!(is_let_in(&set, policies));
    let took = start.elapsed().as_secs_f64() * 1e3;
    let mut kept = Kept::open(folder);
    if kept.take().is_none() {
        kept.keep(&Snapshot::first(1, set));
    }
    took
}

fn median(folder: &Path, policies: usize, way: &str, starts: usize) -> f64 {
    let one = |_| {
        let own = Command::new(env::current_exe().unwrap()).arg(folder).arg(policies.to_string()).arg(way).output();
        let told = String::from_utf8(own.unwrap().stdout).unwrap();
        told.trim().parse::<f64>().unwrap()
    };
    let mut times: Vec<f64> = (0..starts).map(one).collect();
    times.sort_by(f64::total_cmp);
    times.get(starts / 2).copied().unwrap()
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, folder, policies, way] = arguments.as_slice() {
        println!("{}", start(Path::new(folder), policies.parse().unwrap(), way));
        return;
    }
    let policies = env::var("GATEHOUSE_POLICIES").map_or(POLICIES, |it| it.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let anew = median(folder.path(), policies, "anew", 3);
    let bytes = fs::metadata(folder.path().join("policy-set")).unwrap().len();
    let kept = median(folder.path(), policies, "kept", STARTS);
    let by_hand = median(folder.path(), policies, "by hand", 3);
    println!("{:<58} {:>9} {:>8}", format!("{policies} policies, until the first decision"), "ms", "of anew");
    let row = |what: &str, took: f64| println!("{what:<58} {took:>9.1} {:>8.4}", took / anew);
    row("documents in memory compiled", anew);
    row(&format!("a file of {} MB mapped, all of it checked", bytes / 1_000_000), kept);
    row("a hash map filled by hand", by_hand);
}

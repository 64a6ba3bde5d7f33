//! What a whole session costs through the gate, beside `ssh` straight to a stock sshd and `ssh -J` through a second one.
//!
//! `make bench-gate` runs it, as root. Everything is real: `apcd all` with a container, OpenSSH's client and server, all on
//! the loopback of a network namespace of its own. Ours is the whole way: client, router with TLS, API server, instance. The
//! three take turns within each round, so that what disturbs one disturbs the others; what counts is how they stand to each
//! other. Intervals are of 95 % by a bootstrap over whole rounds, with a fixed seed. `GATEHOUSE_MEASURES` names the measures
//! to take (all if it is not given); nothing fails because it is slow.
//!
//! The sshd is Debian's with its defaults, but without PAM and with logins by key only, which makes it faster. All programs
//! at the far end are the same busybox, run by a user of the same number. The network namespace is entered once by the bench,
//! so that no client pays for that.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    let_underscore_drop,
    unreachable_pub,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod bulk;
#[path = "../../tests/end_to_end/cluster.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod cluster;
mod connect;
mod goals;
mod keystroke;
mod memory;
mod processes;
mod router;
mod servers;
mod statistics;
mod ways;

use std::{env, fs, path::Path};

use serde_json::{Value, json};

use crate::{cluster::is_root, goals::Goal, ways::Ways};

/// A measure: it prints its table, and answers what it found and how that stands to the goals.
type Measure = fn(&Ways) -> (Value, Vec<Goal>);

/// Memory goes first: what the others take and give back would hide what sessions need.
const MEASURES: [(&str, Measure); 4] = [
    ("memory", memory::measure),
    ("connect", connect::measure),
    ("keystroke", keystroke::measure),
    ("bulk", bulk::measure),
];

fn main() {
    if !is_root("make bench-gate") {
        return;
    }
    let chosen = env::var("GATEHOUSE_MEASURES").ok();
    let is_chosen = |name: &str| chosen.as_ref().is_none_or(|it| it.split(',').any(|it| it == name));
    let load_before = load();
    let ways = Ways::open();
    println!("three ways to one busybox on this machine; load before it began: {load_before}");
    let mut found = serde_json::Map::from_iter([("load_before".to_owned(), json!(load_before))]);
    let mut goals = Vec::new();
    for (name, measure) in MEASURES.into_iter().filter(|(name, _)| is_chosen(name)) {
        let (result, of_it) = measure(&ways);
        found.insert(name.to_owned(), result);
        goals.extend(of_it);
    }
    println!("\ngoals");
    for goal in &goals {
        println!("{goal}");
    }
    found.insert("goals".to_owned(), goals.iter().map(Goal::json).collect());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/gate.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, serde_json::to_string_pretty(&found).unwrap()).unwrap();
}

/// Runnable processes of the last minute, on average: on a busy machine the times are of little worth.
fn load() -> String {
    let all = fs::read_to_string("/proc/loadavg").unwrap();
    all.split(' ').next().unwrap().to_owned()
}

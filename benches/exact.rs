//! How many instructions a decision takes: the same on a noisy machine, so that a change of one in a hundred is seen.
//!
//! `make bench-exact` runs it. It runs itself under callgrind, once for each way to ask; what is counted is [`counted`] and
//! what it calls.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod sandboxes;

use std::{env, hint::black_box, process::Command};

use gatehouse::{
    compile::{System, compile},
    eval::{Claim, Fact, Principal, verdict_for, verdict_of_text},
};

use crate::sandboxes::{ByHand, ROLE_EVERY, sources};

/// How many policies the set has, and how often each way is asked.
const POLICIES: usize = 10_000;
const CALLS: usize = 500;

/// Ways to ask, and whether the user asks for their own sandbox.
const WAYS: [(&str, bool); 8] = [
    ("by hand", true),
    ("prepared", true),
    ("prepared", false),
    ("prepared, 50 groups", true),
    ("text", true),
    ("text", false),
    ("text, 4 facts", true),
    ("text, 54 facts", true),
];

/// The call that callgrind looks for by its name.
#[inline(never)]
fn counted(ask: &dyn Fn() -> bool) -> bool {
    black_box(ask())
}

fn run(way: &str, own: bool) {
    let set = compile(&sources(POLICIES), System::Included).unwrap();
    let by_hand = ByHand::new(POLICIES);
    let want = [Claim { claim_type: "permit", value: "ssh" }];
    let groups = match way {
        "prepared, 50 groups" => 50,
        "text, 4 facts" => 3,
        "text, 54 facts" => 53,
        _ => 0,
    };
    let users = (0..POLICIES).map(|it| it * 7_919 % POLICIES).filter(|it| it % ROLE_EVERY > 1).take(CALLS);
    for user in users {
        let target = format!("job::/sandbox/user-{user}::web");
        let name = format!("user-{}", if own { user } else { user - 1 });
        let mut facts: Vec<Fact> = (0..groups).map(|at| Fact::new("LDAP", "group", format!("group-{at}"))).collect();
        facts.push(Fact::new("auth_server@apcera.me", "name", &name));
        let texts: Vec<Fact<&str>> = facts.iter().map(Fact::as_text).collect();
        let principal = Principal::new(facts.clone(), None).unwrap();
        let prepared = || verdict_for(&set, &principal, &target, &want).unwrap().is_allowed();
        let text = || verdict_of_text(&set, &texts, &target, &want).unwrap().is_allowed();
        let hand = || by_hand.allows(&target, &name);
        let ask: &dyn Fn() -> bool = match way {
            "by hand" => &hand,
            "prepared" | "prepared, 50 groups" => &prepared,
            _ => &text,
        };
        assert_eq!(counted(ask), own);
    }
}

/// Instructions of one call, as callgrind counts them.
fn instructions(at: usize) -> f64 {
    let arguments = ["--tool=callgrind", "--toggle-collect=*counted*", "--callgrind-out-file=/dev/null"];
    let output = Command::new("valgrind").args(arguments).arg(env::current_exe().unwrap()).arg(at.to_string()).output();
    let output = output.expect("valgrind is installed by `make bench-exact`");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let collected = told.lines().find_map(|line| line.split_once("Collected :")).unwrap().1;
    collected.trim().parse::<f64>().unwrap() / f64::from(u32::try_from(CALLS).unwrap())
}

fn main() {
    if let Some((way, own)) = env::args().nth(1).and_then(|it| it.parse().ok()).and_then(|it: usize| WAYS.get(it)) {
        return run(way, *own);
    }
    let by_hand = instructions(0);
    println!("{:<22} {:>8} {:>14} {:>10}   ({POLICIES} policies)", "", "answer", "instructions", "x by hand");
    for (at, (way, own)) in WAYS.iter().enumerate() {
        let counted = if at == 0 { by_hand } else { instructions(at) };
        let answer = if *own { "allow" } else { "deny" };
        println!("{way:<22} {answer:>8} {counted:>14.1} {:>10.2}", counted / by_hand);
    }
}

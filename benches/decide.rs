//! What a verdict costs, beside the same question answered by a hash look-up written by hand, from ten policies to a million.
//!
//! `make bench` runs it. Both are asked the same questions in turn, so that what disturbs one disturbs the other; what
//! counts is how they stand to each other. `GATEHOUSE_POLICIES` is the largest set (100,000 if it is not given).
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod sandboxes;

use std::{
    array::from_fn,
    env, fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use gatehouse::{
    compile::{PolicySet, System, compile_parsed},
    eval::{Claim, Fact, Principal, verdict_for},
    syntax::{Parse, parse},
};
use serde_json::{Value, json};

use crate::sandboxes::{ByHand, ROLE_EVERY, sources};

const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Questions that a bench goes through, spread over the whole set.
const QUESTIONS: usize = 4_096;

/// Calls that are timed as one where the median is asked for, and rounds of all questions.
const BATCH: usize = 32;
const ROUNDS: usize = 40;

/// Someone who wants into a sandbox.
struct Question {
    target: String,
    name: String,
    principal: Principal,
}

/// Questions about sandboxes all over the set: everyone's own, or that of the one before them.
fn questions(policies: usize, own: bool, facts: &[Fact]) -> Vec<Question> {
    // A prime that divides no size, so that the users come in an order of no pattern.
    let users = (0..QUESTIONS).map(|at| at * 7_919 % policies).filter(|it| it % ROLE_EVERY > 1);
    let question = |user: usize| {
        let name = format!("user-{}", if own { user } else { user - 1 });
        let mut facts = facts.to_vec();
        facts.push(Fact::new("auth_server@apcera.me", "name", &name));
        let principal = Principal::new(facts, None).unwrap();
        Question { target: format!("job::/sandbox/user-{user}::web"), name, principal }
    };
    users.map(question).collect()
}

/// Nanoseconds of one call: the median of many, and what 99 in a hundred stay below.
#[derive(Debug, Clone, Copy)]
struct Cost {
    p50: f64,
    p99: f64,
}

/// Times several ways to answer the same questions, in turn.
fn costs<const N: usize>(questions: &[Question], ways: [&dyn Fn(&Question) -> bool; N], expected: bool) -> [Cost; N] {
    let mut times: [(Vec<f64>, Vec<Duration>); N] = from_fn(|_| Default::default());
    for round in 0..ROUNDS {
        for (way, (batches, singles)) in ways.iter().zip(&mut times) {
            if round % 2 == 0 {
                for batch in questions.chunks_exact(BATCH) {
                    let start = Instant::now();
                    for question in batch {
                        assert_eq!(way(black_box(question)), expected);
                    }
                    batches.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
                }
            } else {
                for question in questions {
                    let start = Instant::now();
                    assert_eq!(way(black_box(question)), expected);
                    singles.push(start.elapsed());
                }
            }
        }
    }
    times.map(|(batches, singles)| Cost {
        p50: at_rank(batches, 50, f64::total_cmp),
        p99: at_rank(singles, 99, Duration::cmp).saturating_sub(timer()).as_nanos() as f64,
    })
}

/// What so many in a hundred do not exceed.
fn at_rank<T: Copy>(mut all: Vec<T>, percent: usize, order: fn(&T, &T) -> std::cmp::Ordering) -> T {
    all.sort_unstable_by(order);
    all.get(all.len() * percent / 100).copied().unwrap()
}

/// What reading the clock takes.
fn timer() -> Duration {
    at_rank((0..10_000).map(|_| Instant::now().elapsed()).collect(), 50, Duration::cmp)
}

/// Facts of a principal beside the name.
fn many_facts(groups: usize) -> Vec<Fact> {
    (0..groups).map(|at| Fact::new("LDAP", "group", format!("group-{at}"))).collect()
}

fn build(policies: usize) -> (PolicySet, Duration, Duration) {
    let sources = sources(policies);
    let start = Instant::now();
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    let reading = start.elapsed();
    let set = compile_parsed(&sources, &parsed, System::Included).unwrap();
    (set, reading, start.elapsed())
}

fn row(policies: usize, set: &PolicySet, loading: (Duration, Duration)) -> Value {
    let by_hand = ByHand::new(policies);
    let want = [Claim::permit("ssh")];
    let hand = |it: &Question| by_hand.allows(&it.target, &it.name);
    let gatehouse = |it: &Question| verdict_for(set, &it.principal, &it.target, &want).unwrap().is_allowed();
    let [hand_allow, allow] = costs(&questions(policies, true, &[]), [&hand, &gatehouse], true);
    let [hand_deny, deny] = costs(&questions(policies, false, &[]), [&hand, &gatehouse], false);
    let [groups] = costs(&questions(policies, true, &many_facts(50)), [&gatehouse], true);
    println!(
        "{policies:>9} {:>9.0} {:>7.2}x {:>7.1}x {:>9.0} {:>7.2}x {:>7.2}x {:>9.0} {:>9.0} {:>9.0}",
        hand_allow.p50,
        allow.p50 / hand_allow.p50,
        allow.p99 / allow.p50,
        hand_deny.p50,
        deny.p50 / hand_deny.p50,
        groups.p50 / allow.p50,
        loading.0.as_secs_f64() * 1e3,
        loading.1.as_secs_f64() * 1e3,
        set.layout_bytes() as f64 / policies as f64,
    );
    let cost = |it: Cost| json!({ "p50_ns": it.p50, "p99_ns": it.p99 });
    json!({
        "policies": policies,
        "by_hand": { "allow": cost(hand_allow), "deny": cost(hand_deny) },
        "gatehouse": { "allow": cost(allow), "deny": cost(deny), "fifty_groups": cost(groups) },
        "read_ms": loading.0.as_secs_f64() * 1e3,
        "load_ms": loading.1.as_secs_f64() * 1e3,
        "layout_bytes": set.layout_bytes(),
    })
}

fn main() {
    let most = env::var("GATEHOUSE_POLICIES").map_or(100_000, |it| it.parse().unwrap());
    println!("by hand: a hash map from namespace to owner; x: times the column before or what its name says");
    println!(
        "{:>9} {:>9} {:>8} {:>8} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}",
        "policies", "allow, ns", "ours", "p99/p50", "deny, ns", "ours", "50 facts", "read, ms", "load, ms", "bytes"
    );
    let mut rows = Vec::new();
    for policies in SIZES.into_iter().filter(|it| *it <= most) {
        let (set, reading, loading) = build(policies);
        rows.push(row(policies, &set, (reading, loading)));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/decide.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        &path,
        serde_json::to_string_pretty(&json!({ "timer_ns": timer().as_nanos() as f64, "rows": rows })).unwrap(),
    )
    .unwrap();
    let last = rows.last().unwrap();
    let p50 = |who: &str| last.pointer(&format!("/{who}/allow/p50_ns")).and_then(Value::as_f64).unwrap();
    println!(
        "gatehouse / hand-written at {}: {:.2}   (reading the clock takes {:?}, taken off p99)",
        last.get("policies").unwrap(),
        p50("gatehouse") / p50("by_hand"),
        timer()
    );
}

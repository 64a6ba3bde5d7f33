//! What reading, compiling, linting and deciding cost, beside the same question answered by a hash look-up written by hand.
//!
//! `make bench` runs it and ends with one table. Times say something only in relation to each other: they come from one
//! run on one machine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod estimates;
mod sandboxes;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use gatehouse::{
    compile::{PolicySet, System, compile_parsed},
    eval::{Claim, Fact, Request, decide},
    lint::lint,
    source::Source,
    syntax::{Parse, parse},
};

use crate::{
    estimates::median,
    sandboxes::{ByHand, ROLE_EVERY, sources},
};

/// How many policies a set has.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

fn read(sources: &[Source]) -> Vec<Parse> {
    sources.iter().map(parse).collect()
}

fn build(sources: &[Source], parsed: &[Parse]) -> PolicySet {
    compile_parsed(sources, parsed, System::Included).unwrap()
}

/// The users in the middle of the set, none of them one that a role lets in.
fn users(policies: usize) -> Vec<usize> {
    (0..64).map(|at| (at * 7_919 + 1) % policies).filter(|it| it % ROLE_EVERY != 0).collect()
}

fn request(user: usize, asker: usize) -> Request {
    let facts = vec![Fact::new("auth_server@apcera.me", "name", format!("user-{asker}"))];
    Request::new(&format!("job::/sandbox/user-{user}::web"), facts, vec![Claim::permit("ssh")], None).unwrap()
}

fn documents(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("documents");
    for size in SIZES {
        let sources = sources(size);
        let parsed = read(&sources);
        let bytes: usize = sources.iter().map(|it| it.text().len()).sum();
        group.throughput(Throughput::Bytes(u64::try_from(bytes).unwrap()));
        group.bench_with_input(BenchmarkId::new("parse", size), &sources, |bench, it| bench.iter(|| read(it)));
        let both = (&sources, &parsed);
        group.bench_with_input(BenchmarkId::new("compile", size), &both, |bench, it| bench.iter(|| build(it.0, it.1)));
        group.bench_with_input(BenchmarkId::new("lint", size), &both, |bench, it| {
            bench.iter(|| lint(it.0, it.1, System::Included));
        });
    }
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for size in SIZES {
        let sources = sources(size);
        let set = build(&sources, &read(&sources));
        let allowed: Vec<Request> = users(size).into_iter().map(|it| request(it, it)).collect();
        let denied: Vec<Request> = users(size).into_iter().map(|it| request(it, it + 1)).collect();
        assert!(allowed.iter().all(|it| decide(&set, it).is_allowed()));
        assert!(!denied.iter().any(|it| decide(&set, it).is_allowed()));
        let mut next = allowed.iter().cycle();
        group.bench_function(BenchmarkId::new("allow", size), |bench| {
            bench.iter(|| decide(&set, black_box(next.next().unwrap())));
        });
        let mut next = denied.iter().cycle();
        group.bench_function(BenchmarkId::new("deny", size), |bench| {
            bench.iter(|| decide(&set, black_box(next.next().unwrap())));
        });
        let by_hand = ByHand::new(size);
        let questions: Vec<(String, String)> =
            users(size).into_iter().map(|it| (format!("job::/sandbox/user-{it}::web"), format!("user-{it}"))).collect();
        let mut next = questions.iter().cycle();
        group.bench_function(BenchmarkId::new("by hand", size), |bench| {
            bench.iter(|| {
                let (target, name) = black_box(next.next().unwrap());
                assert!(by_hand.allows(target, name));
            });
        });
    }
}

/// The table, each time divided by what the look-up by hand took in the same run.
fn tell() {
    println!("\n{:>9} {:>16} {:>16} {:>16}   (times the look-up by hand)", "policies", "by hand, ns", "allow", "deny");
    for size in SIZES {
        let by_hand = median("decide", "by hand", size).unwrap();
        let ratio = |what| median("decide", what, size).unwrap() / by_hand;
        println!("{size:>9} {by_hand:>16.0} {:>15.1}x {:>15.1}x", ratio("allow"), ratio("deny"));
    }
    println!("\n{:>9} {:>16} {:>16} {:>16}   (nanoseconds a policy)", "policies", "parse", "compile", "lint");
    for size in SIZES {
        let each = |what| median("documents", what, size).unwrap() / f64::from(u32::try_from(size).unwrap());
        println!("{size:>9} {:>16.0} {:>16.0} {:>16.0}", each("parse"), each("compile"), each("lint"));
    }
}

criterion_group!(benches, documents, decisions);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    tell();
}

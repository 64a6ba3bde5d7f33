//! What answers cost where documents are made to be slow: many rules on the one target that is asked about.
//!
//! `make bench` runs it and ends with one table, in which times divided by N show how they grow. Each set is asked so that
//! none of its rules holds, and so that the last one alone does; both ways to ask have to give the answer that is expected.
//!
//! One bound is the same for all: a verdict costs at most `COST_MAX` steps (`src/eval/verdict/ask.rs`), and what has no
//! answer by then, or does not fit into its fixed room, is decided as usual. So a verdict costs at most a decision and a
//! constant, and what is to be said of is a decision. It looks at each rule on the target once. Comparisons of a part of a
//! value are looked for at once, in one pass over the value: those of facts by a verdict as well, those of claims, and of
//! many facts, by a decision. By set:
//!
//! | set | rules on the target | a verdict | a decision |
//! | --- | --- | --- | --- |
//! | `begins with`, `contains`, `matches` | N comparisons of a part of a value | one pass over the value, whatever N is | N |
//! | `one role` | N groups give the role that is asked for | a look-up, whatever N is | N |
//! | `role chain` | N roles, each by the one before | some roles, then a decision | N |
//! | `everything` | N roles by every kind of condition, each gives the permit | some roles, then a decision | N |
//! | `roles by prefix` | N roles, and N comparisons of a part of them | some roles, then a decision | N |
//! | `mixed realms` | N realms: all mixtures of literals and variables | some realms, then a decision | N |
//!
//! Nothing is a square, but for networks, order and inequality: N such comparisons of M facts are M * N tries. Names of k
//! segments have 2^k mixtures, and each of them is a policy that someone wrote: N counts those, so that a long name by
//! itself makes nothing slow.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and its table is what it is for"
)]

mod estimates;

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group};
use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Claim, Fact, Principal, Request, decide, verdict_for},
    source::Source,
};

use crate::estimates::median;

/// How many rules a set has.
const SIZES: &[usize] = &[100, 1_000, 10_000, 100_000];

/// How many realms all mixtures of 2, 4, 6, 8 and 13 levels are.
const MIXTURES: &[usize] = &[4, 16, 64, 256, 8_192];

/// A set of N rules.
struct Set {
    name: &'static str,
    sizes: &'static [usize],
    world: fn(usize) -> World,
}

const SETS: [Set; 8] = [
    Set { name: "begins with", sizes: SIZES, world: begins_with },
    Set { name: "contains", sizes: SIZES, world: contains },
    Set { name: "matches", sizes: SIZES, world: matches },
    Set { name: "one role", sizes: SIZES, world: one_role },
    Set { name: "role chain", sizes: SIZES, world: role_chain },
    Set { name: "everything", sizes: SIZES, world: everything },
    Set { name: "roles by prefix", sizes: SIZES, world: roles_by_prefix },
    Set { name: "mixed realms", sizes: MIXTURES, world: mixed_realms },
];

/// Documents and whom to ask about.
struct World {
    sources: Vec<Source>,
    target: String,
    /// With this fact the permit comes by the last rule alone.
    last: Fact,
    /// With this one it does not come, and that is not seen at once.
    none: Fact,
}

const REALM: &str = "job::/sandbox";
const TARGET: &str = "job::/sandbox/tom::web";

/// Rules and policies in one document; so many of ours are far smaller than a document may be.
const DOCUMENT_LINES: usize = 1_000;

/// What all values begin with, so that nothing differs at once.
const STEM: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Rules on the one realm, many of them in each pair of braces.
fn on_realm(rules: &[String], last: Fact, none: Fact) -> World {
    let text = |it: &[String]| format!("{REALM} {{\n{}\n}}\n", it.join("\n"));
    World { sources: documents(rules, text), target: TARGET.to_owned(), last, none }
}

fn documents(lines: &[String], text: impl Fn(&[String]) -> String) -> Vec<Source> {
    let parts = lines.chunks(DOCUMENT_LINES).enumerate();
    parts.map(|(at, it)| Source::new(format!("part-{at:03}.pol"), text(it).into_bytes()).unwrap()).collect()
}

fn group(value: impl AsRef<str>) -> Fact {
    Fact::new("LDAP", "group", value.as_ref())
}

fn begins_with(count: usize) -> World {
    let rule = |at| format!("if (LDAP->group beginsWith \"{STEM}-{at}-\") {{ permit ssh }}");
    let rules: Vec<String> = (0..count).map(rule).collect();
    on_realm(&rules, group(format!("{STEM}-{}-x", count - 1)), group(format!("{STEM}-x")))
}

fn contains(count: usize) -> World {
    let rule = |at| format!("if (LDAP->group contains \"aaaaaaaa-{at}-\") {{ permit ssh }}");
    let rules: Vec<String> = (0..count).map(rule).collect();
    on_realm(&rules, group(format!("{STEM}-{}-x", count - 1)), group(format!("{STEM}-x")))
}

fn matches(count: usize) -> World {
    let rule = |at| format!("if (LDAP->group matches \"*a*aa*a?-{at}-*\") {{ permit ssh }}");
    let rules: Vec<String> = (0..count).map(rule).collect();
    on_realm(&rules, group(format!("{STEM}-{}-x", count - 1)), group(format!("{STEM}-x")))
}

fn one_role(count: usize) -> World {
    let rule = |at| format!("if (LDAP->group == \"g{at}\") {{ role operator }}");
    let mut rules: Vec<String> = (0..count).map(rule).collect();
    rules.push("if (role == operator) { permit ssh }".to_owned());
    on_realm(&rules, group(format!("g{}", count - 1)), group(format!("g{count}")))
}

/// Backwards, so that reading in order would find one link each time.
fn role_chain(count: usize) -> World {
    let link = |at| format!("if (role == r{at}) {{ role r{} }}", at + 1);
    let mut rules = vec![format!("if (role == r{count}) {{ permit ssh }}")];
    rules.extend((0..count).rev().map(link));
    rules.push("if (LDAP->group == ops) { role r0 }".to_owned());
    on_realm(&rules, group("ops"), group("dev"))
}

fn everything(count: usize) -> World {
    let rule = |at: usize| {
        let condition = match at % 8 {
            0 => format!("LDAP->group == \"{STEM}-{at}-x\""),
            1 => format!("LDAP->group beginsWith \"{STEM}-{at}-\""),
            2 => format!("LDAP->group endsWith \"a-{at}-x\""),
            3 => format!("LDAP->group contains \"a-{at}-\""),
            4 => format!("LDAP->group matches \"*a-{at}-?\""),
            5 => format!("LDAP->group in (\"g{at}\", \"{STEM}-{at}-x\")"),
            6 => format!("LDAP->group beginsWith \"{STEM}\" && LDAP->group contains \"-{at}-\""),
            _ => format!("LDAP->group == \"g{at}\" || LDAP->group endsWith \"-{at}-x\""),
        };
        format!("if ({condition}) {{ role r{at} }}\nif (role == r{at}) {{ permit ssh }}")
    };
    let rules: Vec<String> = (0..count).map(rule).collect();
    on_realm(&rules, group(format!("{STEM}-{}-x", count - 1)), group(format!("{STEM}-x")))
}

/// Whoever is asked about has all roles, and none of them, or one more, begins as some rule wants it.
fn roles_by_prefix(count: usize) -> World {
    let rule = |at| {
        format!("if (LDAP->group in (all, last)) {{ role r{at} }}\nif (role beginsWith \"x{at}-\") {{ permit ssh }}")
    };
    let mut rules: Vec<String> = (0..count).map(rule).collect();
    rules.push(format!("if (LDAP->group == last) {{ role x{}-y }}", count - 1));
    on_realm(&rules, group("last"), group("all"))
}

/// All realms of so many levels as make `count` of them, each level a literal or a variable.
fn mixed_realms(count: usize) -> World {
    let levels = count.ilog2();
    let policy = |mixture: usize| {
        let segment = |level| if mixture >> level & 1 == 0 { format!("/s{level}") } else { format!("/[v{level}]") };
        let realm: String = (0..levels).map(segment).collect();
        format!("job::{realm} {{ if (LDAP->group == \"g{mixture}\") {{ permit ssh }} }}")
    };
    let policies: Vec<String> = (0..count).map(policy).collect();
    let segments: Vec<String> = (0..levels).map(|it| format!("s{it}")).collect();
    World {
        sources: documents(&policies, |it| it.join("\n")),
        target: format!("job::/{}::web", segments.join("/")),
        last: group(format!("g{}", count - 1)),
        none: group(format!("g{count}")),
    }
}

/// What is asked, as its row says it, and whether the answer is yes.
const ASKED: [(&str, bool); 2] = [("none", false), ("last", true)];

fn adversarial(criterion: &mut Criterion) {
    for Set { name, sizes, world } in SETS {
        let mut group = criterion.benchmark_group(group_name(name));
        // A hundred thousand rules take milliseconds, and their growth is seen in few samples.
        group.sampling_mode(SamplingMode::Flat).sample_size(10).nresamples(2_000);
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
        for size in sizes {
            let world = world(*size);
            let set = compile(&world.sources, System::Included).unwrap();
            for (asked, expected) in ASKED {
                let facts = vec![if expected { world.last.clone() } else { world.none.clone() }];
                let want = [Claim::permit("ssh")];
                let principal = Principal::new(facts.clone(), None).unwrap();
                let request = Request::new(&world.target, facts, want.to_vec(), None).unwrap();
                let verdict =
                    |set: &PolicySet| verdict_for(set, &principal, &world.target, &want).unwrap().is_allowed();
                let decision = |set: &PolicySet| decide(set, &request).is_allowed();
                assert_eq!((verdict(&set), decision(&set)), (expected, expected), "{name} {size} {asked}");
                group.bench_function(BenchmarkId::new(format!("verdict {asked}"), size), |bench| {
                    bench.iter(|| verdict(black_box(&set)));
                });
                group.bench_function(BenchmarkId::new(format!("decide {asked}"), size), |bench| {
                    bench.iter(|| decision(black_box(&set)));
                });
            }
        }
    }
}

fn group_name(set: &str) -> String {
    format!("adversarial {set}")
}

/// The table; what a filter left out has no row.
fn tell() {
    println!(
        "\n{:<16} {:>7} {:>6} {:>14} {:>14} {:>10} {:>10}   (nanoseconds)",
        "set", "N", "holds", "verdict", "decide", "verdict/N", "decide/N"
    );
    for Set { name, sizes, .. } in SETS {
        for (size, (asked, _)) in sizes.iter().flat_map(|size| ASKED.map(|it| (*size, it))) {
            let time = |way| median(&group_name(name), &format!("{way} {asked}"), size);
            let Some((verdict, decision)) = time("verdict").zip(time("decide")) else { continue };
            let each = |it: f64| it / f64::from(u32::try_from(size).unwrap());
            println!(
                "{name:<16} {size:>7} {asked:>6} {verdict:>14.0} {decision:>14.0} {:>10.2} {:>10.2}",
                each(verdict),
                each(decision)
            );
        }
    }
}

criterion_group!(benches, adversarial);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    tell();
}

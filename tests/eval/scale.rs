//! Large sets: what is linear must stay so. The bounds are far above what is needed and far below what a square would take.

use std::{fs, time::Duration};

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Claim, Decision, Fact, Now, Request, decide, denial},
    source::Source,
};

use crate::cases::source;

/// A square of the sizes below takes minutes.
const LONG: Duration = Duration::from_secs(20);

/// Packs policies into as many documents as they need.
fn set(policies: impl Iterator<Item = String>) -> PolicySet {
    let mut documents = vec![String::new()];
    for policy in policies {
        if documents.last().unwrap().len() + policy.len() > 500_000 {
            documents.push(String::new());
        }
        documents.last_mut().unwrap().push_str(&policy);
    }
    let sources: Vec<Source> =
        documents.iter().enumerate().map(|(at, text)| source(&format!("d{at:03}.pol"), text)).collect();
    compile(&sources, System::LeftOut).unwrap()
}

fn request(facts: Vec<Fact>) -> Request {
    Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("read")], None).unwrap()
}

fn timed(set: &PolicySet, request: &Request) -> Decision {
    let start = Spent::now();
    let decision = decide(set, request);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    decision
}

/// What this thread has had of the processor: other tests, and whoever else is on the machine, are not counted.
struct Spent(Duration);

impl Spent {
    fn now() -> Self {
        let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Self(Duration::from_nanos(told.split_whitespace().next().unwrap().parse().unwrap()))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

#[test]
fn a_hundred_thousand_rules_on_one_realm_are_decided() {
    let rule = |at| format!("if (LDAP->group == g{at}) {{ permit read }}\n");
    let policies = (0..100).map(|part| {
        let rules: String = (0..1_000).map(|at| rule(part * 1_000 + at)).collect();
        format!("job::/sandbox {{\n{rules}}}\n")
    });
    let set = set(policies);
    assert!(timed(&set, &request(vec![Fact::new("LDAP", "group", "g99999")])).is_allowed());
    assert!(!timed(&set, &request(vec![Fact::new("LDAP", "group", "g100000")])).is_allowed());
    let many = (0..4_000).map(|at| Fact::new("LDAP", "group", format!("x{at}"))).collect();
    assert!(!timed(&set, &request(many)).is_allowed());
    let start = Spent::now();
    let denial = denial(&set, &request(Vec::new()));
    assert_eq!(denial.nearest.len() + denial.more, 100_000);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn a_chain_is_as_slow_as_it_is_long() {
    const LENGTH: usize = 40_000;
    // Backwards, so that reading in order would find one link each time.
    let links = (0..LENGTH).rev().map(|at| format!("job::/sandbox {{ if (role == r{at}) {{ role r{} }} }}\n", at + 1));
    let ends = [
        format!("job::/ {{ if (role == r{LENGTH}) {{ permit read }} }}\n"),
        "job::/ { if (LDAP->x == y) { role r0 } }\n".to_owned(),
    ];
    let set = set(links.chain(ends));
    let decision = timed(&set, &request(vec![Fact::new("LDAP", "x", "y")]));
    assert!(decision.is_allowed());
    assert_eq!(decision.because().len(), LENGTH + 2);
    assert_eq!(decision.why().last().unwrap().claim, Claim::permit("read"));
    let start = Spent::now();
    assert_eq!(denial(&set, &request(Vec::new())).nearest.len(), 100);
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn one_cycle_of_many_rules_comes_to_an_end() {
    const LENGTH: usize = 10_000;
    let links = (0..LENGTH).map(|at| format!("job::/ {{ if (role == r{at}) {{ role r{} }} }}\n", (at + 1) % LENGTH));
    let set = set(links.chain(["job::/ { if (LDAP->x == y) { role r77 } }\n".to_owned()]));
    assert_eq!(timed(&set, &request(Vec::new())).claims(), []);
    assert_eq!(timed(&set, &request(vec![Fact::new("LDAP", "x", "y")])).claims().len(), LENGTH);
}

#[test]
fn realms_elsewhere_cost_nothing_much() {
    let policies = (0..30_000).map(|at| format!("job::/sandbox/u{at} {{ {{ permit read }} }}\n"));
    let set = set(policies.chain(["job::/sandbox/tom { { permit read } }\n".to_owned()]));
    for _ in 0..1_000 {
        assert_eq!(decide(&set, &request(Vec::new())).claims(), [Claim::permit("read")]);
    }
}

#[test]
fn one_realm_in_a_thousand_documents_is_one_realm() {
    let sources: Vec<Source> = (0..1_000)
        .map(|at| source(&format!("d{at}.pol"), &format!("job::/sandbox/[n] {{ {{ label l{at} }} }}")))
        .collect();
    let set = compile(&sources, System::LeftOut).unwrap();
    assert_eq!(timed(&set, &request(Vec::new())).claims().len(), 1_000);
}

#[test]
fn the_longest_condition_with_the_most_alternatives_is_decided() {
    let parts: Vec<String> = (0..680).map(|at| format!("LDAP->g == v{at}")).collect();
    let text = format!("job::/ {{ if ({}) {{ permit read }} }}", parts.join(" || "));
    let set = compile(&[source("a.pol", &text)], System::LeftOut).unwrap();
    assert!(timed(&set, &request(vec![Fact::new("LDAP", "g", "v679")])).is_allowed());
    assert!(!timed(&set, &request(vec![Fact::new("LDAP", "g", "v680")])).is_allowed());
}

#[test]
fn as_many_claims_as_comparisons_of_a_part_are_not_tried_on_each_other() {
    for how in [
        "beginsWith \"x{n}-\"",
        "endsWith \"-{n}x\"",
        "contains \"x{n}x\"",
        "matches \"x{n}*y\"",
        "fqnMatch \"job::/x/{n}\"",
    ] {
        let count = 20_000;
        let claims =
            (0..count).map(|at| format!("job::/sandbox {{ if (LDAP->group == all) {{ role \"job::/r/{at}\" }} }}\n"));
        let asks = |at: usize| how.replace("{n}", &at.to_string());
        let asking = (0..count).map(|at| format!("job::/sandbox {{ if (role {}) {{ permit read }} }}\n", asks(at)));
        // Where there is a time, it is asked how long the answer holds.
        let until = "job::/elsewhere { if (time.hour < 9) { permit read } }\n".to_owned();
        let set = set(claims.chain(asking).chain([until]));
        let facts = vec![Fact::new("LDAP", "group", "all")];
        let now = Some(Now { unix_seconds: 1_800_000_000, offset_seconds: 0 });
        let request = Request::new("job::/sandbox/tom::web", facts, vec![Claim::permit("read")], now).unwrap();
        assert!(!timed(&set, &request).is_allowed(), "{how}");
        let start = Spent::now();
        assert_eq!(denial(&set, &request).nearest.len(), 100);
        assert!(start.elapsed() < LONG, "{how}: {:?}", start.elapsed());
    }
}

#[test]
fn texts_within_each_other_are_not_found_at_every_byte() {
    for how in ["beginsWith", "endsWith", "contains"] {
        let ask =
            |at: usize| format!("job::/sandbox {{ if (LDAP->group {how} \"{}\") {{ permit ssh }} }}\n", "a".repeat(at));
        let set = set((1..900).map(ask));
        let mut facts = vec![Fact::new("LDAP", "group", "a".repeat(900_000))];
        facts.extend((0..40).map(|at| Fact::new("LDAP", "group", format!("b{at}"))));
        assert!(!timed(&set, &request(facts)).is_allowed(), "{how}");
    }
}

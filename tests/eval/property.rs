//! Two evaluators, one answer, on random worlds; and what follows from the definition of a decision.

use std::{cell::RefCell, collections::BTreeMap};

use gatehouse::{
    compile::{PolicySet, System, compile},
    eval::{Decision, Effective, Fact, Now, Request, Used, decide},
    source::Source,
};
use proptest::{
    arbitrary::any,
    collection::vec,
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    agreement::{agree, agree_on_verdict, compiled, sources},
    cases::source,
    subset,
    world::{OPERATORS, World},
};

/// What the generator has come up with, so that nobody trusts a test of nothing.
#[derive(Debug, Default)]
struct Seen {
    worlds: usize,
    compiled: usize,
    allowed: usize,
    refused: usize,
    limited: usize,
    /// Longest chain of rules to a wanted claim: how often each.
    chains: BTreeMap<usize, usize>,
    /// How often each operator was true and false.
    operators: BTreeMap<&'static str, (usize, usize)>,
}

/// `GATEHOUSE_CASES` asks for more worlds than usual.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("GATEHOUSE_CASES").ok().map_or(usual, |it| it.parse().unwrap())
}

pub(crate) fn run<T: std::fmt::Debug>(
    count: u32,
    strategy: &impl Strategy<Value = T>,
    check: impl Fn(T) -> Result<(), String>,
) {
    let config = Config { cases: count, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |world| check(world).map_err(TestCaseError::fail));
    if let Err(err) = outcome {
        panic!("{err}");
    }
}

#[test]
fn both_evaluators_give_one_answer() {
    let seen = RefCell::new(Seen::default());
    run(cases(10_000), &world(), |world| {
        let mut seen = seen.borrow_mut();
        seen.worlds += 1;
        let Some((sources, set, request)) = prepare(&world) else { return Ok(()) };
        seen.compiled += 1;
        let decision = decide(&set, &request);
        agree(&sources, &request, &decision)?;
        agree_on_verdict(&set, &request, &decision)?;
        seen.note(&decision);
        if seen.compiled % 10 == 0 {
            seen.note_operators(&world, &request);
        }
        Ok(())
    });
    seen.into_inner().is_worth_something();
}

/// What an answer says beside the places that it names.
pub(crate) fn answer(decision: &Decision) -> impl PartialEq + use<> {
    let Effective { values, totals } = decision.effective().clone();
    (
        decision.is_allowed(),
        decision.missing().to_vec(),
        decision.claims().to_vec(),
        values,
        totals,
        decision.valid_until(),
    )
}

#[test]
fn the_order_of_documents_policies_and_rules_means_nothing() {
    run(cases(1_500), &world(), |world| {
        let Some((_, set, request)) = prepare(&world) else { return Ok(()) };
        let decision = decide(&set, &request);
        let mut documents = sources(&world.texts());
        documents.reverse();
        let turned = decide(&compile(&documents, world.system).unwrap(), &request);
        if turned != decision {
            return Err(format!("documents in another order: {turned:#?}\nnot {decision:#?}"));
        }
        for (what, other) in [("every list turned", world.turned()), ("one document", world.joined())] {
            let turned = decide(&compile(&sources(&other.texts()), world.system).unwrap(), &request);
            if answer(&turned) != answer(&decision) {
                return Err(format!("{what}: {turned:#?}\nnot {decision:#?}"));
            }
        }
        Ok(())
    });
}

#[test]
fn one_rule_more_takes_no_claim_away() {
    let worlds = (world(), any::<usize>());
    run(cases(2_000), &worlds, |(world, chosen)| {
        let Some((_, set, request)) = prepare(&world) else { return Ok(()) };
        let decision = decide(&set, &request);
        let fewer = world.without_one_item(chosen);
        let fewer = decide(&compile(&sources(&fewer.texts()), world.system).unwrap(), &request);
        match fewer.claims().iter().find(|it| !decision.claims().contains(it)) {
            Some(claim) => Err(format!("one more rule takes `{claim}` away")),
            None => Ok(()),
        }
    });
}

#[test]
fn one_fact_more_takes_no_claim_away_that_waits_for_no_absence() {
    // `!=` speaks of all values; every other operator of some.
    let worlds = world().prop_filter("without !=", |it| !it.texts().concat().contains("!="));
    run(cases(500), &worlds, |world| {
        let Some((_, set, request)) = prepare(&world) else { return Ok(()) };
        let decision = decide(&set, &request);
        let mut more = world.clone();
        more.facts.push(Fact::new("LDAP", "group", "another"));
        let more = decide(&set, &more.request().unwrap());
        match decision.claims().iter().find(|it| !more.claims().contains(it)) {
            Some(claim) => Err(format!("one more fact takes `{claim}` away")),
            None => Ok(()),
        }
    });
}

#[test]
fn the_rules_named_as_reasons_are_reason_enough() {
    run(cases(2_000), &world(), |world| {
        let Some((sources, set, request)) = prepare(&world) else { return Ok(()) };
        let decision = decide(&set, &request);
        if !decision.is_allowed() {
            return if decision.because().is_empty() { Ok(()) } else { Err("a reason for a denial".to_owned()) };
        }
        let only = subset::only(&sources, decision.because());
        let again = decide(&compile(&only, System::LeftOut).unwrap(), &request);
        if again.missing().is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = only.iter().map(Source::text).collect();
        Err(format!("{:?} alone do not give {:?}:\n{}", decision.because(), again.missing(), texts.join("\n")))
    });
}

#[test]
fn nothing_turns_before_the_answer_says() {
    let timed = world().prop_filter("has an instant", |it| it.now.is_some());
    run(cases(1_000), &timed, |world| {
        let Some((_, set, request)) = prepare(&world) else { return Ok(()) };
        let now = request.now().unwrap();
        let decision = decide(&set, &request);
        let until = decision.valid_until().unwrap_or(now.unix_seconds + 30 * 86_400);
        if until <= now.unix_seconds {
            return Err(format!("turned at {until}, before {now:?}"));
        }
        // The last second before, and some on the way.
        for part in 1..=8 {
            let then = now.unix_seconds + (until - 1 - now.unix_seconds) * part / 8;
            let mut later = world.clone();
            later.now = Some(Now { unix_seconds: then, ..now });
            let later = decide(&set, &later.request().unwrap());
            let answer = |it: &Decision| (it.is_allowed(), it.missing().to_vec(), it.effective().clone());
            if answer(&later) != answer(&decision) {
                return Err(format!("at {then}, before {until}: {later:#?}\nnot {decision:#?}"));
            }
        }
        Ok(())
    });
}

/// Bytes enough for most worlds; the last policies of a large one are plain.
pub(crate) fn world() -> impl Strategy<Value = World> {
    vec(any::<u8>(), 1_000..2_000).prop_map(|it| World::from_bytes(&it))
}

/// The documents with those of the system, the set and the request; none where they are no set or no request.
fn prepare(world: &World) -> Option<(Vec<Source>, PolicySet, Request)> {
    let request = world.request()?;
    let (sources, set) = compiled(&world.texts(), world.system)?;
    Some((sources, set, request))
}

impl Seen {
    fn note(&mut self, decision: &Decision) {
        self.allowed += usize::from(decision.is_allowed());
        self.refused += usize::from(!decision.refusals().is_empty());
        self.limited += usize::from(decision.valid_until().is_some());
        let mut height = BTreeMap::new();
        for step in decision.why() {
            let below = step.used.iter().filter_map(|it| match it {
                Used::Claim(claim) => Some(*height.get(claim).expect("what is used stands before")),
                Used::Fact(_) => None,
            });
            let own = 1 + below.max().unwrap_or(0);
            height.insert(step.claim.clone(), own);
        }
        if let Some(longest) = height.values().max() {
            *self.chains.entry(*longest).or_default() += 1;
        }
    }

    /// Asks for each comparison on the target by itself, by rules that nothing waits for.
    fn note_operators(&mut self, world: &World, request: &Request) {
        let mut probes = String::new();
        let mut operators = Vec::new();
        for policy in world.documents.iter().flatten() {
            for (operator, text) in policy.comparisons() {
                let at = operators.len();
                operators.push(operator);
                let realm = &policy.realm;
                probes.push_str(&format!("{realm} {{ {{ reached \"{at}\" }} if ({text}) {{ held \"{at}\" }} }}\n"));
            }
        }
        let mut sources = sources(&world.texts());
        sources.push(source("probes.pol", &probes));
        let decision = decide(&compile(&sources, world.system).unwrap(), request);
        let held: Vec<&str> = decision.values("held").collect();
        for at in decision.values("reached") {
            let (yes, no) = self.operators.entry(operators[at.parse::<usize>().unwrap()]).or_default();
            if held.contains(&at) { *yes += 1 } else { *no += 1 }
        }
    }

    fn is_worth_something(&self) {
        assert!(self.compiled * 10 >= self.worlds * 8, "too few sets compile: {self:#?}");
        assert!(self.allowed * 5 >= self.compiled, "fewer than one in five is allowed: {self:#?}");
        assert!(self.allowed * 5 <= self.compiled * 4, "nearly all are allowed: {self:#?}");
        assert!(self.refused * 100 >= self.compiled, "hardly any is refused: {self:#?}");
        assert!(self.limited * 100 >= self.compiled, "hardly any depends on time: {self:#?}");
        let long: usize = self.chains.range(3..).map(|(_, count)| count).sum();
        assert!(long * 50 >= self.compiled, "hardly any chain has three rules: {self:#?}");
        for operator in OPERATORS {
            let (yes, no) = self.operators.get(operator).copied().unwrap_or_default();
            assert!(yes >= 3 && no >= 3, "`{operator}` was true {yes} times and false {no} times");
        }
    }
}

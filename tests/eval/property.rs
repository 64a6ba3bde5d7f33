//! Two evaluators, one answer, on random worlds; and what follows from the definition of a decision.

use std::{cell::RefCell, collections::BTreeMap};

use gatehouse::{
    compile::{PolicySet, System, compile, system::system_sources},
    eval::{Decision, Now, Request, Used, decide, reference},
    source::Source,
};
use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};

use crate::{
    cases::source,
    generate::{OPERATORS, World, world},
    subset,
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
fn cases(usual: u32) -> u32 {
    std::env::var("GATEHOUSE_CASES").ok().map_or(usual, |it| it.parse().unwrap())
}

fn run(count: u32, strategy: &impl Strategy<Value = World>, check: impl Fn(World) -> Result<(), String>) {
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
        seen.note(&decision);
        if seen.compiled % 10 == 0 {
            seen.note_operators(&world, &request);
        }
        Ok(())
    });
    seen.into_inner().is_worth_something();
}

#[test]
fn order_means_nothing_and_more_rules_take_nothing_away() {
    run(cases(1_500), &world(), |world| {
        let Some((_, set, request)) = prepare(&world) else { return Ok(()) };
        let decision = decide(&set, &request);
        let mut turned = world.clone();
        turned.documents.iter_mut().for_each(|it| it.reverse());
        let turned = decide(&compile(&sources(&turned), world.system).unwrap(), &request);
        let answer = |it: &Decision| {
            (it.is_allowed(), it.missing().to_vec(), it.claims().to_vec(), it.effective().clone(), it.valid_until())
        };
        if answer(&turned) != answer(&decision) {
            return Err(format!("policies in another order: {turned:#?}\nnot {decision:#?}"));
        }
        let mut documents = sources(&world);
        documents.reverse();
        let turned = decide(&compile(&documents, world.system).unwrap(), &request);
        if turned != decision {
            return Err(format!("documents in another order: {turned:#?}\nnot {decision:#?}"));
        }
        let mut fewer = world;
        fewer.documents.pop();
        let fewer = decide(&compile(&sources(&fewer), fewer.system).unwrap(), &request);
        match fewer.claims().iter().find(|it| !decision.claims().contains(it)) {
            Some(claim) => Err(format!("one more document takes `{claim}` away")),
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

/// The documents with those of the system, the set and the request; none where they are no set or no request.
fn prepare(world: &World) -> Option<(Vec<Source>, PolicySet, Request)> {
    let request = world.request()?;
    let mut sources = sources(world);
    let set = match compile(&sources, world.system) {
        Ok(set) => set,
        Err(findings) => {
            // Two values of a scalar are the one mistake that the generator makes.
            let other = findings.iter().find(|it| it.diagnostic.code.code() != "E0603");
            assert!(other.is_none(), "{findings:#?}\n{}", world.texts().join("\n"));
            return None;
        }
    };
    if world.system == System::Included {
        sources.extend(system_sources());
    }
    Some((sources, set, request))
}

fn sources(world: &World) -> Vec<Source> {
    let texts = world.texts().into_iter().enumerate();
    texts.map(|(at, text)| source(&format!("d{at}.pol"), &text)).collect()
}

fn agree(sources: &[Source], request: &Request, decision: &Decision) -> Result<(), String> {
    let answer = reference::decide(sources, request);
    let same = answer.allowed == decision.is_allowed()
        && answer.missing == decision.missing()
        && answer.claims == decision.claims()
        && answer.effective == *decision.effective()
        && answer.refusals == decision.refusals();
    if same {
        return Ok(());
    }
    let texts: Vec<&str> = sources.iter().map(Source::text).collect();
    Err(format!("{request:#?}\n{answer:#?}\nis not\n{decision:#?}\nof\n{}", texts.join("\n")))
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
        let mut sources = sources(world);
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

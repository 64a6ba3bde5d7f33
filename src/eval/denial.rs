//! What would have been needed: the rules that assert a missing claim, and which of their conditions failed.

use std::collections::BTreeSet;

use crate::{
    compile::{
        PolicySet,
        condition::{Comparison, Test},
        set::Gate,
        slots::Slot,
    },
    eval::{
        Claim, Place, Request, derivation, hint,
        producers::{Producer, Producers, Production},
        run::{NodeId, Run, is_fact},
        want,
    },
};

/// Rules told of; nobody reads more, and those left out are farther away.
const NEAREST_MAX: usize = 100;

/// Conditions told of one rule.
const CONDITIONS_MAX: usize = 200;

/// Values shown of one fact.
const FOUND_MAX: usize = 16;

/// What a denied request lacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// Rules on the target that would have asserted a missing claim, or a claim that such a rule waits for: fewest
    /// unmet conditions first, at most [`NEAREST_MAX`].
    pub nearest: Vec<NearMiss>,
    /// How many more there are.
    pub more: usize,
}

/// A rule that would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The claim that it would have asserted.
    pub claim: Claim,
    /// The missing want that the claim leads to.
    pub wanted: Claim,
    /// How many rules stand between the claim and the want.
    pub distance: usize,
    /// The rule.
    pub place: Place,
    /// Its conditions in the order of its text, those of the blocks around it first.
    pub conditions: Vec<Condition>,
    /// How many comparisons at least would have to become true; of these, see `waits`.
    pub unmet: usize,
    /// How many of them are on claims that other rules could assert.
    pub waits: usize,
}

/// One comparison of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As the document has it.
    pub text: String,
    /// What the variables in it are bound to: name and text, in the order of the realm.
    pub bound: Vec<(String, String)>,
    /// Whether it holds.
    pub held: bool,
    /// Whether it is on a claim that rules assert, not on a fact.
    pub on_claim: bool,
    /// What there is of the fact or claim that is compared: ascending; nothing where it is absent.
    pub found: Vec<String>,
    /// Where it does not hold: a fact of the request that someone may have taken for the one that is asked for.
    pub hint: Option<String>,
}

/// Says what a denied request lacked; nothing of one that was met.
pub fn denial(set: &PolicySet, request: &Request) -> Denial {
    let found = set.find(request.target());
    let run = Run::new(set, &found, request);
    let producers = Producers::new(&run);
    let mut misses = Misses { run: &run, producers: &producers, found: Vec::new() };
    for (want, met) in want::met(&run) {
        if met.is_none() {
            misses.trace(want);
        }
    }
    misses.finish()
}

struct Misses<'r, 'a> {
    run: &'r Run<'a>,
    producers: &'r Producers,
    found: Vec<Candidate<'r>>,
}

/// A rule that would have helped, before it is put into words.
struct Candidate<'r> {
    lacks: Lacks,
    distance: usize,
    producer: Producer,
    claim: Claim,
    wanted: &'r Claim,
}

/// What a node still lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Lacks {
    unmet: usize,
    waits: usize,
}

impl<'r> Misses<'r, '_> {
    /// Collects the rules that lead to a want, nearest to it first; each rule and claim once, so cycles end.
    fn trace(&mut self, want: &'r Claim) {
        let mut seen: BTreeSet<(NodeId, Slot, &str)> = BTreeSet::new();
        let mut layer: Vec<Production<'r>> = self.producers.meeting(self.run, want).collect();
        let mut distance = 0_usize;
        while !layer.is_empty() {
            let mut next = Vec::new();
            for (slot, value, producer) in layer {
                let lacks = self.lacks(producer.id);
                // A rule that is true already has asserted its claim, so that this one is of no help.
                if lacks.unmet == 0 || !seen.insert((producer.id, slot, value)) {
                    continue;
                }
                next.extend(self.waited_for(producer.id));
                let claim = Claim::new(self.run.set.slots.claim_type(slot), value);
                self.found.push(Candidate { lacks, distance, producer, claim, wanted: want });
            }
            layer = next;
            distance = distance.saturating_add(1);
        }
    }

    /// The rules that could assert what this node waits for.
    fn waited_for(&self, id: NodeId) -> Vec<Production<'r>> {
        let mut res = Vec::new();
        for leaf in leaves(self.run, id) {
            if let Some(Gate::Compare(comparison)) = self.run.node(leaf).map(|it| &it.gate)
                && !is_fact(self.run.set, comparison.slot)
                && self.run.level(leaf).is_none()
            {
                res.extend(self.producers.waking(comparison, self.run.bound(leaf.policy)));
            }
        }
        res
    }

    /// How many comparisons at least would have to become true. Recursion is bounded because nesting is.
    fn lacks(&self, id: NodeId) -> Lacks {
        if self.run.level(id).is_some() {
            return Lacks::default();
        }
        let Some(node) = self.run.node(id) else { return Lacks::default() };
        let inputs = node.inputs().iter().map(|it| self.lacks(NodeId { node: *it, ..id }));
        match &node.gate {
            Gate::Compare(it) => Lacks { unmet: 1, waits: usize::from(!is_fact(self.run.set, it.slot)) },
            Gate::Any(_) => inputs.min().unwrap_or_default(),
            Gate::All(_) => inputs.fold(Lacks::default(), |sum, it| Lacks {
                unmet: sum.unmet.saturating_add(it.unmet),
                waits: sum.waits.saturating_add(it.waits),
            }),
        }
    }

    fn finish(mut self) -> Denial {
        self.found.sort_by(|a, b| {
            let key = |it: &Candidate<'_>| {
                (it.lacks, it.distance, it.producer.id.policy, it.producer.offset, it.producer.id.node)
            };
            key(a).cmp(&key(b)).then_with(|| a.claim.cmp(&b.claim))
        });
        let more = self.found.len().saturating_sub(NEAREST_MAX);
        let nearest = self.found.iter().take(NEAREST_MAX).map(|it| near_miss(self.run, it)).collect();
        Denial { nearest, more }
    }
}

fn near_miss(run: &Run<'_>, it: &Candidate<'_>) -> NearMiss {
    NearMiss {
        claim: it.claim.clone(),
        wanted: it.wanted.clone(),
        distance: it.distance,
        place: derivation::place(run, it.producer.id, it.producer.offset),
        conditions: leaves(run, it.producer.id)
            .into_iter()
            .take(CONDITIONS_MAX)
            .filter_map(|it| condition(run, it))
            .collect(),
        unmet: it.lacks.unmet,
        waits: it.lacks.waits,
    }
}

/// The comparisons below a node in the order of the text.
fn leaves(run: &Run<'_>, id: NodeId) -> Vec<NodeId> {
    let mut res = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        let Some(node) = run.node(id) else { continue };
        match &node.gate {
            Gate::Compare(_) => res.push(id),
            Gate::All(inputs) | Gate::Any(inputs) => {
                open.extend(inputs.iter().rev().map(|it| NodeId { node: *it, ..id }));
            }
        }
    }
    res
}

fn condition(run: &Run<'_>, leaf: NodeId) -> Option<Condition> {
    let Gate::Compare(comparison) = &run.node(leaf)?.gate else { return None };
    let matched = run.policies.get(leaf.policy)?;
    let on_claim = !is_fact(run.set, comparison.slot);
    let found: Vec<String> = if on_claim {
        let claims = run.claims.iter().filter(|it| it.slot == comparison.slot);
        claims.take(FOUND_MAX).map(|it| it.value.to_string()).collect()
    } else {
        run.facts(comparison.slot).iter().take(FOUND_MAX).map(|it| (*it).to_owned()).collect()
    };
    let names = matched.policy.variables.names().iter().zip(&matched.bound);
    let bound = names
        .filter(|(name, _)| uses(comparison, name, run, leaf))
        .map(|(name, text)| (name.to_string(), (*text).to_owned()));
    let held = run.level(leaf).is_some();
    let key = run.set.slots.key(comparison.slot).filter(|_| !held);
    let hint = key.and_then(|it| hint::hint(run.request, it, comparison, &matched.bound));
    Some(Condition {
        text: run.set.slice(matched.document, comparison.span).to_owned(),
        bound: bound.collect(),
        held,
        on_claim,
        found,
        hint,
    })
}

/// Whether a variable stands in a comparison.
fn uses(comparison: &Comparison, name: &str, run: &Run<'_>, leaf: NodeId) -> bool {
    if matches!(comparison.test, Test::Never) {
        return false;
    }
    let document = run.policies.get(leaf.policy).map(|it| it.document);
    document.is_some_and(|it| run.set.slice(it, comparison.span).contains(&format!("[{name}]")))
}

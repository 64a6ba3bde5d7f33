//! Why a claim was asserted: a derivation of least height (reference section 6).

use std::cmp::Ordering;

use smallvec::{SmallVec, smallvec};
use smol_str::SmolStr;

use crate::{
    compile::set::Gate,
    eval::{
        Claim, Fact, Place, Step, Used,
        run::{Derived, NodeId, Run, is_fact},
    },
};

/// Facts and claims listed for one step; a person reads no more, and the list stays a fixed multiple of the rules.
const USED_MAX: usize = 64;

/// The nodes that were visited in one walk after another.
struct Seen {
    // By number of the node, the last walk that visited it.
    by: SmallVec<[usize; 16]>,
    walk: usize,
}

impl Seen {
    fn new(run: &Run<'_>) -> Self {
        Self { by: smallvec![0; run.nodes()], walk: 1 }
    }

    /// Begins another walk.
    fn forget(&mut self) {
        self.walk = self.walk.saturating_add(1);
    }

    /// Whether this walk had not visited it before.
    fn is_new(&mut self, run: &Run<'_>, id: NodeId) -> bool {
        let by = run.number(id).and_then(|it| self.by.get_mut(it));
        by.is_some_and(|it| std::mem::replace(it, self.walk) != self.walk)
    }
}

/// The asserted claims by number.
pub(crate) fn claims(run: &Run<'_>) -> Vec<Claim> {
    let claim_type = |it: &Derived<'_>| run.set.slots.key(it.slot).map(|it| it.claim_type.clone()).unwrap_or_default();
    run.claims.iter().map(|it| Claim { claim_type: claim_type(it), value: it.value.as_ref().into() }).collect()
}

/// The same, ascending; `claims` are all by number.
pub(crate) fn ascending(run: &Run<'_>, claims: &[Claim]) -> Vec<Claim> {
    let mut all: SmallVec<[(&Derived<'_>, &Claim); 16]> = run.claims.iter().zip(claims).collect();
    // Most are permits, whose types need no comparing.
    all.sort_unstable_by(|(a, first), (b, second)| {
        let by_type = if a.slot == b.slot { Ordering::Equal } else { first.claim_type.cmp(&second.claim_type) };
        by_type.then_with(|| a.value.cmp(&b.value))
    });
    all.into_iter().map(|(_, claim)| claim.clone()).collect()
}

/// The steps that derive these claims, each behind the steps that it uses; `claims` are all by number.
pub(crate) fn steps(run: &Run<'_>, claims: &[Claim], wanted: impl IntoIterator<Item = usize>) -> Vec<Step> {
    let mut is_step: SmallVec<[bool; 16]> = smallvec![false; run.claims.len()];
    let mut seen = Seen::new(run);
    let mut open: SmallVec<[usize; 8]> = wanted.into_iter().collect();
    while let Some(claim) = open.pop() {
        let (Some(derived), Some(is_step)) = (run.claims.get(claim), is_step.get_mut(claim)) else { continue };
        if !std::mem::replace(is_step, true) {
            support(run, derived.by, &mut seen, &mut |leaf| {
                open.extend(run.witness(leaf));
                true
            });
        }
    }
    // Claims are numbered by height.
    let steps = run.claims.iter().zip(claims).zip(is_step).filter(|(_, is_step)| *is_step);
    steps.map(|((it, claim), _)| step(run, claims, (it, claim), &mut seen)).collect()
}

fn step(run: &Run<'_>, claims: &[Claim], (derived, claim): (&Derived<'_>, &Claim), seen: &mut Seen) -> Step {
    let mut used = Vec::new();
    seen.forget();
    support(run, derived.by, seen, &mut |leaf| {
        rests_on(run, claims, leaf, |it| {
            if used.len() < USED_MAX && !used.contains(&it) {
                used.push(it);
            }
        });
        used.len() < USED_MAX
    });
    Step { claim: claim.clone(), place: place(run, derived.by, derived.offset), used }
}

/// Visits the comparisons by which a node became true, in the order of the text: all of `&&`, of `||` the one that was
/// true first. Recursion is bounded because nesting is, in documents and so in nodes.
fn support(run: &Run<'_>, id: NodeId, seen: &mut Seen, visit: &mut impl FnMut(NodeId) -> bool) -> bool {
    if !seen.is_new(run, id) {
        return true;
    }
    let Some(node) = run.node(id) else { return true };
    let at = |node: &usize| NodeId { node: *node, ..id };
    match &node.gate {
        Gate::Compare(_) => visit(id),
        Gate::All(inputs) => inputs.iter().all(|it| support(run, at(it), seen, visit)),
        Gate::Any(inputs) => {
            let first = inputs.iter().map(at).filter_map(|it| run.level(it).map(|level| (level, it)));
            // `min_by_key` gives the first of several.
            first.min_by_key(|(level, _)| *level).is_none_or(|(_, it)| support(run, it, seen, visit))
        }
    }
}

/// Tells what a comparison that holds rests on.
fn rests_on(run: &Run<'_>, claims: &[Claim], leaf: NodeId, tell: impl FnMut(Used)) {
    let Some(Gate::Compare(comparison)) = run.node(leaf).map(|it| &it.gate) else { return };
    if !is_fact(run.set, comparison.slot) {
        let witness = run.witness(leaf).and_then(|it| claims.get(it));
        return witness.map(|it| Used::Claim(it.clone())).into_iter().for_each(tell);
    }
    let Some(key) = run.set.slots.key(comparison.slot) else { return };
    let fact = |value: &str| Used::Fact(Fact::new(key.issuer.clone(), key.claim_type.clone(), value));
    let bound = run.bound(leaf.policy);
    let holding = run.facts(comparison.slot).iter().filter(|it| comparison.holds_of(it, bound));
    // `!=` speaks of all values, every other operator of some value.
    let count = if comparison.is_of_all_values() { USED_MAX } else { 1 };
    holding.take(count).map(|it| fact(it)).for_each(tell);
}

/// Where a rule of a matched policy stands.
pub(crate) fn place(run: &Run<'_>, id: NodeId, offset: usize) -> Place {
    let source = run.policies.get(id.policy).and_then(|it| run.set.sources.get(it.document));
    let Some(source) = source else { return Place { document: SmolStr::default(), line: 0, column: 0 } };
    let location = source.location(offset);
    Place { document: source.document().into(), line: location.line, column: location.column }
}

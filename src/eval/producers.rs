//! Which rules on the target could assert which claim, true or not: the evaluation read backwards.

use std::collections::BTreeMap;

use crate::{
    compile::{condition::Comparison, slots::Slot},
    eval::{
        Claim,
        run::{NodeId, Run},
        values::Values,
        want::covers_value,
    },
};

/// All assertions of the policies on the target, by claim.
#[derive(Debug)]
pub(crate) struct Producers {
    by_claim: BTreeMap<Slot, Values<Vec<Producer>>>,
}

/// A rule that asserts a claim as soon as it is true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producer {
    pub(crate) id: NodeId,
    /// Where the rule stands in its document.
    pub(crate) offset: usize,
}

/// A claim and one of the rules that could assert it.
pub(crate) type Production<'p> = (Slot, &'p str, Producer);

impl Producers {
    pub(crate) fn new(run: &Run<'_>) -> Self {
        let mut by_claim: BTreeMap<Slot, BTreeMap<String, Vec<Producer>>> = BTreeMap::new();
        for (policy, matched) in run.policies.iter().enumerate() {
            for (node, it) in matched.policy.nodes.iter().enumerate() {
                for assertion in &it.asserts {
                    let producer = Producer { id: NodeId { policy, node }, offset: assertion.offset };
                    let values = by_claim.entry(assertion.slot).or_default();
                    for value in run.values(&assertion.value, policy) {
                        values.entry(value.into_owned()).or_default().push(producer);
                    }
                }
            }
        }
        Self { by_claim: by_claim.into_iter().map(|(slot, values)| (slot, Values::new(values))).collect() }
    }

    /// Every claim with every rule that could assert it.
    pub(crate) fn all(&self) -> impl Iterator<Item = Production<'_>> {
        self.by_claim.iter().flat_map(|(slot, values)| {
            values.iter().flat_map(move |(value, it)| it.iter().map(move |it| (*slot, value, *it)))
        })
    }

    /// The claims that would meet a want.
    pub(crate) fn meeting<'p>(&'p self, run: &Run<'_>, want: &'p Claim) -> impl Iterator<Item = Production<'p>> {
        let slot = run.set.slots.find("", &want.claim_type);
        let values = slot.and_then(|slot| Some((slot, self.by_claim.get(&slot)?)));
        values.into_iter().flat_map(|(slot, values)| {
            let meeting = values.iter().filter(|(value, _)| covers_value(&want.claim_type, value, &want.value));
            meeting.flat_map(move |(value, it)| it.iter().map(move |it| (slot, value, *it)))
        })
    }

    /// The claims that would make a comparison true.
    pub(crate) fn waking<'p>(&'p self, comparison: &'p Comparison, bound: &'p [&'p str]) -> Vec<Production<'p>> {
        let Some(values) = self.by_claim.get(&comparison.slot) else { return Vec::new() };
        let waking = match comparison.equal_to() {
            Some(templates) => templates.iter().filter_map(|it| values.get(it.fill(bound).as_ref())).collect(),
            None => values.holding(comparison, bound),
        };
        waking.into_iter().flat_map(|(value, it)| it.iter().map(move |it| (comparison.slot, value, *it))).collect()
    }
}

//! The rules of one realm, before they are written: which are tried one by one, and what the others are found by.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::compile::{
    affix::Affix,
    condition::Comparison,
    plan::IN_LOCAL,
    realm::{LocalPattern, Part, Pattern},
    set::{Gate, Policy, Template},
    slots::Slots,
};

/// Rules of one unit that assert one claim, up to which they are tried one by one.
const TRIED_MAX: usize = 8;

/// Values up to which a comparison is what rules are found by: each is filed under all of them.
const KEYS_MAX: usize = 8;

/// A policy that is being laid out.
pub(super) struct Laid {
    pub(super) number: u32,
    /// Each variable with the segments that it stands for.
    pub(super) bindings: Vec<(usize, u32)>,
    pub(super) policy: Arc<Policy>,
}

/// A rule that asserts a claim, before it has an offset.
pub(super) struct Rule {
    pub(super) claim: u32,
    /// Index into the policies of the unit.
    pub(super) policy: usize,
    pub(super) node: usize,
    pub(super) place: usize,
    /// A comparison without which it asserts nothing: of a fact with few values, or with a part of its value.
    pub(super) key: Option<usize>,
}

/// For each node the comparison of a fact without which it is not true, behind how little that says: how many values it
/// is true of, or more than that where it asks for a part of a value.
pub(super) fn keys(policy: &Policy, slots: &Slots) -> Vec<Option<(usize, usize)>> {
    let mut keys: Vec<Option<(usize, usize)>> = Vec::with_capacity(policy.nodes.len());
    for (at, node) in policy.nodes.iter().enumerate() {
        keys.push(match &node.gate {
            Gate::Compare(comparison) if slots.is_fact(comparison.slot) => {
                let count = constants(comparison).map(|it| it.len()).filter(|it| (1..=KEYS_MAX).contains(it));
                let by_part = || constant_affix(comparison).map(|_| KEYS_MAX.saturating_add(1));
                count.or_else(by_part).map(|it| (it, at))
            }
            // Inputs stand before the node that has them.
            Gate::All(inputs) => inputs.iter().filter_map(|it| keys.get(*it).copied().flatten()).min(),
            Gate::Compare(_) | Gate::Any(_) => None,
        });
    }
    keys
}

/// Each variable with the segments that it stands for.
pub(super) fn bindings(realm: &Pattern) -> Vec<(usize, u32)> {
    let named = match &realm.local {
        LocalPattern::Named(parts) => parts.as_slice(),
        LocalPattern::Below | LocalPattern::Exact | LocalPattern::Any => &[],
    };
    let places = realm.namespace.iter().zip(0_u32..).chain(named.iter().zip(IN_LOCAL..));
    let bound = places.filter_map(|(part, at)| match part {
        Part::Variable(number) => Some((*number, at)),
        Part::Literal(_) => None,
    });
    bound.collect()
}

/// The comparison that a rule is found by.
pub(super) fn comparison_of<'a>(rule: &Rule, policies: &'a [Laid]) -> Option<&'a Comparison> {
    match &policies.get(rule.policy)?.policy.node(rule.key?)?.gate {
        Gate::Compare(comparison) => Some(comparison),
        Gate::All(_) | Gate::Any(_) => None,
    }
}

/// The part of a value that a comparison asks for, whoever asks.
pub(super) fn constant_affix(comparison: &Comparison) -> Option<Affix<'_>> {
    comparison.affix(None)
}

/// The texts that a comparison is true of, where it is of no others.
pub(super) fn constants(comparison: &Comparison) -> Option<Vec<&str>> {
    comparison.equal_to()?.iter().map(Template::constant).collect()
}

/// Rules that are tried one by one, and those that are found by a fact or a part of it: where many
/// assert one claim. Both stay ascending.
pub(super) fn parted(rules: Vec<Rule>) -> (Vec<Rule>, Vec<Rule>) {
    if rules.len() <= TRIED_MAX {
        return (rules, Vec::new());
    }
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for rule in rules.iter().filter(|it| it.key.is_some()) {
        let count = counts.entry(rule.claim).or_default();
        *count = count.saturating_add(1);
    }
    let is_tried = |it: &Rule| it.key.is_none() || counts.get(&it.claim).is_none_or(|count| *count <= TRIED_MAX);
    rules.into_iter().partition(is_tried)
}

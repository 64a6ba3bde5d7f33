//! The rules of one realm, before they are written: which are tried one by one, and what the others are found by.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::{HashMap, HashMapExt};
use smallvec::SmallVec;

use crate::compile::{
    affix::{Affix, Affixes},
    plan::{Affixed, Filed, Production, draft::Draft},
    slots::{Slot, Slots},
    steps::Asks,
};

/// Rules of one unit that assert one claim, up to which they are tried one by one.
pub(super) const TRIED_MAX: usize = 8;

/// Values up to which a comparison is what rules are found by: each is filed under all of them.
const KEYS_MAX: usize = 8;

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

/// Mostly one.
pub(super) type Rules = SmallVec<[Rule; 1]>;

/// For each node the comparison of a fact without which it is not true, behind how little that says: how many values it
/// is true of, or more than that where it asks for a part of a value.
pub(super) fn keys(policy: &Draft<'_>, slots: &Slots) -> Vec<Option<(usize, usize)>> {
    let mut keys: Vec<Option<(usize, usize)>> = Vec::with_capacity(policy.nodes.len());
    for (at, node) in policy.nodes.iter().enumerate() {
        keys.push(match node {
            Asks::Equal { slot, .. } if slots.is_fact(*slot) => {
                let count = node.constants().map(|it| it.len()).filter(|it| (1..=KEYS_MAX).contains(it));
                count.map(|it| (it, at))
            }
            Asks::Compare(comparison) if slots.is_fact(comparison.slot) => {
                constant_affix(node).map(|_| (KEYS_MAX.saturating_add(1), at))
            }
            // Inputs stand before the node that has them.
            Asks::All(inputs) => inputs.iter().filter_map(|it| keys.get(*it).copied().flatten()).min(),
            Asks::Equal { .. } | Asks::Compare(_) | Asks::Any(_) => None,
        });
    }
    keys
}

/// The comparison that a rule is found by.
pub(super) fn comparison_of<'a, 'd>(rule: &Rule, policies: &'d [Draft<'a>]) -> Option<&'d Asks<'a>> {
    policies.get(rule.policy)?.nodes.get(rule.key?)
}

/// The part of a value that a comparison asks for, whoever asks.
fn constant_affix<'d>(comparison: &'d Asks<'_>) -> Option<Affix<'d>> {
    match comparison {
        Asks::Compare(comparison) => comparison.affix(None),
        Asks::Equal { .. } | Asks::All(_) | Asks::Any(_) => None,
    }
}

/// Rules that are tried one by one, and those that are found by a fact or a part of it: where many
/// assert one claim. Both stay ascending.
pub(super) fn parted(rules: Rules) -> (Rules, Rules) {
    if rules.len() <= TRIED_MAX {
        return (rules, Rules::new());
    }
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for rule in rules.iter().filter(|it| it.key.is_some()) {
        let count = counts.entry(rule.claim).or_default();
        *count = count.saturating_add(1);
    }
    let is_tried = |it: &Rule| it.key.is_none() || counts.get(&it.claim).is_none_or(|count| *count <= TRIED_MAX);
    rules.into_iter().partition(is_tried)
}

/// Rules that ask for a part of a fact's value, by the fact's type.
pub(super) fn by_part(
    rules: &[Rule],
    policies: &[Draft<'_>],
    production: impl Fn(&Rule) -> Option<Production>,
) -> Option<Arc<[Affixed]>> {
    let mut by_slot: BTreeMap<Slot, Vec<(Affix<'_>, Filed)>> = BTreeMap::new();
    for rule in rules {
        let comparison = comparison_of(rule, policies)?;
        let affix = constant_affix(comparison)?;
        let filed = Filed { rule: production(rule)?, text: affix.text.as_ref().into() };
        by_slot.entry(comparison.slot()?).or_default().push((affix, filed));
    }
    let affixed = |(slot, all)| Some(Affixed { slot, rules: Affixes::new(all)? });
    by_slot.into_iter().map(affixed).collect()
}

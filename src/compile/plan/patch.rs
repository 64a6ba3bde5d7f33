//! A layout after some documents have changed: the realms that they speak of are laid out anew behind what there is.

use std::{collections::BTreeMap, sync::Arc};

use crate::compile::{
    document::Document,
    plan::{
        Plan, Unit, WORLD,
        build::{ANY_AT, BELOW_AT, Builder, EXACT_AT, NAMED_AT, VARIABLE_AT},
    },
    realm::{LocalPattern, Part, Pattern},
    set::Numbers,
    slots::Slots,
};

/// Waste that is left where it is, as a part of what was laid out as a whole, and in any case.
const WASTE_PART: usize = 2;
const WASTE_MIN: usize = 1 << 20;

/// The layout with the policies of some documents in place of others: `gone` are realms whose policies are no more, the
/// numbers in `numbers` tell of each policy whether it still is. Nothing where it is better to lay out everything anew.
pub(crate) fn patch(
    before: &Plan,
    gone: &[Pattern],
    come: &[(u32, Pattern)],
    documents: &[Arc<Document>],
    numbers: &Numbers,
    slots: &Slots,
) -> Option<Plan> {
    if gone.is_empty() && come.is_empty() {
        return Some(before.clone());
    }
    let changing = documents.iter().flat_map(|it| &it.changing);
    if changing.copied().any(|it| before.changing.binary_search(&it).is_err()) {
        return None;
    }
    let plan = before.thawed(come.len().saturating_mul(256));
    let mut builder = Builder::new(plan, documents, numbers, slots);
    // By the place of a list and where in it the list is noted.
    let mut lists: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
    for realm in gone {
        lists.entry(builder.list(realm)?).or_default();
    }
    for (number, realm) in come {
        lists.entry(builder.list(realm)?).or_default().push(*number);
    }
    for ((place, field), more) in lists {
        let at = place.checked_add(field)?;
        let first = builder.plan.bytes.u32(at)?;
        let old: Vec<Unit> = builder.plan.units(first).collect();
        let mut here: Vec<u32> = old.iter().flat_map(|it| builder.plan.policies(*it)).collect();
        for unit in old {
            builder.plan.affixes.remove(&unit.at);
        }
        here.retain(|it| numbers.document(*it).is_some());
        here.extend(more);
        let units = builder.units(&here)?;
        builder.fill(at, units)?;
    }
    let plan = builder.plan;
    let waste = plan.bytes.0.len().saturating_sub(plan.whole);
    (waste < (plan.whole / WASTE_PART).max(WASTE_MIN)).then(|| plan.frozen())
}

impl Builder<'_> {
    /// The place of a realm, which is made where there is none, and where in it the realm's list is noted.
    fn list(&mut self, realm: &Pattern) -> Option<(u32, u32)> {
        let root = self.child_of(WORLD, &realm.resource_type)?;
        let place = self.walk(root, &realm.namespace)?;
        match &realm.local {
            LocalPattern::Below => Some((place, BELOW_AT)),
            LocalPattern::Exact => Some((place, EXACT_AT)),
            LocalPattern::Any => Some((place, ANY_AT)),
            LocalPattern::Named(parts) => {
                let root = self.branch(place, NAMED_AT)?;
                Some((self.walk(root, parts)?, BELOW_AT))
            }
        }
    }

    fn walk(&mut self, from: u32, parts: &[Part]) -> Option<u32> {
        parts.iter().try_fold(from, |at, part| match part {
            Part::Literal(text) => self.child_of(at, text),
            Part::Variable(_) => self.branch(at, VARIABLE_AT),
        })
    }

    fn child_of(&mut self, parent: u32, segment: &str) -> Option<u32> {
        self.plan.edge(parent, segment).or_else(|| self.child(parent, segment))
    }

    fn branch(&mut self, at: u32, field: u32) -> Option<u32> {
        let at = at.checked_add(field)?;
        let branch = self.plan.bytes.u32(at)?;
        if branch != 0 {
            return Some(branch);
        }
        let branch = self.place(None)?;
        self.fill(at, branch)?;
        Some(branch)
    }
}

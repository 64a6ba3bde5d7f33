//! A layout after some documents have changed: the realms that they speak of are laid out anew behind what there is.

use std::sync::Arc;

use crate::compile::{
    document::Document,
    plan::{
        Plan,
        build::{Builder, Policies, Seen},
        grow::Lists,
    },
    realm::Pattern,
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
    let mut plan = before.thawed(come.len().saturating_mul(256));
    let mut seen = Seen::default();
    let mut builder = Builder::new(&mut plan, slots, &mut seen);
    let mut lists = Lists::new();
    for realm in gone {
        lists.entry(builder.list(realm)?).or_default();
    }
    for (number, realm) in come {
        lists.entry(builder.list(realm)?).or_default().push(*number);
    }
    builder.add_to(lists, &Policies { documents, numbers })?;
    let waste = plan.bytes.0.len().saturating_sub(plan.whole);
    (waste < (plan.whole / WASTE_PART).max(WASTE_MIN)).then(|| plan.frozen())
}

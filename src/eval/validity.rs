//! How long a decision holds: the first time comparison in its backward slice that turns (reference section 6).

use std::collections::BTreeSet;

use crate::{
    compile::{catalogue::Combines, set::Gate},
    eval::{
        producers::Producers,
        run::{NodeId, Run, is_fact},
        time,
    },
};

/// The Unix second at which something that the decision depends on turns by the clock alone; none without `now`.
///
/// The slice holds each rule that could assert a wanted or restricting claim, true or not, and what these wait for.
pub(crate) fn valid_until(run: &Run<'_>) -> Option<i64> {
    let now = run.request.now()?;
    if !time::TYPES.iter().any(|it| run.set.slots.find("", it).is_some()) {
        return None;
    }
    let producers = Producers::new(run);
    let mut slice = Slice::default();
    slice.reach(start(run, &producers));
    let mut earliest: Option<i64> = None;
    while let Some(id) = slice.open.pop() {
        let Some(node) = run.node(id) else { continue };
        slice.reach(node.inputs().iter().map(|it| NodeId { node: *it, ..id }));
        let Gate::Compare(comparison) = &node.gate else { continue };
        if !is_fact(run.set, comparison.slot) {
            slice.reach(producers.waking(comparison, run.bound(id.policy)).into_iter().map(|(_, _, it)| it.id));
        } else if let Some(key) = run.set.slots.key(comparison.slot)
            && key.issuer.is_empty()
            && let Some(turn) = time::next_turn(&key.claim_type, comparison, run.bound(id.policy), now)
        {
            earliest = Some(earliest.map_or(turn, |it| it.min(turn)));
        }
    }
    earliest
}

/// The rules that the answer itself rests on.
fn start(run: &Run<'_>, producers: &Producers) -> Vec<NodeId> {
    let resource_type = run.request.target().resource_type();
    let restricting = producers.all().filter(|(slot, _, _)| {
        let slots = &run.set.slots;
        slots.combines(*slot, resource_type) != Combines::Union
            || (resource_type == "auth" && slots.claim_type(*slot) == "name")
    });
    let wanted = run.request.want().iter().flat_map(|it| producers.meeting(run, it));
    restricting.chain(wanted).map(|(_, _, it)| it.id).collect()
}

/// What was reached, and what of it is still to be looked at.
#[derive(Default)]
struct Slice {
    reached: BTreeSet<NodeId>,
    open: Vec<NodeId>,
}

impl Slice {
    fn reach(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for id in nodes {
            if self.reached.insert(id) {
                self.open.push(id);
            }
        }
    }
}

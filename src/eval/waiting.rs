//! Comparisons that a value may make true, and how to try many of them on many values without trying each on each.

use std::borrow::Cow;

use foldhash::{HashMap, HashSet, HashSetExt};
use smallvec::SmallVec;

use crate::{
    compile::{affix::Affixes, condition::Comparison, set::Gate, slots::Slot},
    eval::run::{Matched, NodeId},
};

/// Tries of one comparison from which it is worth it to look for all of them at once: making ready for that takes about as
/// long.
const TRIES_WORTH_IT: usize = 32;

/// Comparisons that are always tried one by one.
const TRIED_MAX: usize = 64;

/// Values waited for among which one is looked for by trying each.
const FEW_VALUES: usize = 8;

/// Comparisons that some value of a claim makes true, by these.
#[derive(Debug, Default)]
pub(super) struct ForValues<'a> {
    few: Vec<(Slot, Cow<'a, str>, NodeId)>,
    // All, as soon as they are many.
    many: HashMap<(Slot, Cow<'a, str>), SmallVec<[NodeId; 1]>>,
}

impl<'a> ForValues<'a> {
    pub(super) fn push(&mut self, slot: Slot, value: Cow<'a, str>, id: NodeId) {
        self.few.push((slot, value, id));
        if FEW_VALUES < self.few.len() || !self.many.is_empty() {
            for (slot, value, id) in self.few.drain(..) {
                self.many.entry((slot, value)).or_default().push(id);
            }
        }
    }

    /// The comparisons that a claim makes true.
    pub(super) fn woken_by<'s>(&'s self, slot: Slot, value: &'s str) -> impl Iterator<Item = NodeId> + use<'s, 'a> {
        let few = self.few.iter().filter(move |it| it.0 == slot && it.1 == value).map(|it| it.2);
        let many = if self.many.is_empty() { None } else { self.many.get(&(slot, Cow::Borrowed(value))) };
        few.chain(many.into_iter().flatten().copied())
    }
}

/// Comparisons of one type of claim or fact.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Those that are tried one by one.
    each: Vec<NodeId>,
    /// How often one of them was tried.
    tries: usize,
    found: Option<Found>,
}

/// Comparisons that are found by what they ask for.
#[derive(Debug)]
struct Found {
    by_part: Affixes<NodeId>,
    /// Those that a value has made true.
    woken: HashSet<NodeId>,
}

impl Waiting {
    pub(super) fn push(&mut self, id: NodeId) {
        self.each.push(id);
    }

    /// The comparisons that the value makes true, each of them once.
    pub(super) fn woken_by(&mut self, value: &str, policies: &[Matched<'_>]) -> Vec<NodeId> {
        self.tries = self.tries.saturating_add(self.each.len());
        let worth_it = self.each.len().saturating_mul(TRIES_WORTH_IT);
        if self.found.is_none() && TRIED_MAX < self.each.len() && worth_it < self.tries {
            self.file(policies);
        }
        let holds = |id: &NodeId| comparison(policies, *id).is_some_and(|(it, bound)| it.holds_of(value, bound));
        let mut woken = Vec::new();
        if let Some(Found { by_part, woken: before }) = &mut self.found {
            let mut wake = |id: &NodeId| {
                if !before.contains(id) && holds(id) {
                    before.insert(*id);
                    woken.push(*id);
                }
            };
            // Texts within each other are found again and again; then it is less to try each once.
            let enough = by_part.all().len().saturating_add(value.len());
            let mut found = by_part.find(value);
            found.by_ref().take(enough).flatten().for_each(&mut wake);
            if found.next().is_some() {
                by_part.all().for_each(|(_, it)| wake(it));
            }
        }
        self.each.retain(|id| {
            let holds = holds(id);
            if holds {
                woken.push(*id);
            }
            !holds
        });
        woken
    }

    /// Files those that can be found; the others are tried on.
    fn file(&mut self, policies: &[Matched<'_>]) {
        let (mut parts, mut others) = (Vec::new(), Vec::new());
        for id in &self.each {
            let Some((it, bound)) = comparison(policies, *id) else { continue };
            match it.affix(Some(bound)) {
                Some(affix) => parts.push((affix, *id)),
                None => others.push(*id),
            }
        }
        // More than can be filed: they are tried one by one, as before.
        let Some(by_part) = Affixes::new(parts) else { return };
        self.found = Some(Found { by_part, woken: HashSet::new() });
        self.each = others;
    }
}

/// The comparison of a node, and what the variables of its policy are bound to.
pub(super) fn comparison<'b>(policies: &'b [Matched<'_>], id: NodeId) -> Option<(&'b Comparison, &'b [&'b str])> {
    let matched = policies.get(id.policy)?;
    match &matched.policy.node(id.node)?.gate {
        Gate::Compare(comparison) => Some((comparison, &matched.bound)),
        Gate::All(_) | Gate::Any(_) => None,
    }
}

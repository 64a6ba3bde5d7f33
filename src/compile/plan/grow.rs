//! A layout that grows by one policy after the other.
//!
//! A realm's first policy is laid out at once, behind the place of the realm, so that they share a cache line; it is the only one
//! on most realms. Where others follow, all of them are laid out once more at the end, and what stood there before is waste.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::compile::{
    document::Document,
    plan::{
        Plan, Table, Unit, WORLD,
        build::{ANY_AT, BELOW_AT, Builder, EXACT_AT, NAMED_AT, Policies, Seen, VARIABLE_AT},
        draft::Draft,
        hash,
    },
    realm::{LocalPattern, Part, Pattern},
    set::Numbers,
    slots::{Slot, Slots},
};

/// Bytes of an ordinary text for each realm in it; room is made for so many.
const REALM_BYTES: usize = 80;

/// Policies by the place of a list and where in it the list is noted.
pub(super) type Lists = BTreeMap<(u32, u32), Vec<u32>>;

/// A layout that is being made. Each step gives nothing where there is more than 32 bits can address.
#[derive(Debug)]
pub(crate) struct Growing {
    plan: Plan<Vec<u8>>,
    seen: Seen,
    /// Policies whose realm has another already.
    more: Lists,
}

/// Lays out all policies of a set.
pub(crate) fn build(documents: &[Arc<Document>], numbers: &Numbers, slots: &Slots) -> Option<Plan> {
    let packed = documents.iter().map(|it| it.size()).fold(0, usize::saturating_add);
    let mut growing = Growing::new(packed, changing(documents))?;
    for (first, count, document) in numbers.ranges() {
        let of = documents.get(document)?;
        for at in 0..count {
            let at_document = usize::try_from(at).ok()?;
            let (_, realm) = of.realm(at_document)?;
            let mut policy = Draft::new(first.checked_add(at)?);
            policy.read(of.steps(at_document)?)?;
            growing.add(&realm, &mut policy, slots)?;
        }
    }
    growing.finish(documents, numbers, slots)
}

/// Types of claims that some rule asserts with what a variable is bound to, or with the values of facts.
fn changing(documents: &[Arc<Document>]) -> Vec<Slot> {
    let all: BTreeSet<Slot> = documents.iter().flat_map(|it| &it.changing).copied().collect();
    all.into_iter().collect()
}

impl Growing {
    /// For documents of so many bytes, in which rules assert claims of some types with what changes from one request to
    /// another; ascending.
    fn new(bytes: usize, changing: Vec<Slot>) -> Option<Self> {
        let mut plan = Plan::<Vec<u8>> { changing, ..Plan::default() };
        plan.edges = Table::with_room(bytes / REALM_BYTES);
        // Mostly the layout is somewhat longer than the text, and what is not needed is given back.
        plan.bytes.0.reserve(bytes.saturating_add(bytes / 2));
        let mut seen = Seen::default();
        Builder::new(&mut plan, &Slots::default(), &mut seen).begin()?;
        Some(Self { plan, seen, more: Lists::new() })
    }

    /// For documents of so many bytes of which nothing was read yet.
    pub(crate) fn unread(bytes: usize) -> Option<Self> {
        Self::new(bytes, Vec::new())
    }

    /// Lays out a policy.
    pub(crate) fn add(&mut self, realm: &Pattern, policy: &mut Draft<'_>, slots: &Slots) -> Option<()> {
        let mut builder = Builder::new(&mut self.plan, slots, &mut self.seen);
        let (place, field) = builder.list(realm)?;
        let at = place.checked_add(field)?;
        if builder.plan.bytes.u32(at)? != 0 {
            self.more.entry((place, field)).or_default().push(policy.number);
            return Some(());
        }
        let unit = builder.only(policy)?;
        builder.fill(at, unit)
    }

    /// The layout of all documents of a set. Nothing, too, where a claim was asked for that a rule behind it asserts with what
    /// changes.
    pub(crate) fn finish(mut self, documents: &[Arc<Document>], numbers: &Numbers, slots: &Slots) -> Option<Plan> {
        let changing = changing(documents);
        if changing.iter().any(|it| self.seen.asked.contains(it)) {
            return None;
        }
        self.plan.changing = changing;
        Builder::new(&mut self.plan, slots, &mut self.seen).add_to(self.more, &Policies { documents, numbers })?;
        let mut plan = self.plan;
        plan.whole = plan.bytes.0.len();
        plan.bytes.0.shrink_to_fit();
        plan.edges.fit(|it| plan.bytes.hash_of_edge(it).unwrap_or_default());
        Some(plan.frozen())
    }
}

impl Builder<'_> {
    /// Adds policies to lists. Those that are no more go.
    pub(super) fn add_to(&mut self, lists: Lists, policies: &Policies<'_>) -> Option<()> {
        for ((place, field), more) in lists {
            let at = place.checked_add(field)?;
            let first = self.plan.bytes.u32(at)?;
            let old: Vec<Unit> = self.plan.units(first).collect();
            let mut here: Vec<u32> = old.iter().flat_map(|it| self.plan.policies(*it)).collect();
            for unit in old {
                self.plan.affixes.remove(&unit.at);
            }
            here.retain(|it| policies.numbers.document(*it).is_some());
            here.extend(more);
            let units = self.units(policies, &here)?;
            self.fill(at, units)?;
        }
        Some(())
    }

    /// The place of a realm, which is made where there is none, and where in it the realm's list is noted.
    pub(super) fn list(&mut self, realm: &Pattern) -> Option<(u32, u32)> {
        let root = self.child(0, WORLD, &realm.resource_type)?;
        let (depth, place) = self.walk(1, root, &realm.namespace)?;
        match &realm.local {
            LocalPattern::Below => Some((place, BELOW_AT)),
            LocalPattern::Exact => Some((place, EXACT_AT)),
            LocalPattern::Any => Some((place, ANY_AT)),
            LocalPattern::Named(parts) => {
                let root = self.branch(place, NAMED_AT)?;
                Some((self.walk(depth, root, parts)?.1, BELOW_AT))
            }
        }
    }

    fn walk(&mut self, depth: usize, from: u32, parts: &[Part]) -> Option<(usize, u32)> {
        let (mut depth, mut at) = (depth, from);
        for part in parts {
            at = match part {
                Part::Literal(text) => self.child(depth, at, text)?,
                Part::Variable(_) => self.branch(at, VARIABLE_AT)?,
            };
            depth = depth.saturating_add(1);
        }
        Some((depth, at))
    }

    /// Where a segment leads, which is the so manieth of its realm.
    fn child(&mut self, depth: usize, parent: u32, segment: &str) -> Option<u32> {
        if let Some(near) = self.seen.way.get(depth).filter(|it| self.plan.bytes.is_child(**it, parent, segment)) {
            return Some(*near);
        }
        let hash = hash::edge(parent, segment.as_bytes());
        let child = match self.plan.edge_of(hash, parent, segment) {
            Some(child) => child,
            None => {
                let child = self.place(Some((parent, segment)))?;
                let Plan { bytes, edges, .. } = &mut *self.plan;
                edges.insert(hash, child, |it| bytes.hash_of_edge(it).unwrap_or_default());
                child
            }
        };
        // What is a child of nothing is never near.
        self.seen.way.resize(depth, WORLD);
        self.seen.way.push(child);
        Some(child)
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

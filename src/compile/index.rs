//! The realms of a set as a tree of segments: finding the policies that speak of a name is a walk over its segments.

use std::{hash::BuildHasher, num::NonZeroU32};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use smol_str::SmolStr;

use crate::{
    compile::{
        realm::{LocalPattern, Part, Pattern},
        tree::{Standing, Tree, lists},
    },
    syntax::fqn::Fqn,
};

/// Policies by realm. What it finds is a superset of what matches by variables that occur twice; the caller binds.
#[derive(Debug, Default)]
pub(crate) struct Index {
    // INVARIANT (order): a place stands behind the one that it is reached from.
    places: Vec<Place>,
    /// The places under literal segments behind the hashes of parent and segment, by these.
    edges: HashTable<(u64, At)>,
    state: RandomState,
    /// The place of the resource type that was met last.
    last: Option<At>,
    // By policy: the one that was filed behind it in the same list.
    next: Vec<Option<At>>,
}

/// The number of a place or of a policy. In one of a hundred thousand places each byte counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct At(NonZeroU32);

impl At {
    /// More than 32 bits can number are never laid out (`Numbers`).
    fn of(index: usize) -> Self {
        let behind = u32::try_from(index.saturating_add(1)).ok().and_then(NonZeroU32::new);
        Self(behind.unwrap_or(NonZeroU32::MAX))
    }

    fn index(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX).saturating_sub(1)
    }
}

/// A pattern of namespaces, or of local names behind one, and the policies on it.
#[derive(Debug, Default)]
struct Place {
    /// None for roots of local names, and for what variables lead to.
    edge: Option<Edge>,
    variable: Option<At>,
    /// The root of the local names.
    named: Option<At>,
    /// On this and all below it.
    below: List,
    exact: List,
    any: List,
    /// Where a literal segment led to last: of policies that stand side by side most begin with the same.
    last: Option<At>,
}

/// The place above, and the segment or resource type that leads from there.
#[derive(Debug)]
struct Edge {
    /// None above the resource types.
    parent: Option<At>,
    segment: SmolStr,
}

/// Policies, ascending.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct List(Option<(At, At)>);

impl Index {
    /// Files a policy under its realm. They come in their order, from 0 on.
    pub(crate) fn insert(&mut self, realm: &Pattern) {
        let policy = At::of(self.next.len());
        self.next.push(None);
        let root = self.child_of(None, &realm.resource_type);
        let mut at = self.walk(root, &realm.namespace);
        if let LocalPattern::Named(parts) = &realm.local {
            at = self.branch(at, |it| &mut it.named);
            at = self.walk(at, parts);
        }
        let Some(place) = self.places.get_mut(at.index()) else { return };
        let list = match &realm.local {
            LocalPattern::Below | LocalPattern::Named(_) => &mut place.below,
            LocalPattern::Exact => &mut place.exact,
            LocalPattern::Any => &mut place.any,
        };
        let before = list.0.map(|(_, last)| last);
        list.0 = Some((list.0.map_or(policy, |(first, _)| first), policy));
        if let Some(next) = before.and_then(|it| self.next.get_mut(it.index())) {
            *next = Some(policy);
        }
    }

    fn walk(&mut self, from: At, parts: &[Part]) -> At {
        parts.iter().fold(from, |at, part| match part {
            Part::Literal(text) => self.child_of(Some(at), text),
            Part::Variable(_) => self.branch(at, |it| &mut it.variable),
        })
    }

    fn child_of(&mut self, parent: Option<At>, segment: &SmolStr) -> At {
        let last = parent.map_or(self.last, |it| self.places.get(it.index())?.last);
        let is_last = |it: &At| self.edge(*it).is_some_and(|it| it.segment == *segment);
        if let Some(last) = last.filter(is_last) {
            return last;
        }
        let hash = self.state.hash_one((parent, segment.as_str()));
        let next = At::of(self.places.len());
        let is_it = |(its, at): &(u64, At)| *its == hash && is_between(&self.places, *at, parent, segment);
        let child = match self.edges.entry(hash, is_it, |(its, _)| *its) {
            Entry::Occupied(child) => child.get().1,
            Entry::Vacant(room) => {
                room.insert((hash, next));
                self.add(Some(Edge { parent, segment: segment.clone() }))
            }
        };
        let last = match parent {
            Some(parent) => self.places.get_mut(parent.index()).map(|it| &mut it.last),
            None => Some(&mut self.last),
        };
        if let Some(last) = last {
            *last = Some(child);
        }
        child
    }

    fn find_child(&self, parent: Option<At>, segment: &str) -> Option<At> {
        let hash = self.state.hash_one((parent, segment));
        let found = self.edges.find(hash, |(_, at)| is_between(&self.places, *at, parent, segment));
        found.map(|(_, at)| *at)
    }

    fn edge(&self, at: At) -> Option<&Edge> {
        self.places.get(at.index())?.edge.as_ref()
    }

    fn branch(&mut self, at: At, field: fn(&mut Place) -> &mut Option<At>) -> At {
        let next = At::of(self.places.len());
        let Some(branch) = self.places.get_mut(at.index()).map(field) else { return at };
        if let Some(branch) = *branch {
            return branch;
        }
        *branch = Some(next);
        self.add(None)
    }

    fn add(&mut self, edge: Option<Edge>) -> At {
        let at = At::of(self.places.len());
        self.places.push(Place { edge, ..Place::default() });
        at
    }

    /// The policies of a list.
    fn list(&self, list: List) -> impl Iterator<Item = usize> {
        let all = std::iter::successors(list.0.map(|(first, _)| first), |it| *self.next.get(it.index())?);
        all.map(At::index)
    }

    /// How many policies were filed.
    pub(crate) fn count(&self) -> usize {
        self.next.len()
    }

    /// Whether the realm of some policy may hold the name.
    pub(crate) fn holds_some(&self, name: &Fqn) -> bool {
        !self.find(name).is_empty()
    }

    /// The policies whose realm may hold the name, ascending.
    fn find(&self, name: &Fqn) -> Vec<usize> {
        let mut found: Vec<usize> = lists(self, name).into_iter().flat_map(|it| self.list(it)).collect();
        found.sort_unstable();
        found
    }
}

/// Whether a place is where a segment leads to.
fn is_between(places: &[Place], at: At, parent: Option<At>, segment: &str) -> bool {
    let edge = places.get(at.index()).and_then(|it| it.edge.as_ref());
    edge.is_some_and(|it| it.parent == parent && it.segment == segment)
}

impl Tree for Index {
    type At = At;
    type List = List;

    fn root(&self, resource_type: &str) -> Option<At> {
        self.find_child(None, resource_type)
    }

    fn child(&self, at: At, segment: &str) -> Option<At> {
        self.find_child(Some(at), segment)
    }

    fn standing(&self, at: At) -> Option<Standing<At, List>> {
        let Place { variable, named, below, exact, any, .. } = *self.places.get(at.index())?;
        Some(Standing { variable, named, below, exact, any })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{
        compile::{
            index::Index,
            realm::{Pattern, Variables},
        },
        syntax::{fqn::Fqn, realm},
    };

    fn segments() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["a", "b", "ab", "[x]", "[y]"]);
        prop::collection::vec(segment, 0..4).prop_map(|it| it.join("/"))
    }

    fn realms() -> impl Strategy<Value = String> {
        let local = prop_oneof![
            Just(String::new()),
            Just("::".to_owned()),
            Just("::*".to_owned()),
            segments().prop_map(|it| format!("::{it}")),
        ];
        let resource_type = prop::sample::select(vec!["job", "package"]);
        (resource_type, segments(), local).prop_map(|(kind, namespace, local)| format!("{kind}::/{namespace}{local}"))
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_walk_over_all_realms_finds(realms in prop::collection::vec(realms(), 0..40), name in realms()) {
            let name = name.trim_end_matches("::").trim_end_matches("::*").replace(['[', ']'], "");
            let Ok(name) = Fqn::parse(&name) else { return Ok(()) };
            let read = |text: &String| {
                let mut variables = Variables::default();
                let pattern = Pattern::of_realm(&realm::parse(text, 0).ok()?, &mut variables);
                Some((pattern, variables.names().len()))
            };
            let realms: Vec<(Pattern, usize)> = realms.iter().filter_map(read).collect();
            let mut index = Index::default();
            for (it, _) in &realms {
                index.insert(it);
            }
            let holds = |at: &usize| realms[*at].0.bind(&name, realms[*at].1).is_some();
            let found: Vec<usize> = index.find(&name).into_iter().filter(holds).collect();
            let walked: Vec<usize> = (0..realms.len()).filter(holds).collect();
            prop_assert_eq!(found, walked);
        }
    }
}

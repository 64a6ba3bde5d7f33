//! The realms of a set as a tree of segments, and what their variables stand for.

use std::collections::HashMap;

use crate::compile::{
    plan::IN_LOCAL,
    realm::{LocalPattern, Part, Pattern},
};

/// Places before they have offsets.
#[derive(Default)]
pub(super) struct Tree<'a> {
    pub(super) places: Vec<Branch<'a>>,
    children: HashMap<(usize, &'a str), usize>,
    types: HashMap<&'a str, usize>,
}

#[derive(Default)]
pub(super) struct Branch<'a> {
    /// The place above and the segment between; none for roots of local names and what variables lead to.
    pub(super) edge: Option<(Option<usize>, &'a str)>,
    pub(super) variable: Option<usize>,
    pub(super) named: Option<usize>,
    pub(super) below: Vec<usize>,
    pub(super) exact: Vec<usize>,
    pub(super) any: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// Files a policy under its realm.
    pub(super) fn insert(&mut self, realm: &'a Pattern, policy: usize) {
        let resource_type = realm.resource_type.as_str();
        let root = match self.types.get(resource_type) {
            Some(root) => *root,
            None => {
                let root = self.add(Some((None, resource_type)));
                self.types.insert(resource_type, root);
                root
            }
        };
        let mut at = self.walk(root, &realm.namespace);
        if let LocalPattern::Named(parts) = &realm.local {
            let named = match self.places.get(at).and_then(|it| it.named) {
                Some(named) => named,
                None => self.add(None),
            };
            if let Some(place) = self.places.get_mut(at) {
                place.named = Some(named);
            }
            at = self.walk(named, parts);
        }
        let Some(place) = self.places.get_mut(at) else { return };
        match &realm.local {
            LocalPattern::Below | LocalPattern::Named(_) => place.below.push(policy),
            LocalPattern::Exact => place.exact.push(policy),
            LocalPattern::Any => place.any.push(policy),
        }
    }

    fn walk(&mut self, mut at: usize, parts: &'a [Part]) -> usize {
        for part in parts {
            at = match part {
                Part::Literal(text) => match self.children.get(&(at, text.as_str())) {
                    Some(child) => *child,
                    None => {
                        let child = self.add(Some((Some(at), text)));
                        self.children.insert((at, text), child);
                        child
                    }
                },
                Part::Variable(_) => match self.places.get(at).and_then(|it| it.variable) {
                    Some(child) => child,
                    None => {
                        let child = self.add(None);
                        if let Some(place) = self.places.get_mut(at) {
                            place.variable = Some(child);
                        }
                        child
                    }
                },
            };
        }
        at
    }

    fn add(&mut self, edge: Option<(Option<usize>, &'a str)>) -> usize {
        self.places.push(Branch { edge, ..Branch::default() });
        self.places.len().saturating_sub(1)
    }
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

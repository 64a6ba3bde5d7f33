//! Finding the policies that speak of a name: a walk over its segments.

use std::collections::BTreeMap;

use crate::{
    compile::realm::{LocalPattern, Part, Pattern},
    syntax::fqn::Fqn,
};

/// Policies by realm. What it finds is a superset of what matches by variables that occur twice; the caller binds.
#[derive(Debug, Default)]
pub(crate) struct Index {
    roots: BTreeMap<String, Namespace>,
}

/// The policies on one namespace pattern, by what they say of the local name.
#[derive(Debug, Default)]
struct Namespace {
    literal: BTreeMap<String, Self>,
    variable: Option<Box<Self>>,
    below: Vec<usize>,
    exact: Vec<usize>,
    any: Vec<usize>,
    named: Named,
}

/// The policies on one pattern of local names.
#[derive(Debug, Default)]
struct Named {
    literal: BTreeMap<String, Self>,
    variable: Option<Box<Self>>,
    here: Vec<usize>,
}

impl Index {
    /// Files a policy under its realm.
    pub(crate) fn insert(&mut self, realm: &Pattern, policy: usize) {
        let mut at = self.roots.entry(realm.resource_type.clone()).or_default();
        for part in &realm.namespace {
            at = match part {
                Part::Literal(text) => at.literal.entry(text.clone()).or_default(),
                Part::Variable(_) => at.variable.get_or_insert_default(),
            };
        }
        match &realm.local {
            LocalPattern::Below => at.below.push(policy),
            LocalPattern::Exact => at.exact.push(policy),
            LocalPattern::Any => at.any.push(policy),
            LocalPattern::Named(parts) => at.named.insert(parts, policy),
        }
    }

    /// The policies whose realm may hold the name, ascending.
    pub(crate) fn find(&self, name: &Fqn) -> Vec<usize> {
        let mut found = Vec::new();
        // Each place of the tree is a prefix of some realm and is reached once, so this is at most as many as realms
        // have segments.
        let mut here: Vec<&Namespace> = self.roots.get(name.resource_type()).into_iter().collect();
        for segment in name.namespace() {
            found.extend(here.iter().flat_map(|it| &it.below));
            here =
                here.iter().flat_map(|it| it.literal.get(segment).into_iter().chain(it.variable.as_deref())).collect();
        }
        for it in here {
            found.extend(it.below.iter().chain(&it.exact));
            if let Some(local) = name.local() {
                found.extend(&it.any);
                it.named.find(local, &mut found);
            }
        }
        found.sort_unstable();
        found
    }
}

impl Named {
    fn insert(&mut self, parts: &[Part], policy: usize) {
        let mut at = self;
        for part in parts {
            at = match part {
                Part::Literal(text) => at.literal.entry(text.clone()).or_default(),
                Part::Variable(_) => at.variable.get_or_insert_default(),
            };
        }
        at.here.push(policy);
    }

    fn find(&self, local: &[String], found: &mut Vec<usize>) {
        let mut here = vec![self];
        for segment in local {
            here =
                here.iter().flat_map(|it| it.literal.get(segment).into_iter().chain(it.variable.as_deref())).collect();
            found.extend(here.iter().flat_map(|it| &it.here));
        }
    }
}

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
            realms.iter().enumerate().for_each(|(at, (it, _))| index.insert(it, at));
            let holds = |at: &usize| realms[*at].0.bind(&name, realms[*at].1).is_some();
            let found: Vec<usize> = index.find(&name).into_iter().filter(holds).collect();
            let walked: Vec<usize> = (0..realms.len()).filter(holds).collect();
            prop_assert_eq!(found, walked);
        }
    }
}

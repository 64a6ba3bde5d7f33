//! The values that rules could assert of one type of claim, and those of them that a comparison is true of.

use std::{
    cell::{Cell, OnceCell},
    collections::BTreeMap,
};

use crate::compile::{
    affix::{Affix, Stands},
    condition::Comparison,
};

/// Tries of one value from which it is worth it to sort all parts of all values: that takes about as long.
const TRIES_WORTH_IT: usize = 256;

/// Values that are always tried one by one.
const TRIED_MAX: usize = 64;

/// Values with what is known of each.
#[derive(Debug)]
pub(super) struct Values<T> {
    // INVARIANT (order): ascending by value, which are unique.
    all: Vec<(String, T)>,
    /// How often one of them was tried.
    tries: Cell<usize>,
    /// Index of a value and the byte that a rest of it begins with: every rest of every value, ascending by text.
    rests: OnceCell<Vec<(usize, usize)>>,
}

impl<T> Values<T> {
    pub(super) fn new(values: BTreeMap<String, T>) -> Self {
        Self { all: values.into_iter().collect(), tries: Cell::new(0), rests: OnceCell::new() }
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.all.iter().map(|(value, it)| (value.as_str(), it))
    }

    /// That value.
    pub(super) fn get(&self, value: &str) -> Option<(&str, &T)> {
        let at = self.all.binary_search_by(|(own, _)| own.as_str().cmp(value)).ok()?;
        self.all.get(at).map(|(value, it)| (value.as_str(), it))
    }

    /// The values that a comparison is true of, ascending.
    pub(super) fn holding(&self, comparison: &Comparison, bound: &[&str]) -> Vec<(&str, &T)> {
        let holds = |(value, _): &(&str, &T)| comparison.holds_of(value, bound);
        let tries = self.tries.get().saturating_add(self.all.len());
        self.tries.set(tries);
        let is_worth_it = TRIED_MAX < self.all.len() && self.all.len().saturating_mul(TRIES_WORTH_IT) < tries;
        match comparison.affix(Some(bound)).filter(|_| is_worth_it) {
            Some(affix) => self.with_part(&affix).into_iter().filter(holds).collect(),
            None => self.iter().filter(holds).collect(),
        }
    }

    /// The values that have a part, ascending.
    fn with_part(&self, affix: &Affix<'_>) -> Vec<(&str, &T)> {
        let part = affix.text.as_bytes();
        let value = |at: usize| self.all.get(at).map_or("", |(value, _)| value.as_str());
        let rest = |&(at, from): &(usize, usize)| value(at).as_bytes().get(from..).unwrap_or_default();
        let at: Vec<usize> = if affix.stands == Stands::AtStart {
            let first = self.all.partition_point(|(value, _)| value.as_str() < affix.text.as_ref());
            (first..self.all.len()).take_while(|at| value(*at).as_bytes().starts_with(part)).collect()
        } else {
            let rests = self.rests.get_or_init(|| {
                let lengths = self.all.iter().map(|(value, _)| value.len()).enumerate();
                let mut rests: Vec<(usize, usize)> =
                    lengths.flat_map(|(at, length)| (0..length).map(move |from| (at, from))).collect();
                rests.sort_unstable_by(|a, b| rest(a).cmp(rest(b)));
                rests
            });
            let first = rests.partition_point(|it| rest(it) < part);
            let with_part = rests.iter().skip(first).take_while(|it| rest(it).starts_with(part));
            let behind = rests.partition_point(|it| rest(it) < part || rest(it).starts_with(part));
            if affix.stands == Stands::Anywhere && self.all.len() < behind.saturating_sub(first) {
                // It is in values again and again; then it is less to search each once.
                return self.iter().filter(|(value, _)| value.contains(affix.text.as_ref())).collect();
            }
            // The shortest come first.
            let ends = |it: &&(usize, usize)| affix.stands == Stands::Anywhere || rest(it).len() == part.len();
            let mut at: Vec<usize> = with_part.take_while(ends).map(|(at, _)| *at).collect();
            at.sort_unstable();
            at.dedup();
            at
        };
        at.into_iter().filter_map(|at| self.all.get(at)).map(|(value, it)| (value.as_str(), it)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use crate::{
        compile::affix::{Affix, Stands},
        eval::values::Values,
    };

    proptest! {
        #[test]
        fn values_with_a_part_are_those_that_a_search_finds(
            values in prop::collection::btree_set("[abé]{0,6}", 0..30),
            part in "[abé]{1,3}",
        ) {
            let all: BTreeMap<String, u8> = values.into_iter().map(|it| (it, 0)).collect();
            let values = Values::new(all.clone());
            for stands in [Stands::AtStart, Stands::AtEnd, Stands::Anywhere] {
                let has = |it: &&str| match stands {
                    Stands::AtStart => it.starts_with(&part),
                    Stands::AtEnd => it.ends_with(&part),
                    Stands::Anywhere => it.contains(&part),
                };
                let expected: Vec<&str> = all.keys().map(String::as_str).filter(has).collect();
                let affix = Affix { stands, text: part.as_str().into() };
                let found: Vec<&str> = values.with_part(&affix).into_iter().map(|(value, _)| value).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

//! Many texts looked for in a value at once, so that a thousand comparisons of a prefix cost no more than a few.
//!
//! One pass over the value finds all of them (Aho and Corasick, 1975). What is found may make a comparison true; what is
//! not found cannot.

use std::{borrow::Cow, ops::Range};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Where in a value a text must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    AtStart,
    AtEnd,
    Anywhere,
}

/// A text without which in a value no comparison of it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Affix<'a> {
    pub(crate) stands: Stands,
    pub(crate) text: Cow<'a, str>,
}

/// What is filed under texts.
#[derive(Debug)]
pub(crate) struct Affixes<T> {
    automaton: AhoCorasick,
    filed: Vec<(Stands, T)>,
    // By number of the text in the automaton.
    ranges: Vec<Range<usize>>,
}

impl<T> Affixes<T> {
    /// Files each under its text; nothing where they are more than can be looked for at once.
    pub(crate) fn new(mut all: Vec<(Affix<'_>, T)>) -> Option<Self> {
        all.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut filed = Vec::with_capacity(all.len());
        for (at, (affix, it)) in all.into_iter().enumerate() {
            filed.push((affix.stands, it));
            match ranges.last_mut().filter(|_| texts.last() == Some(&affix.text)) {
                Some(range) => range.end = filed.len(),
                None => {
                    texts.push(affix.text);
                    ranges.push(at..filed.len());
                }
            }
        }
        let mut builder = AhoCorasick::builder();
        // Of the kinds the one that takes the least memory for many texts and does not take long to build.
        builder.match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::ContiguousNFA)).prefilter(false);
        let automaton = builder.build(texts.iter().map(|it| it.as_bytes())).ok()?;
        Some(Self { automaton, filed, ranges })
    }

    /// What is filed under the texts in a value, as often as a text is there, and nothing for each that stands elsewhere than
    /// it must: of texts within each other there can be many at each byte, and whoever asks has to count them.
    pub(crate) fn find<'a>(&'a self, value: &'a str) -> impl Iterator<Item = Option<&'a T>> {
        let found = self.automaton.try_find_overlapping_iter(value).into_iter().flatten();
        found.flat_map(move |it| {
            let range = self.ranges.get(it.pattern().as_usize()).cloned().unwrap_or_default();
            let filed = self.filed.get(range).unwrap_or_default();
            let stands_there = move |stands: Stands| match stands {
                Stands::AtStart => it.start() == 0,
                Stands::AtEnd => it.end() == value.len(),
                Stands::Anywhere => true,
            };
            filed.iter().map(move |(stands, it)| stands_there(*stands).then_some(it))
        })
    }

    /// All that is filed, with where in a value its text must stand.
    pub(crate) fn all(&self) -> impl ExactSizeIterator<Item = (Stands, &T)> {
        self.filed.iter().map(|(stands, it)| (*stands, it))
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let filed = self.filed.len().saturating_mul(size_of::<(Stands, T)>());
        let ranges = self.ranges.len().saturating_mul(size_of::<Range<usize>>());
        self.automaton.memory_usage().saturating_add(filed).saturating_add(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use crate::compile::affix::{Affix, Affixes, Stands};

    proptest! {
        #[test]
        fn all_at_once_finds_what_one_by_one_finds(
            texts in prop::collection::vec("[abé]{0,4}", 0..30),
            value in "[abé]{0,12}",
        ) {
            let stands = [Stands::AtStart, Stands::AtEnd, Stands::Anywhere];
            let all: Vec<(Stands, &str)> = stands.into_iter().flat_map(|it| texts.iter().map(move |text| (it, text.as_str()))).collect();
            let affix = |(stands, text): (Stands, &'_ str)| Affix { stands, text: text.to_owned().into() };
            let affixes = Affixes::new(all.iter().enumerate().map(|(at, it)| (affix(*it), at)).collect()).unwrap();
            let found: BTreeSet<usize> = affixes.find(&value).flatten().copied().collect();
            let holds = |(stands, text): &(Stands, &str)| match stands {
                Stands::AtStart => value.starts_with(text),
                Stands::AtEnd => value.ends_with(text),
                Stands::Anywhere => value.contains(text),
            };
            let tried: BTreeSet<usize> = (0..all.len()).filter(|it| holds(&all[*it])).collect();
            prop_assert_eq!(found, tried);
        }
    }
}

//! A set after a change of some documents, and which names the change can matter to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    compile::{
        Finding, PolicySet, check, compile, compiled,
        document::{self, Document},
        index::Index,
        laid_out, of_program, plan,
        realm::Pattern,
    },
    source::Source,
    syntax::{Parse, fqn::Fqn, parse},
};

/// What a change of documents can matter to: names on which some policy is another than before.
#[derive(Debug, Default)]
pub struct Changes {
    realms: Index,
    /// Of some policy it could not be told which realm it has.
    is_unclear: bool,
}

impl Changes {
    /// How many policies are others than before.
    pub fn realms(&self) -> usize {
        self.realms.count()
    }

    /// Whether answers on a target may be others than before. Where not, they are the same, though a rule may stand in
    /// another line.
    pub fn may_touch(&self, target: &Fqn) -> bool {
        self.is_unclear || self.realms.holds_some(target)
    }
}

impl PolicySet {
    /// The set of other documents, as [`compile`] would make it, in the time that their difference takes.
    ///
    /// Documents are the same where name and text are. System documents stay part of it, or left out.
    ///
    /// # Errors
    ///
    /// As [`compile`].
    ///
    /// ```
    /// use gatehouse::{
    ///     compile::{System, compile},
    ///     source::Source,
    /// };
    ///
    /// let source = |name: &str, text: &str| Source::new(name, text.as_bytes().to_vec());
    /// let one = source("one.pol", "job::/one { permit ssh }")?;
    /// let before = compile(&[one.clone()], System::Included).unwrap();
    /// let after = before.changed_to(&[one, source("two.pol", "job::/two { permit ssh }")?]).unwrap();
    /// let changes = before.changes_to(&after);
    /// assert!(changes.may_touch(&"job::/two::web".parse()?));
    /// assert!(!changes.may_touch(&"job::/one::web".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn changed_to(&self, sources: &[Source]) -> Result<Self, Vec<Finding>> {
        // Whatever is wrong, and whatever is rare, is told and done by the long way.
        self.patched(sources).map_or_else(|| compile(sources, self.system), Ok)
    }

    /// What differs between this set and another, by the texts of their policies.
    pub fn changes_to(&self, after: &Self) -> Changes {
        let mut changes = Changes::default();
        for (document, it) in self.documents.iter().enumerate() {
            let there = after.index_of(self.name(document));
            let other = there.and_then(|there| Some((there, after.documents.get(there)?)));
            if other.is_some_and(|(_, other)| Arc::ptr_eq(it, other)) {
                continue;
            }
            let mut differing: BTreeMap<&str, (isize, &Document, usize)> = BTreeMap::new();
            self.count(document, 1, &mut differing);
            if let Some((there, _)) = other {
                after.count(there, -1, &mut differing);
            }
            changes.add(differing);
        }
        for document in 0..after.documents.len() {
            if self.index_of(after.name(document)).is_none() {
                let mut differing = BTreeMap::new();
                after.count(document, 1, &mut differing);
                changes.add(differing);
            }
        }
        changes
    }

    /// Counts the policies of a document by their texts.
    fn count<'a>(&'a self, document: usize, step: isize, texts: &mut BTreeMap<&'a str, (isize, &'a Document, usize)>) {
        let Some(of) = self.documents.get(document) else { return };
        for at in 0..of.count() {
            let text = of.realm(at).map_or("", |(span, _)| self.slice(document, span));
            let entry = texts.entry(text).or_insert((0, of, at));
            entry.0 = entry.0.saturating_add(step);
        }
    }

    fn name(&self, document: usize) -> &str {
        self.sources.get(document).map(Source::document).unwrap_or_default()
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.sources.binary_search_by(|it| it.document().cmp(name)).ok()
    }

    fn patched(&self, given: &[Source]) -> Option<Self> {
        let mut sources: Vec<Source> = given.to_vec();
        sources.extend(of_program(self.system));
        sources.sort_by(|a, b| a.document().cmp(b.document()));
        if sources.windows(2).any(|pair| matches!(pair, [a, b] if a.document() == b.document())) {
            return None;
        }
        // By document of the new set, the one that it was before.
        let kept: Vec<Option<usize>> = sources
            .iter()
            .map(|it| {
                self.index_of(it.document()).filter(|at| self.sources.get(*at).is_some_and(|own| own.has_text_of(it)))
            })
            .collect();
        let parsed: Vec<(usize, Parse)> = (kept.iter().zip(&sources).enumerate())
            .filter(|(_, (kept, _))| kept.is_none())
            .map(|(at, (_, source))| (at, parse(source)))
            .collect();
        if !self.is_sound(&sources, &parsed) {
            return None;
        }
        let mut slots = self.slots.clone();
        let mut documents: Vec<Arc<Document>> = Vec::with_capacity(sources.len());
        let mut new = Vec::new();
        let mut parsed = parsed.into_iter().peekable();
        for (at, kept) in kept.iter().enumerate() {
            documents.push(match kept {
                Some(before) => Arc::clone(self.documents.get(*before)?),
                None => {
                    let (_, parse) = parsed.next_if(|(it, _)| *it == at)?;
                    let mut realms = Vec::new();
                    let document = compiled(&mut slots, sources.get(at)?, &parse, |it| realms.push(it));
                    new.push((at, realms));
                    document
                }
            });
        }
        let mut numbers = self.numbers.clone();
        let mut now = vec![None; self.documents.len()];
        for (at, before) in kept.iter().enumerate() {
            if let Some(slot) = before.and_then(|it| now.get_mut(it)) {
                *slot = Some(at);
            }
        }
        numbers.rename(|before| now.get(before).copied().flatten());
        let gone = self.realms_of(now.iter().enumerate().filter(|(_, it)| it.is_none()).map(|(at, _)| at))?;
        let mut come = Vec::new();
        for (document, realms) in new {
            come.extend(numbers.add(document, realms.len())?.zip(realms));
        }
        match plan::patch(&self.plan, &gone, &come, &documents, &numbers, &slots) {
            Some(plan) => {
                document::make_ready_if_few(&mut documents, &slots);
                Some(Self { sources, documents, numbers, slots, plan, system: self.system })
            }
            None => laid_out(self.system, sources.into_iter().zip(documents).collect(), slots, None),
        }
    }

    /// Whether what is new is without error, by itself and beside the others.
    fn is_sound(&self, sources: &[Source], parsed: &[(usize, Parse)]) -> bool {
        let beside = |it: &Source| {
            let before = self.index_of(it.document()).and_then(|at| self.documents.get(at));
            before.is_some_and(|it| it.has_scalars)
        };
        let is_new: BTreeSet<usize> = parsed.iter().map(|(at, _)| *at).collect();
        let is_asserting = parsed.iter().any(|(_, it)| it.document.policies.iter().any(check::asserts_scalar));
        // Only what has one value can be contradicted by another document.
        let others: Vec<(&Source, Parse)> = (sources.iter().enumerate())
            .filter(|(at, it)| is_asserting && !is_new.contains(at) && beside(it))
            .map(|(_, it)| (it, parse(it)))
            .collect();
        let new = parsed.iter().filter_map(|(at, parse)| Some((sources.get(*at)?, parse)));
        let all: Vec<(&Source, &Parse)> = new.chain(others.iter().map(|(source, parse)| (*source, parse))).collect();
        let is_read = all.iter().all(|(_, parse)| parse.is_usable());
        is_read && !check::findings(&all, all.len()).iter().any(|it| it.diagnostic.is_error())
    }

    fn realms_of(&self, documents: impl Iterator<Item = usize>) -> Option<Vec<Pattern>> {
        let mut realms = Vec::new();
        for document in documents {
            let of = self.documents.get(document)?;
            realms.extend((0..of.count()).filter_map(|at| Some(of.realm(at)?.1)));
        }
        Some(realms)
    }
}

impl Changes {
    fn add(&mut self, differing: BTreeMap<&str, (isize, &Document, usize)>) {
        for (_, document, at) in differing.into_values().filter(|(count, _, _)| *count != 0) {
            match document.realm(at) {
                Some((_, realm)) => self.realms.insert(&realm),
                None => self.is_unclear = true,
            }
        }
    }
}

//! What is known of someone, looked at once.

use std::{cell::OnceCell, ops::Range};

use smallvec::SmallVec;

use crate::{
    compile::{plan::hash, slots::Key},
    eval::{BadRequest, Claim, Fact, Now, Request},
    syntax::words::is_same,
};

/// Facts that stand elsewhere and need no memory.
const TEXT_FACTS_MAX: usize = 64;

/// A principal's facts, ready for verdicts by any set. Made once for a token, or once for an operation with its context.
#[derive(Debug, Clone)]
pub struct Principal {
    // INVARIANT (pairs): as many as `facts`, one for each.
    hashes: Vec<u64>,
    facts: Vec<Spans>,
    kinds: Vec<Kind>,
    /// The facts' texts, one behind the other, so that those of one fact share a cache line.
    texts: String,
}

/// Where in the texts of a principal those of a fact begin, and where the last ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spans {
    issuer: u32,
    claim_type: u32,
    value: u32,
    end: u32,
}

/// The kinds of some facts, in the order of these.
#[derive(Debug, Default)]
pub(super) struct Kinds(SmallVec<[Kind; TEXT_FACTS_MAX]>);

/// Facts that follow on each other and have one issuer and type.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// Hash of issuer and type.
    of_type: u64,
    /// The first of the facts. The first of the next kind stands behind the last.
    first: usize,
}

/// Facts as a question looks at them.
#[derive(Debug)]
pub(super) struct Facts<'a, T> {
    all: &'a [T],
    texts: &'a str,
    kinds: &'a [Kind],
    hashes: Hashes<'a>,
}

/// The hash of each fact: known before, because most questions look at these alone, eight in a cache line; or made as soon
/// as somebody asks for them, which most questions never do.
#[derive(Debug, Clone, Copy)]
enum Hashes<'a> {
    Before(&'a [u64]),
    Asked(&'a Made),
}

/// Hashes of facts, once they were asked for.
pub(super) type Made = OnceCell<SmallVec<[u64; TEXT_FACTS_MAX]>>;

/// A fact, however it is kept.
pub(super) trait Kept {
    /// The fact, some of whose text may be in `texts`.
    fn fact<'a>(&'a self, texts: &'a str) -> Fact<&'a str>;

    /// The same as bytes, which costs less.
    fn bytes<'a>(&'a self, texts: &'a str) -> Fact<&'a [u8]>;
}

impl Kept for Fact<&str> {
    #[inline]
    fn fact<'a>(&'a self, _: &'a str) -> Fact<&'a str> {
        *self
    }

    #[inline]
    fn bytes<'a>(&'a self, _: &'a str) -> Fact<&'a [u8]> {
        Fact { issuer: self.issuer.as_bytes(), claim_type: self.claim_type.as_bytes(), value: self.value.as_bytes() }
    }
}

impl Kept for Spans {
    #[inline]
    fn fact<'a>(&'a self, texts: &'a str) -> Fact<&'a str> {
        self.parts(|it| texts.get(it))
    }

    #[inline]
    fn bytes<'a>(&'a self, texts: &'a str) -> Fact<&'a [u8]> {
        self.parts(|it| texts.as_bytes().get(it))
    }
}

impl Spans {
    #[inline]
    fn parts<P: Default>(&self, part: impl Fn(Range<usize>) -> Option<P>) -> Fact<P> {
        let part = |start: u32, end: u32| part(usize::try_from(start).ok()?..usize::try_from(end).ok()?);
        Fact {
            issuer: part(self.issuer, self.claim_type).unwrap_or_default(),
            claim_type: part(self.claim_type, self.value).unwrap_or_default(),
            value: part(self.value, self.end).unwrap_or_default(),
        }
    }
}

impl<T> Copy for Facts<'_, T> {}

impl<T> Clone for Facts<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Principal {
    /// Checks facts as [`Request::new`] does.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn new(facts: Vec<Fact>, now: Option<Now>) -> Result<Self, BadRequest> {
        // Facts obey the same rules whatever is asked about.
        let request = Request::new("job::/", facts, vec![Claim::permit("read")], now)?;
        let kinds = Kinds::of(request.facts().iter().map(Fact::as_text)).0.into_vec();
        let mut texts = String::new();
        let mut add = |text: &str| {
            texts.push_str(text);
            u32::try_from(texts.len()).map_err(|_| BadRequest::FactsTooLarge(texts.len()))
        };
        let mut end = 0;
        let mut spans = Vec::with_capacity(request.facts().len());
        for fact in request.facts() {
            let issuer = end;
            let (claim_type, value) = (add(&fact.issuer)?, add(&fact.claim_type)?);
            end = add(&fact.value)?;
            spans.push(Spans { issuer, claim_type, value, end });
        }
        let hashes = Facts { all: &spans, texts: &texts, kinds: &kinds, hashes: Hashes::Before(&[]) }.made().collect();
        Ok(Self { hashes, facts: spans, kinds, texts })
    }

    pub(super) fn facts(&self) -> Facts<'_, Spans> {
        Facts { all: &self.facts, texts: &self.texts, kinds: &self.kinds, hashes: Hashes::Before(&self.hashes) }
    }
}

impl Kinds {
    /// Of these facts.
    pub(super) fn of<'a>(facts: impl Iterator<Item = Fact<&'a str>>) -> Self {
        let mut kinds = Self::default();
        let mut last: Option<Fact<&str>> = None;
        for (at, fact) in facts.enumerate() {
            if !last.is_some_and(|it| it.is_of_type_of(&fact)) {
                kinds.begin(at, &fact);
            }
            last = Some(fact);
        }
        kinds
    }

    /// From this fact on, another.
    pub(super) fn begin(&mut self, first: usize, fact: &Fact<&str>) {
        self.0.push(Kind { of_type: hash::fact_type(fact.issuer, fact.claim_type), first });
    }
}

impl<'a> Facts<'a, Fact<&'a str>> {
    /// Facts that are not looked at before somebody asks for them.
    pub(super) fn of_text(all: &'a [Fact<&'a str>], kinds: &'a Kinds, made: &'a Made) -> Self {
        Self { all, texts: "", kinds: &kinds.0, hashes: Hashes::Asked(made) }
    }
}

impl<'a, T: Kept> Facts<'a, T> {
    pub(super) fn count(self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Fact<&'a str>> {
        self.all.iter().map(move |it| it.fact(self.texts))
    }

    /// The kinds, each with its facts.
    fn kinds(self) -> impl Iterator<Item = (u64, &'a [T])> {
        let behind = self.kinds.iter().skip(1).map(|it| it.first).chain([self.all.len()]);
        let of_kind = move |(kind, behind): (&Kind, usize)| self.all.get(kind.first..behind).unwrap_or_default();
        self.kinds.iter().zip(behind).map(move |it| (it.0.of_type, of_kind(it)))
    }

    /// The values of facts of a type.
    pub(super) fn values(self, key: &'a Key) -> impl Iterator<Item = &'a str> {
        // Hashes alone say only nearly what a fact is.
        let are_of = move |all: &[T]| all.first().is_some_and(|it| is_of(&it.bytes(self.texts), key));
        let of_type = self.kinds().filter(move |(of_type, all)| *of_type == key.of_type && are_of(all));
        of_type.flat_map(|it| it.1).map(move |it| it.fact(self.texts).value)
    }

    /// Whether there is one of this type and value, whose hash `hash` gives. What comparing one with the value takes is told
    /// to `spend`; nothing where there is not so much left.
    #[inline]
    pub(super) fn have(
        self,
        key: &Key,
        value: &[u8],
        hash: impl FnOnce() -> u64,
        mut spend: impl FnMut(usize) -> Option<()>,
    ) -> Option<bool> {
        match self.hashes {
            Hashes::Before(hashes) => {
                let hash = hash();
                for (_, it) in hashes.iter().zip(self.all).filter(|it| *it.0 == hash) {
                    let fact = it.bytes(self.texts);
                    if is_same(fact.value, value) && is_of(&fact, key) {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Hashes::Asked(_) => {
                for it in self.values(key) {
                    if it.len() == value.len() {
                        spend(value.len() / 16)?;
                        if is_same(it.as_bytes(), value) {
                            return Some(true);
                        }
                    }
                }
                Some(false)
            }
        }
    }

    /// The hash of each.
    pub(super) fn hashes(self) -> &'a [u64] {
        match self.hashes {
            Hashes::Before(hashes) => hashes,
            Hashes::Asked(made) => made.get_or_init(|| self.made().collect()),
        }
    }

    fn made(self) -> impl Iterator<Item = u64> {
        let of_one = move |(of_type, all): (u64, &'a [T])| {
            all.iter().map(move |it| hash::fact(of_type, it.fact(self.texts).value.as_bytes()))
        };
        self.kinds().flat_map(of_one)
    }
}

#[inline]
fn is_of(fact: &Fact<&[u8]>, key: &Key) -> bool {
    is_same(key.issuer.as_bytes(), fact.issuer) && is_same(key.claim_type.as_bytes(), fact.claim_type)
}

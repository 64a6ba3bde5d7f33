//! Numbers for what conditions ask for, so that an evaluation looks each of them up once.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::{
    compile::{
        packed::{Reader, Writer},
        plan::hash,
    },
    syntax::vocabulary::is_context,
};

/// The number of a fact's issuer and type, or of a claim type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) usize);

/// All that a policy set asks for or asserts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots {
    numbers: HashTable<usize>,
    state: RandomState,
    // By number.
    keys: Vec<Key>,
    // What was asked for last, with an issuer and without: mostly it is asked for again.
    last: Option<Slot>,
    last_alone: Option<Slot>,
}

/// What a slot stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Empty for context and for claims.
    pub(crate) issuer: String,
    pub(crate) claim_type: String,
    /// Hash of both, as verdicts know it.
    pub(crate) of_type: u64,
    /// Whether facts fill it; else only rules do.
    pub(crate) is_fact: bool,
}

impl Slots {
    /// The slot of facts of an issuer, or without one of context or of claims of this type.
    ///
    /// A claim without an issuer never means a token's fact: that is decided here, once (reference section 5).
    pub(crate) fn intern(&mut self, issuer: Option<&str>, claim_type: &str) -> Slot {
        let issuer = issuer.unwrap_or_default();
        let last = if issuer.is_empty() { self.last_alone } else { self.last };
        let slot = match last.filter(|it| self.is_of(*it, issuer, claim_type)) {
            Some(slot) => return slot,
            None => self.find(issuer, claim_type).unwrap_or_else(|| self.add(issuer, claim_type)),
        };
        *(if issuer.is_empty() { &mut self.last_alone } else { &mut self.last }) = Some(slot);
        slot
    }

    fn add(&mut self, issuer: &str, claim_type: &str) -> Slot {
        let number = self.keys.len();
        let is_fact = !issuer.is_empty() || is_context(claim_type);
        let of_type = hash::fact_type(issuer, claim_type);
        self.keys.push(Key { issuer: issuer.to_owned(), claim_type: claim_type.to_owned(), of_type, is_fact });
        let hash = |of: &Key| self.state.hash_one((of.issuer.as_str(), of.claim_type.as_str()));
        let of_number = |number: &usize| self.keys.get(*number).map_or(0, hash);
        self.numbers.insert_unique(of_number(&number), number, of_number);
        Slot(number)
    }

    /// The slot, if the set has anything to do with it.
    pub(crate) fn find(&self, issuer: &str, claim_type: &str) -> Option<Slot> {
        let is_it = |number: &usize| self.is_of(Slot(*number), issuer, claim_type);
        self.numbers.find(self.state.hash_one((issuer, claim_type)), is_it).copied().map(Slot)
    }

    fn is_of(&self, slot: Slot, issuer: &str, claim_type: &str) -> bool {
        self.key(slot).is_some_and(|it| it.claim_type == claim_type && it.issuer == issuer)
    }

    /// What a slot stands for.
    pub(crate) fn key(&self, slot: Slot) -> Option<&Key> {
        self.keys.get(slot.0)
    }

    /// Whether facts fill a slot; else only rules do.
    pub(crate) fn is_fact(&self, slot: Slot) -> bool {
        self.key(slot).is_some_and(|it| it.is_fact)
    }

    /// The claim type of a slot.
    pub(crate) fn claim_type(&self, slot: Slot) -> &str {
        self.key(slot).map(|it| it.claim_type.as_str()).unwrap_or_default()
    }

    /// Writes all of them.
    pub(super) fn put(&self, to: &mut Writer) {
        to.number(self.keys.len());
        for key in &self.keys {
            to.text(&key.issuer);
            to.text(&key.claim_type);
        }
    }

    /// Reads what was written.
    pub(super) fn take(from: &mut Reader<'_>) -> Option<Self> {
        let mut slots = Self::default();
        for _ in 0..from.number()? {
            let (issuer, claim_type) = (from.text()?, from.text()?);
            slots.intern(Some(issuer), claim_type);
        }
        Some(slots)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }
}

//! Numbers for what conditions ask for, so that an evaluation looks each of them up once.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smol_str::SmolStr;

use crate::{
    compile::{
        catalogue::{self, ClaimType, Combines, Covers},
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
    pub(crate) issuer: SmolStr,
    pub(crate) claim_type: SmolStr,
    /// Hash of both, as verdicts know it.
    pub(crate) of_type: u64,
    /// Whether facts fill it; else only rules do.
    pub(crate) is_fact: bool,
    /// What the catalogue has of it, where rules fill it.
    catalogued: Option<&'static ClaimType>,
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
        let catalogued = catalogue::claim_type(claim_type).filter(|_| issuer.is_empty());
        self.keys.push(Key { issuer: issuer.into(), claim_type: claim_type.into(), of_type, is_fact, catalogued });
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

    /// What several values of a claim come to on a resource type, as [`catalogue::combines`].
    pub(crate) fn combines(&self, slot: Slot, resource_type: &str) -> Combines {
        let catalogued = self.key(slot).and_then(|it| it.catalogued);
        catalogued.filter(|it| it.is_on(resource_type)).map_or(Combines::Union, |it| it.combines)
    }

    /// When an asserted value of a claim covers a wanted one, as [`catalogue::covers`].
    pub(crate) fn covers(&self, slot: Slot) -> Covers {
        self.key(slot).and_then(|it| it.catalogued).map_or(Covers::Equal, |it| it.covers)
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
}

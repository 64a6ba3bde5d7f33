//! Numbers for what conditions ask for, so that an evaluation looks each of them up once.

use std::collections::BTreeMap;

use crate::syntax::vocabulary::is_context;

/// The number of a fact's issuer and type, or of a claim type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) usize);

/// All that a policy set asks for or asserts.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    numbers: BTreeMap<(String, String), Slot>,
    // By number.
    keys: Vec<Key>,
}

/// What a slot stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// Empty for context and for claims.
    pub(crate) issuer: String,
    pub(crate) claim_type: String,
    /// Whether facts fill it; else only rules do.
    pub(crate) is_fact: bool,
}

impl Slots {
    /// The slot of facts of an issuer, or without one of context or of claims of this type.
    ///
    /// A claim without an issuer never means a token's fact: that is decided here, once (reference section 5).
    pub(crate) fn intern(&mut self, issuer: Option<&str>, claim_type: &str) -> Slot {
        let issuer = issuer.unwrap_or_default();
        let next = Slot(self.keys.len());
        let slot = *self.numbers.entry((issuer.to_owned(), claim_type.to_owned())).or_insert(next);
        if slot == next {
            let is_fact = !issuer.is_empty() || is_context(claim_type);
            self.keys.push(Key { issuer: issuer.to_owned(), claim_type: claim_type.to_owned(), is_fact });
        }
        slot
    }

    /// The slot, if the set has anything to do with it.
    pub(crate) fn find(&self, issuer: &str, claim_type: &str) -> Option<Slot> {
        self.numbers.get(&(issuer.to_owned(), claim_type.to_owned())).copied()
    }

    /// What a slot stands for.
    pub(crate) fn key(&self, slot: Slot) -> Option<&Key> {
        self.keys.get(slot.0)
    }

    /// The claim type of a slot.
    pub(crate) fn claim_type(&self, slot: Slot) -> &str {
        self.key(slot).map(|it| it.claim_type.as_str()).unwrap_or_default()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }
}

//! What is known of someone, looked at once.

use crate::{
    compile::plan::hash,
    eval::{BadRequest, Claim, Fact, Now, Request},
};

/// A principal's facts, ready for verdicts by any set. Made once for a token, or once for an operation with its context.
#[derive(Debug, Clone)]
pub struct Principal {
    // INVARIANT (pairs): as many as `known`, one for each.
    hashes: Vec<u64>,
    known: Vec<Known>,
}

/// A fact and the hash of its issuer and type.
#[derive(Debug, Clone)]
pub(super) struct Known<T = String> {
    pub(super) of_type: u64,
    pub(super) fact: Fact<T>,
}

/// Facts with their hashes apart, because most questions look at these alone: eight of them share a cache line.
#[derive(Debug)]
pub(super) struct Facts<'a, T> {
    pub(super) hashes: &'a [u64],
    pub(super) known: &'a [Known<T>],
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
        let (hashes, known) = request.facts().iter().cloned().map(Known::hashed).unzip();
        Ok(Self { hashes, known })
    }

    pub(super) fn facts(&self) -> Facts<'_, String> {
        Facts { hashes: &self.hashes, known: &self.known }
    }
}

impl<T: AsRef<str>> Known<T> {
    /// A fact, and the hash of all of it before it.
    pub(super) fn hashed(fact: Fact<T>) -> (u64, Self) {
        let of_type = hash::fact_type(fact.issuer.as_ref(), fact.claim_type.as_ref());
        Self::hashed_with(of_type, fact)
    }

    /// The same where the hash of its issuer and type is known.
    pub(super) fn hashed_with(of_type: u64, fact: Fact<T>) -> (u64, Self) {
        (hash::fact(of_type, fact.value.as_ref()), Self { of_type, fact })
    }

    pub(super) fn value(&self) -> &str {
        self.fact.value.as_ref()
    }
}

impl<'a, T> Facts<'a, T> {
    /// Those whose hash this is.
    pub(super) fn with_hash(self, hash: u64) -> impl Iterator<Item = &'a Known<T>> {
        self.hashes.iter().zip(self.known).filter(move |it| *it.0 == hash).map(|it| it.1)
    }
}

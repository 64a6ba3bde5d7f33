//! What is known of someone, looked at once.

use crate::{
    compile::plan::hash,
    eval::{BadRequest, Claim, Fact, Now, Request},
};

/// A principal's facts, ready for verdicts by any set. Made once for a token, or once for an operation with its context.
#[derive(Debug, Clone)]
pub struct Principal {
    facts: Vec<Known>,
}

/// A fact with its hashes.
#[derive(Debug, Clone)]
pub(super) struct Known<T = String> {
    pub(super) of_type: u64,
    pub(super) hash: u64,
    pub(super) fact: Fact<T>,
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
        Ok(Self { facts: request.facts().iter().cloned().map(Known::new).collect() })
    }

    pub(super) fn facts(&self) -> &[Known] {
        &self.facts
    }
}

impl<T: AsRef<str>> Known<T> {
    pub(super) fn new(fact: Fact<T>) -> Self {
        let of_type = hash::fact_type(fact.issuer.as_ref(), fact.claim_type.as_ref());
        Self { of_type, hash: hash::fact(of_type, fact.value.as_ref()), fact }
    }

    pub(super) fn value(&self) -> &str {
        self.fact.value.as_ref()
    }
}

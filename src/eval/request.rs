//! What is asked: target, facts, wanted claims.

use crate::syntax::fqn::{Fqn, FqnError};

/// A claim: type and value, asserted by the engine or wanted from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// `permit`.
    pub claim_type: String,
    /// `ssh`.
    pub value: String,
}

/// Something known about the principal or, with an empty issuer, about the operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fact {
    /// `auth_server@apcera.me`; empty for context.
    pub issuer: String,
    /// `name`.
    pub claim_type: String,
    /// `tom`.
    pub value: String,
}

/// One instant in the cluster's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Offset of the cluster's zone from UTC at that instant.
    pub offset_seconds: i32,
}

/// A well-formed question. Made only by [`Request::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    // INVARIANT (valid): the facts obey `language.md` section 5 and the limits, are unique and ascending, and hold the
    // time context of `now`; `want` is not empty.
    target: Fqn,
    facts: Vec<Fact>,
    want: Vec<Claim>,
    now: Option<Now>,
}

/// Why a question cannot be decided; it is then refused, never decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Nothing is wanted.
    #[error("the request wants nothing")]
    EmptyWant,
    /// The target is no complete name.
    #[error("the target is no complete name: {0}")]
    Target(#[from] FqnError),
}

impl Request {
    /// Checks target and facts; `now` supplies the time context (`time.*`), which facts then may not.
    pub fn new(target: &str, facts: Vec<Fact>, want: Vec<Claim>, now: Option<Now>) -> Result<Self, BadRequest> {
        if want.is_empty() {
            return Err(BadRequest::EmptyWant);
        }
        Ok(Self { target: Fqn::parse(target)?, facts, want, now })
    }

    /// What is to be operated on.
    pub fn target(&self) -> &Fqn {
        &self.target
    }

    /// Unique, ascending; those of the time context are among them.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// At least one, in the order given.
    pub fn want(&self) -> &[Claim] {
        &self.want
    }

    /// The instant that the time context is from.
    pub fn now(&self) -> Option<Now> {
        self.now
    }
}

impl Claim {
    /// A claim of any type.
    pub fn new(claim_type: impl Into<String>, value: impl Into<String>) -> Self {
        Self { claim_type: claim_type.into(), value: value.into() }
    }

    /// `permit VALUE`.
    pub fn permit(value: impl Into<String>) -> Self {
        Self::new("permit", value)
    }
}

impl Fact {
    /// What an issuer says of the principal.
    pub fn new(issuer: impl Into<String>, claim_type: impl Into<String>, value: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), claim_type: claim_type.into(), value: value.into() }
    }

    /// What the engine says of the operation.
    pub fn context(claim_type: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new("", claim_type, value)
    }
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.claim_type, self.value)
    }
}

//! What is answered: allowed or denied, and why.

use smol_str::SmolStr;

use crate::eval::{Claim, Effective, Fact};

/// The answer to a request.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    // INVARIANT (allowed): true only where `missing` and `refusals` are empty; the default is a denial.
    pub(crate) allowed: bool,
    pub(crate) missing: Vec<Claim>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) why: Vec<Step>,
    pub(crate) because: Vec<Place>,
    pub(crate) effective: Effective,
    pub(crate) valid_until: Option<i64>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Document name without `.pol`.
    pub document: SmolStr,
    /// From 1.
    pub line: usize,
    /// From 1, in code points.
    pub column: usize,
}

/// One asserted claim and the rule of least height that asserts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was asserted.
    pub claim: Claim,
    /// The asserting rule.
    pub place: Place,
    /// What made the rule's condition true, in the order of its text; empty where it has none.
    pub used: Vec<Used>,
}

/// What a comparison that holds rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Used {
    /// A fact of the request, context and time included.
    Fact(Fact),
    /// A claim asserted by another step, which stands before this one.
    Claim(Claim),
}

/// Why a request is refused although all that it wants was asserted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// The most specific realms give a scalar several values.
    #[error("conflicting values of `{claim_type}` on equally specific realms: `{first}` and `{second}`")]
    Conflict {
        /// `ssh.user`.
        claim_type: String,
        /// The lesser of two of them by bytes.
        first: String,
        /// The greater.
        second: String,
    },
    /// `ssh.require` names a fact type that the request does not bring.
    #[error("`ssh.require` asks for `{fact}`, which the request does not bring")]
    Required {
        /// `mfa`, `approval`.
        fact: String,
    },
    /// A restricting claim has a value that nobody can hold the operation to.
    #[error("`{value}` is no value that `{claim_type}` can have")]
    Unreadable {
        /// `ssh.idleTimeout`.
        claim_type: String,
        /// The value.
        value: String,
    },
    /// A token would be issued without a name.
    #[error("no rule asserts a `name` for the token")]
    NoName,
    /// A token would be issued under a name that belongs to a job or another resource.
    #[error("the name `{name}` reads like a resource, and the token is not issued for it")]
    ReservedName {
        /// The name.
        name: String,
    },
}

impl Refusal {
    /// The claim type whose restriction it is.
    pub fn claim_type(&self) -> &str {
        match self {
            Self::Conflict { claim_type, .. } | Self::Unreadable { claim_type, .. } => claim_type,
            Self::Required { .. } => "ssh.require",
            Self::NoName | Self::ReservedName { .. } => "name",
        }
    }
}

impl Decision {
    /// Whether every wanted claim was asserted and no restriction refuses.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// Wanted claims that were not asserted: unique, in the request's order.
    pub fn missing(&self) -> &[Claim] {
        &self.missing
    }

    /// Restrictions that refuse what would otherwise be allowed: unique, ascending.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// All asserted claims: unique, ascending by bytes.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The values that a claim type was asserted with, ascending.
    pub fn values<'a>(&'a self, claim_type: &'a str) -> impl Iterator<Item = &'a str> {
        self.claims.iter().filter(move |it| it.claim_type == claim_type).map(|it| it.value.as_str())
    }

    /// One derivation of least height for each asserted claim; what a step uses stands before it.
    pub fn why(&self) -> &[Step] {
        &self.why
    }

    /// Rules of one derivation of each wanted claim: unique, ascending; empty on denial.
    pub fn because(&self) -> &[Place] {
        &self.because
    }

    /// Restricting claims and scalars in force.
    pub fn effective(&self) -> &Effective {
        &self.effective
    }

    /// Unix second at which a time condition that the decision depends on turns.
    pub fn valid_until(&self) -> Option<i64> {
        self.valid_until
    }
}

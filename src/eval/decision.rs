//! What is answered: allowed or denied, and why.

use std::collections::BTreeMap;

use crate::eval::Claim;

/// The answer to a request.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    // INVARIANT (allowed): `missing` is empty and nothing in `effective` refuses.
    allowed: bool,
    missing: Vec<Claim>,
    claims: Vec<Claim>,
    because: Vec<Place>,
    effective: Effective,
    valid_until: Option<i64>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Document name without `.pol`.
    pub document: String,
    /// From 1.
    pub line: usize,
    /// From 1, in code points.
    pub column: usize,
}

/// Restricting claims and scalars in force: claim type to its values (one for scalars and for "least wins").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Ascending by type.
    pub values: BTreeMap<String, Vec<String>>,
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

    /// All asserted claims: unique, ascending by bytes.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
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

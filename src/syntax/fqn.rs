//! Fully qualified names of requests.

/// A complete name without pattern: `job::/sandbox/tom::web`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqn {}

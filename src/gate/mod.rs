//! From a token and an operation to a decision, and from a decision to a grant.

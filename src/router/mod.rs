//! The router: the only door that clients see.

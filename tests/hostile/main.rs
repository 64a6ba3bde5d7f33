//! Hostile documents are answered within a small stack and 64 MiB, by every part of the language that sees them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::string_slice, reason = "a test fails by panicking")]

mod documents;
mod growth;
mod meter;
mod pipeline;
mod verdict;

//! The platform's parts against each other, without containers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "platform")]

#[path = "platform/config.rs"]
mod config;

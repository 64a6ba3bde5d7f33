//! The platform's parts against each other, without containers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]
#![cfg(feature = "platform")]

#[path = "platform/api/mod.rs"]
mod api;
#[path = "platform/audit.rs"]
mod audit;
#[path = "platform/auth/mod.rs"]
mod auth;
#[path = "platform/authority.rs"]
mod authority;
#[path = "platform/config.rs"]
mod config;
#[path = "platform/embedded.rs"]
mod embedded;
#[path = "platform/link.rs"]
mod link;
#[path = "platform/router.rs"]
mod router;
#[path = "platform/sealing.rs"]
mod sealing;
#[path = "platform/session/mod.rs"]
mod session;
#[path = "platform/store.rs"]
mod store;

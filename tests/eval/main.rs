//! The meaning of the language: cases by topic, and two evaluators that must agree.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::format_push_string, reason = "a test may be slow where that reads better")]

mod agreement;
mod cases;
mod change;
mod parts;
mod property;
mod questions;
mod regressions;
mod scale;
mod sealed;
mod subset;
mod suites;
mod world;

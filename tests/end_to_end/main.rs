//! The whole of it against the real things: `apc` and `apcd` as processes, containers, NAT, OpenSSH.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    let_underscore_drop,
    unreachable_pub,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

mod apart;
mod cluster;
mod connect;
mod console;
mod demo;
mod policy;
mod store;

//! The programs' command lines.

mod apc;
pub mod client;
pub mod connect;
mod policy;

use std::process::ExitCode;

/// Runs `apc` with the process's arguments.
pub fn apc() -> ExitCode {
    apc::run()
}

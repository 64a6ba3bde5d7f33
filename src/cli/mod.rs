//! The programs' command lines.

mod apc;
pub mod client;
pub mod connect;
mod daemon;
mod demo;
mod policy;

use std::process::ExitCode;

/// Runs `apc` with the process's arguments.
pub fn apc() -> ExitCode {
    apc::run()
}

/// Runs `apcd` with the process's arguments.
pub fn apcd() -> ExitCode {
    daemon::run()
}

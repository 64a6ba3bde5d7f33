//! `apc-agent idle`: the first process of an instance that runs nothing of its own. It waits for the end and buries orphans.

use std::process::ExitCode;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the mode; ends at SIGTERM or SIGINT.
///
/// The first process of a namespace is the parent of every process there that has lost its own, and gets only signals
/// that it catches.
pub(in crate::ssh) fn run() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    runtime.block_on(async {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::child()));
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut deaths)) = signals else { return ExitCode::FAILURE };
        loop {
            // Before the wait too: one may have died before the signal was watched.
            while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
            tokio::select! {
                _ = terminate.recv() => return ExitCode::SUCCESS,
                _ = interrupt.recv() => return ExitCode::SUCCESS,
                _ = deaths.recv() => (),
            }
        }
    })
}

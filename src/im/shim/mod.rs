//! The process that holds one instance: parent of its container, keeper of its logs and exit status.

use std::{path::Path, process::ExitCode};

/// Entry of `apcd shim DIR`, where `DIR` is the instance's folder in the manager's state.
///
/// Must be called before the program has started any thread: it enters namespaces of its own.
pub fn main(folder: &Path) -> ExitCode {
    let _ = folder;
    ExitCode::FAILURE
}

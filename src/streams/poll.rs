//! Descriptors under the runtime's poller.

use std::{io, os::fd::OwnedFd};

use tokio::io::{Interest, unix::AsyncFd};

/// Hands a non-blocking descriptor to the poller.
pub(crate) fn poll(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "the poller trusts that a descriptor stays what it is")]
    // SAFETY: an `OwnedFd` is one descriptor, always the same, open until dropped; `AsyncFd` owns it and hands out
    // no `&mut` that it could be replaced by in this program.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(registered?)
}

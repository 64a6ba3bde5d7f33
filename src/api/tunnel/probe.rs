//! Where a test can step in between the decision and the first byte.

use std::{fmt, sync::Arc};

use crate::api::tunnel::instance::Doing;

/// Points of an opening, in their order; at each of them the world may change and must be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The gate has said yes.
    Decided,
    /// The session is in the table.
    Entered,
    /// The revision was read again.
    Reread,
    /// The signer has said yes.
    Signed,
    /// The host key was checked.
    Dialed,
    /// The instance has taken the certificate.
    Authenticated,
    /// The audit log has it.
    Recorded,
    /// The grant was looked at again; what follows is 101.
    Rechecked,
    /// The connection is a WebSocket.
    Upgraded,
    /// The process runs; nothing of it was read.
    Started,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Decided,
        Self::Entered,
        Self::Reread,
        Self::Signed,
        Self::Dialed,
        Self::Authenticated,
        Self::Recorded,
        Self::Rechecked,
        Self::Upgraded,
        Self::Started,
    ];
}

/// A test's hook. Production has none, which costs one comparison.
pub trait Probe: Send + Sync + fmt::Debug + 'static {
    /// The session goes on when this is done.
    fn reached(&self, step: Step, session: &str) -> Doing<'_, ()>;
}

/// Calls the probe, if there is one.
pub(crate) async fn reached(probe: Option<&Arc<dyn Probe>>, step: Step, session: &str) {
    if let Some(probe) = probe {
        probe.reached(step, session).await;
    }
}

//! Sessions that are admitted: each once at a time, ended from outside, and reported when nothing of it is left.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::{
    ssh::{certificate::Refusal, transport},
    wire::sign::SessionOption,
};

/// Why a session is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::ssh) enum NotAdmitted {
    #[error(transparent)]
    Certificate(#[from] Refusal),
    /// Its processes would be in the cgroup of the other, and be killed at the end of either.
    #[error("a session of this name is there already")]
    Twice,
}

/// All admitted sessions.
#[derive(Debug)]
pub(in crate::ssh) struct Leases {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    left: mpsc::UnboundedSender<String>,
}

#[derive(Debug)]
struct Entry {
    epoch: u64,
    revoked: watch::Sender<bool>,
    connection: Arc<transport::Control>,
}

/// One admitted session; the connection and each of its processes hold it. When the last lets go, the session is left.
#[derive(Debug)]
pub(in crate::ssh) struct Lease {
    session: String,
    user: Option<String>,
    revoked: watch::Receiver<bool>,
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    left: mpsc::UnboundedSender<String>,
}

impl Leases {
    /// Names of sessions that were left come out of `left`.
    pub(in crate::ssh) fn new(left: mpsc::UnboundedSender<String>) -> Leases {
        Leases { entries: Arc::default(), left }
    }

    /// Admits a session.
    pub(in crate::ssh) fn enter(
        &self,
        option: SessionOption,
        connection: Arc<transport::Control>,
    ) -> Result<Arc<Lease>, NotAdmitted> {
        let mut entries = lock(&self.entries);
        if entries.contains_key(&option.session) {
            return Err(NotAdmitted::Twice);
        }
        let (revoked, receiver) = watch::channel(false);
        entries.insert(option.session.clone(), Entry { epoch: option.epoch, revoked, connection });
        Ok(Arc::new(Lease {
            session: option.session,
            user: option.user,
            revoked: receiver,
            entries: Arc::clone(&self.entries),
            left: self.left.clone(),
        }))
    }

    /// Ends all sessions of other epochs.
    pub(in crate::ssh) fn revoke_unless(&self, epoch: u64) {
        for entry in lock(&self.entries).values().filter(|it| it.epoch != epoch) {
            entry.revoke();
        }
    }

    /// Whether nothing is left of any.
    pub(in crate::ssh) fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    /// Ends all sessions.
    pub(in crate::ssh) fn revoke_all(&self) {
        for entry in lock(&self.entries).values() {
            entry.revoke();
        }
    }
}

impl Entry {
    fn revoke(&self) {
        self.revoked.send_replace(true);
        self.connection.cut();
    }
}

impl Lease {
    /// Its id.
    pub(in crate::ssh) fn session(&self) -> &str {
        &self.session
    }

    /// Whom policy wants it to run as.
    pub(in crate::ssh) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether it was ended from outside.
    pub(in crate::ssh) fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Waits until it is ended from outside.
    pub(in crate::ssh) async fn revoked(&self) {
        if self.revoked.clone().wait_for(|it| *it).await.is_err() {
            // The entry lives as long as the lease.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.entries).remove(&self.session);
        let _agent_ends = self.left.send(self.session.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

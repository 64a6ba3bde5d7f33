//! App consoles: throw-away clones that live no longer than the session they are for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

/// The consoles that this API server keeps alive. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Consoles {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeMap<Uuid, Held>>,
    changed: Notify,
}

/// A clone whose lease this process renews.
#[derive(Debug, Default)]
struct Held {
    /// Sessions into it that are open now.
    sessions: usize,
    /// The last session has ended: stop and delete.
    ended: bool,
}

impl Consoles {
    /// A session into this job has begun. Nothing happens unless the job is a console's clone that is held here.
    pub fn session_started(&self, clone: Uuid) {
        if let Some(held) = self.held().get_mut(&clone) {
            held.sessions = held.sessions.saturating_add(1);
        }
        self.inner.changed.notify_waiters();
    }

    /// A session into this job is over; with the last one the clone goes.
    pub fn session_ended(&self, clone: Uuid) {
        if let Some(held) = self.held().get_mut(&clone) {
            held.sessions = held.sessions.saturating_sub(1);
            held.ended = held.sessions == 0;
        }
        self.inner.changed.notify_waiters();
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Uuid, Held>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

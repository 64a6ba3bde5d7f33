//! App consoles: throw-away clones that live no longer than the session they are for.
//!
//! A clone's lease is written before the clone, and the clone's record names the lease. While a session into the clone is
//! open, or within the grace before the first one, the [`keeper`] renews the lease in the store and at the instance
//! manager. When the session ends it deletes the clone. If this process dies, any API server's [`sweep`] sees a lease
//! that no longer grows, takes it and deletes; and the manager stops an instance that nobody renews.

mod clone;
pub(crate) mod keeper;
mod lease;
pub(crate) mod open;
pub(crate) mod sweep;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

/// From the answer that a console is ready to its first session; then its clone goes.
pub(crate) const GRACE: Duration = Duration::from_secs(30);

/// The consoles that this API server keeps alive. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Consoles {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeMap<Uuid, Held>>,
    /// Something is to be deleted.
    due: Notify,
}

/// A clone whose lease this process renews, by the clone's uuid.
#[derive(Debug, Clone)]
struct Held {
    /// Names the lease.
    session: String,
    /// Sessions into it that are open now.
    sessions: usize,
    /// From when on it is to be deleted; none while a session is open or it is being started.
    ends: Option<Instant>,
}

impl Consoles {
    /// A session into this job has begun. Nothing happens unless the job is a console's clone that is held here.
    pub fn session_started(&self, clone: Uuid) {
        if let Some(held) = self.held().get_mut(&clone) {
            held.sessions = held.sessions.saturating_add(1);
            held.ends = None;
        }
    }

    /// A session into this job is over; with the last one the clone goes.
    pub fn session_ended(&self, clone: Uuid) {
        if let Some(held) = self.held().get_mut(&clone) {
            held.sessions = held.sessions.saturating_sub(1);
            if held.sessions == 0 {
                held.ends = Some(Instant::now());
            }
        }
        self.inner.due.notify_one();
    }

    /// Whether this process keeps that clone alive.
    pub fn holds(&self, clone: Uuid) -> bool {
        self.held().contains_key(&clone)
    }

    /// Keeps a clone from now on; it goes when the guard is dropped without [`Starting::ready`].
    fn hold(&self, clone: Uuid, session: &str) -> Starting {
        let held = Held { session: session.to_owned(), sessions: 0, ends: None };
        self.held().insert(clone, held);
        Starting { consoles: self.clone(), clone, ends: Duration::ZERO }
    }

    fn forget(&self, clone: Uuid) {
        self.held().remove(&clone);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Uuid, Held>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A console that is being started. A client that goes away drops the request and with it this.
#[derive(Debug)]
struct Starting {
    consoles: Consoles,
    clone: Uuid,
    ends: Duration,
}

impl Starting {
    /// It runs: a session must begin within the grace.
    fn ready(mut self) {
        self.ends = GRACE;
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(held) = self.consoles.held().get_mut(&self.clone).filter(|it| it.sessions == 0) {
            held.ends = Some(Instant::now() + self.ends);
        }
        self.consoles.inner.due.notify_one();
    }
}

//! Who watches what, and how each of them is told without ever being waited for.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;

use crate::store::{Entry, Key, Revision, WatchEvent};

/// Changes that may wait for a watcher before it counts as lost.
const CHANGES_MAX: usize = 1_024;
/// Events that may wait in the receiver's hands.
const EVENTS_MAX: usize = 64;

/// All watchers of a store. Whoever writes owns it and publishes in the order of revisions.
#[derive(Debug, Default)]
pub(in crate::store) struct Watchers(Vec<Watcher>);

#[derive(Debug)]
struct Watcher {
    prefix: Key,
    changes: mpsc::Sender<Arc<WatchEvent>>,
    lagging: Arc<AtomicBool>,
}

/// A watch that has begun: what was there, and what comes.
#[derive(Debug)]
pub(in crate::store) struct Subscription {
    snapshot: Vec<Entry>,
    at: Revision,
    changes: mpsc::Receiver<Arc<WatchEvent>>,
    lagging: Arc<AtomicBool>,
}

impl Watchers {
    /// Adds a watcher to whom `snapshot` is everything below `prefix` at `at`.
    pub(in crate::store) fn add(&mut self, prefix: Key, snapshot: Vec<Entry>, at: Revision) -> Subscription {
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        let lagging = Arc::<AtomicBool>::default();
        self.0.push(Watcher { prefix, changes: sender, lagging: Arc::clone(&lagging) });
        Subscription { snapshot, at, changes, lagging }
    }

    /// Tells those below whose prefix the key lies. One who has not taken the last thousand is let go.
    pub(in crate::store) fn publish(&mut self, event: WatchEvent) {
        let event = Arc::new(event);
        self.0.retain(|watcher| {
            if !key_of(&event).is_some_and(|key| key.starts_with(&watcher.prefix)) {
                return !watcher.changes.is_closed();
            }
            match watcher.changes.try_send(Arc::clone(&event)) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    watcher.lagging.store(true, Ordering::Release);
                    false
                }
            }
        });
    }

    /// Lets everybody go with `Resync`, as a store does whose history was compacted.
    pub(in crate::store) fn resync(&mut self) {
        for watcher in self.0.drain(..) {
            watcher.lagging.store(true, Ordering::Release);
        }
    }
}

impl Subscription {
    /// Hands the snapshot and then every change to a receiver, from a task of its own. Needs a runtime.
    pub(in crate::store) fn start(self) -> mpsc::Receiver<WatchEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(self.forward(sender));
        receiver
    }

    async fn forward(mut self, sender: mpsc::Sender<WatchEvent>) {
        for entry in std::mem::take(&mut self.snapshot) {
            if sender.send(WatchEvent::Value(entry)).await.is_err() {
                return;
            }
        }
        if sender.send(WatchEvent::CaughtUp(self.at)).await.is_err() {
            return;
        }
        loop {
            let change = tokio::select! {
                change = self.changes.recv() => change,
                () = sender.closed() => return,
            };
            let Some(change) = change else { break };
            if sender.send(Arc::unwrap_or_clone(change)).await.is_err() {
                return;
            }
        }
        // The store let go: because of us, or because it stops, which the closed channel says by itself.
        if self.lagging.load(Ordering::Acquire) {
            drop(sender.send(WatchEvent::Resync).await);
        }
    }
}

fn key_of(event: &WatchEvent) -> Option<&Key> {
    match event {
        WatchEvent::Value(entry) => Some(&entry.key),
        WatchEvent::Deleted(key, _) => Some(key),
        WatchEvent::CaughtUp(_) | WatchEvent::Resync => None,
    }
}

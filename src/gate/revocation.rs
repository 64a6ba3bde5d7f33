//! Logins that were ended before their tokens expire, as every role watches them.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{
    gate::{BearerError, Principal},
    store::{Entry, Key, Store, StoreError, WatchEvent},
};

/// How long the first look may take before a role refuses to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the store may be out of sight before nobody is believed any more.
const LAG_MAX: Duration = Duration::from_secs(10);

/// Pause before a watch that broke is taken up again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Value of `revoked/sid/<sid>` and `revoked/principal/<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// Unix second: tokens issued at or before it are worthless. Later ones of the same principal are not.
    pub issued_until: i64,
}

/// Key of a login's revocation.
pub fn revoked_session(sid: &str) -> Key {
    Key::new(["revoked", "sid", sid])
}

/// Key of the revocation of all of a principal's logins.
pub fn revoked_principal(name: &str) -> Key {
    Key::new(["revoked", "principal", name])
}

/// What is revoked, kept up to date by a task.
#[derive(Debug)]
pub struct Revocations {
    state: RwLock<State>,
    changes: watch::Sender<u64>,
}

/// When a watch that ended is taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    AtOnce,
    AfterPause,
}

#[derive(Debug, Default)]
struct State {
    knowledge: Knowledge,
    revoked: BTreeMap<Key, Revoked>,
}

/// How good the map is.
#[derive(Debug, Default, Clone, Copy)]
enum Knowledge {
    /// Nothing was read yet; nobody is believed.
    #[default]
    None,
    /// It is what the store has.
    Current,
    /// It may lag behind since then; after [`LAG_MAX`] nobody is believed.
    Lagging(Instant),
}

impl Knowledge {
    fn is_good(self) -> bool {
        match self {
            Self::None => false,
            Self::Current => true,
            Self::Lagging(since) => since.elapsed() <= LAG_MAX,
        }
    }
}

impl Revocations {
    /// Follows the store until cancelled. Answers only once everything revoked so far is known.
    pub async fn start(store: Arc<dyn Store>, cancel: CancellationToken) -> Result<Arc<Self>, StoreError> {
        let this = Arc::new(Self { state: RwLock::default(), changes: watch::Sender::new(0) });
        let mut changes = this.changes.subscribe();
        tokio::spawn(Arc::clone(&this).follow(store, cancel));
        let caught_up = async {
            while !this.read(|state| state.knowledge.is_good()) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        let timely = time::timeout(START_TIMEOUT, caught_up).await;
        timely.map_err(|_| StoreError::Unavailable("revocations could not be read in time".to_owned()))?;
        Ok(this)
    }

    /// A number that grows whenever something may have been revoked.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Refuses a principal whose login, or all of whose logins, were revoked.
    pub fn check(&self, principal: &Principal) -> Result<(), BearerError> {
        self.read(|state| {
            if !state.knowledge.is_good() {
                return Err(BearerError::Unavailable);
            }
            let covers = |key: Key| state.revoked.get(&key).is_some_and(|it| principal.issued() <= it.issued_until);
            if covers(revoked_session(principal.sid())) || covers(revoked_principal(principal.name())) {
                return Err(BearerError::Revoked);
            }
            Ok(())
        })
    }

    async fn follow(self: Arc<Self>, store: Arc<dyn Store>, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => break,
                again = self.follow_one_watch(store.as_ref()) => {
                    // Revoked logins stay revoked; how long others are believed is bounded from the first loss on.
                    self.write(|state| {
                        if let Knowledge::Current = state.knowledge {
                            state.knowledge = Knowledge::Lagging(Instant::now());
                        }
                    });
                    if again == Again::AtOnce {
                        continue;
                    }
                }
            }
            tokio::select! { () = cancel.cancelled() => break, () = time::sleep(RETRY_PAUSE) => () }
        }
    }

    async fn follow_one_watch(&self, store: &dyn Store) -> Again {
        let mut events = match store.watch(&Key::new(["revoked"])).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, "revocations cannot be watched");
                return Again::AfterPause;
            }
        };
        // Until the snapshot is whole it is kept apart from what others look at.
        let mut snapshot = Some(BTreeMap::new());
        while let Some(event) = events.recv().await {
            match event {
                WatchEvent::Value(entry) => self.apply(&mut snapshot, |map| {
                    map.insert(entry.key.clone(), read(&entry));
                }),
                WatchEvent::Deleted(key, _) => self.apply(&mut snapshot, |map| {
                    map.remove(&key);
                }),
                WatchEvent::CaughtUp(_) => {
                    if let Some(revoked) = snapshot.take() {
                        self.write(|state| *state = State { knowledge: Knowledge::Current, revoked });
                    }
                }
                WatchEvent::Resync => return Again::AtOnce,
            }
        }
        Again::AfterPause
    }

    fn apply(&self, snapshot: &mut Option<BTreeMap<Key, Revoked>>, change: impl FnOnce(&mut BTreeMap<Key, Revoked>)) {
        match snapshot {
            Some(map) => change(map),
            None => self.write(|state| change(&mut state.revoked)),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|number| *number = number.wrapping_add(1));
    }
}

/// A record that cannot be read revokes everything it may have meant.
fn read(entry: &Entry) -> Revoked {
    serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
        tracing::error!(key = %entry.key, %error, "a revocation cannot be read; it counts for all time");
        Revoked { issued_until: i64::MAX }
    })
}

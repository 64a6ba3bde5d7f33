//! What the store has of jobs and instances, mirrored in memory by watches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::records::PROBE,
    store::{Key, Revision, Store, WatchEvent},
    wire::job::{InstanceRecord, Job},
};

/// How many prefixes are mirrored.
const TABLES: usize = 2;

/// How long a broken watch rests before it is begun again.
const RETRY: Duration = Duration::from_millis(200);

/// A mirror that is late by a moment. Decisions about one job read the store itself; what follows from *all* jobs
/// (desired sets, who runs where) reads this.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tables: Mutex<Tables>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Tables {
    jobs: BTreeMap<Uuid, Job>,
    instances: BTreeMap<Uuid, InstanceRecord>,
    /// Up to which write each table is complete; absent before its first snapshot.
    seen: BTreeMap<&'static str, Revision>,
}

impl Registry {
    /// An empty mirror; [`Registry::follow`] fills it.
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { tables: Mutex::default(), changed: watch::Sender::new(0) }) }
    }

    /// Mirrors the store until `stop`. Begins again by itself when a watch breaks.
    pub async fn follow(&self, store: Arc<dyn Store>, stop: CancellationToken) {
        tokio::join!(
            self.follow_prefix(&store, &stop, "job", |tables| &mut tables.jobs),
            self.follow_prefix(&store, &stop, "instance", |tables| &mut tables.instances),
        );
    }

    /// Told (with a growing number) after each change of the mirror.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// Whether every table has had its snapshot.
    pub fn is_caught_up(&self) -> bool {
        self.tables().seen.len() == TABLES
    }

    /// Waits until the mirror has the write `revision` of a record below `prefix`.
    pub(crate) async fn has_seen(&self, prefix: &'static str, revision: Revision) {
        let mut changed = self.subscribe();
        while self.tables().seen.get(prefix).is_none_or(|seen| *seen < revision) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// A job.
    pub fn job(&self, uuid: Uuid) -> Option<Job> {
        self.tables().jobs.get(&uuid).cloned()
    }

    /// All jobs.
    pub fn jobs(&self) -> Vec<Job> {
        self.tables().jobs.values().cloned().collect()
    }

    /// The record of an instance.
    pub fn instance(&self, uuid: Uuid) -> Option<InstanceRecord> {
        self.tables().instances.get(&uuid).cloned()
    }

    /// The records of all instances, or of one job's.
    pub fn instances(&self, job: Option<Uuid>) -> Vec<InstanceRecord> {
        let tables = self.tables();
        tables.instances.values().filter(|it| job.is_none_or(|job| it.job == job)).cloned().collect()
    }

    async fn follow_prefix<T: DeserializeOwned + Send>(
        &self,
        store: &Arc<dyn Store>,
        stop: &CancellationToken,
        prefix: &'static str,
        table: fn(&mut Tables) -> &mut BTreeMap<Uuid, T>,
    ) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.follow_once(store, prefix, table) => (),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => (),
            }
        }
    }

    /// One watch, until it breaks.
    async fn follow_once<T: DeserializeOwned + Send>(
        &self,
        store: &Arc<dyn Store>,
        prefix: &'static str,
        table: fn(&mut Tables) -> &mut BTreeMap<Uuid, T>,
    ) {
        let mut events = match store.watch(&Key::new([prefix])).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%error, prefix, "the store cannot be watched");
                return;
            }
        };
        // What a new snapshot does not have was deleted while nobody watched.
        let mut snapshot: Option<BTreeSet<Uuid>> = Some(BTreeSet::new());
        let name = |entry: &Key| entry.segments().get(1).and_then(|it| parse_uuid(it));
        while let Some(event) = events.recv().await {
            match event {
                WatchEvent::Value(entry) => {
                    let Some(name) = name(&entry.key) else { continue };
                    // A snapshot comes in the order of its keys, not of its writes: it says nothing until complete.
                    let seen = if let Some(names) = &mut snapshot {
                        names.insert(name);
                        None
                    } else {
                        Some(entry.revision)
                    };
                    self.change(prefix, seen, |tables| place(table(tables), &entry.key, name, &entry.value));
                }
                WatchEvent::Deleted(deleted, revision) => {
                    if let Some(name) = name(&deleted) {
                        self.change(prefix, Some(revision), |tables| {
                            table(tables).remove(&name);
                        });
                    }
                }
                WatchEvent::CaughtUp(revision) => {
                    if let Some(names) = snapshot.take() {
                        self.change(prefix, Some(revision), |tables| {
                            table(tables).retain(|name, _| names.contains(name));
                        });
                    }
                }
                WatchEvent::Resync => return,
            }
        }
    }

    fn change(&self, prefix: &'static str, seen: Option<Revision>, change: impl FnOnce(&mut Tables)) {
        {
            let mut tables = self.tables();
            change(&mut tables);
            if let Some(revision) = seen {
                tables.seen.insert(prefix, revision);
            }
        }
        self.inner.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.inner.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

/// Takes a value over; one that cannot be read is as good as absent, so that nothing runs by it.
fn place<T: DeserializeOwned>(table: &mut BTreeMap<Uuid, T>, key: &Key, name: Uuid, value: &[u8]) {
    match serde_json::from_slice::<T>(value) {
        Ok(value) => {
            table.insert(name, value);
        }
        Err(error) => {
            if value != PROBE {
                tracing::error!(%error, %key, "a stored record cannot be read");
            }
            table.remove(&name);
        }
    }
}

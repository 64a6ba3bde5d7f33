//! A store for tests, in memory and as awkward as the worst that a store may be.
//!
//! It reads stale, leaves out revisions, keeps keys in a narrow alphabet, tells of changes late and in batches, and
//! says `Resync` for no reason; all of it by a seed. On demand it fails. Nothing but tests makes one.

use std::{
    collections::BTreeMap,
    io::Cursor,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    time::sleep,
};

use crate::{
    limits::STORE_VALUE_BYTES_MAX,
    store::{
        Entry, Key, Log, Revision, Store, StoreError, StoreFuture, WatchEvent,
        encoding::{from_words, to_words},
        verified::{Verified, digest_of, hex_of},
        watchers::Watchers,
    },
};

/// The fake. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Fake(Arc<Mutex<State>>);

/// Reads that may be stale after a write.
const STALE_READS: u32 = 2;
/// How late watchers hear of a change, at most.
const BATCH_DELAY: Duration = Duration::from_millis(3);

type Entries = BTreeMap<String, (Revision, Vec<u8>)>;

#[derive(Debug, Default)]
struct State {
    random: u64,
    revision: u64,
    entries: Entries,
    /// As they were before the last write.
    before: Entries,
    stale_reads: u32,
    pending: Vec<WatchEvent>,
    watchers: Watchers,
    blobs: BTreeMap<String, Vec<u8>>,
    logs: BTreeMap<String, Vec<Vec<u8>>>,
    fault: Option<Fault>,
}

/// How a [`Fake`] fails until told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done.
    Refuses,
    /// Writes and appends are done, and then said to have failed: the answer was lost.
    LosesAnswers,
}

impl Fake {
    /// The same seed is the same awkwardness for the same calls.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State { random: seed | 1, ..State::default() })))
    }

    /// From now on fails so, or works again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Ends every watch, as a store does whose history was compacted.
    pub fn resync(&self) {
        self.state().watchers.resync();
    }

    /// Changes a byte of a blob.
    pub fn damage_blob(&self, digest: &str) {
        if let Some(byte) = self.state().blobs.get_mut(digest).and_then(|it| it.first_mut()) {
            *byte ^= 1;
        }
    }

    /// Changes a record of a log.
    pub fn damage_log(&self, log: &str, position: usize, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(record) = self.state().logs.get_mut(log).and_then(|it| it.get_mut(position)) {
            change(record);
        }
    }

    /// An append-only log. The same name is the same log.
    pub fn log(&self, name: &str) -> Arc<dyn Log> {
        Arc::new(FakeLog { store: self.clone(), name: name.to_owned() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &Key, expected: Option<Revision>, value: Option<Vec<u8>>) -> Result<Revision, StoreError> {
        let mut state = self.state();
        state.able()?;
        let words = to_words(key);
        if state.entries.get(&words).map(|(revision, _)| *revision) != expected {
            return Err(StoreError::Conflict(key.clone()));
        }
        let revision = state.next_revision();
        state.before = state.entries.clone();
        state.stale_reads = STALE_READS;
        let event = match value {
            Some(value) => {
                state.entries.insert(words, (revision, value.clone()));
                WatchEvent::Value(Entry { key: key.clone(), value, revision })
            }
            None => {
                state.entries.remove(&words);
                WatchEvent::Deleted(key.clone(), revision)
            }
        };
        state.pending.push(event);
        self.flush_later();
        state.answered().map(|()| revision)
    }

    fn flush_later(&self) {
        let store = self.clone();
        tokio::spawn(async move {
            sleep(BATCH_DELAY).await;
            store.state().flush();
        });
    }
}

impl State {
    fn able(&self) -> Result<(), StoreError> {
        match self.fault {
            Some(Fault::Refuses) => Err(StoreError::Unavailable("as the test wants".to_owned())),
            Some(Fault::LosesAnswers) | None => Ok(()),
        }
    }

    fn answered(&self) -> Result<(), StoreError> {
        match self.fault {
            Some(Fault::LosesAnswers) => Err(StoreError::Unavailable("the answer was lost".to_owned())),
            Some(Fault::Refuses) | None => Ok(()),
        }
    }

    /// True in one of `many` cases (xorshift64).
    fn one_in(&mut self, many: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.is_multiple_of(many)
    }

    fn next_revision(&mut self) -> Revision {
        let gap = if self.one_in(2) { 1 } else { 5 };
        self.revision = self.revision.saturating_add(gap);
        Revision(self.revision)
    }

    /// What a read sees: now, or a moment ago.
    fn seen(&mut self) -> &Entries {
        if 0 < self.stale_reads && self.one_in(2) {
            self.stale_reads = self.stale_reads.saturating_sub(1);
            return &self.before;
        }
        &self.entries
    }

    fn flush(&mut self) {
        for event in std::mem::take(&mut self.pending) {
            if self.one_in(16) {
                self.watchers.resync();
            }
            self.watchers.publish(event);
        }
    }
}

impl Store for Fake {
    fn get(&self, key: &Key) -> StoreFuture<'_, Option<Entry>> {
        let key = key.clone();
        Box::pin(async move {
            let mut state = self.state();
            state.able()?;
            let found = state.seen().get(&to_words(&key)).cloned();
            Ok(found.map(|(revision, value)| Entry { key, value, revision }))
        })
    }

    fn put(&self, key: &Key, expected: Option<Revision>, value: Vec<u8>) -> StoreFuture<'_, Revision> {
        let key = key.clone();
        Box::pin(async move {
            if STORE_VALUE_BYTES_MAX < value.len() {
                return Err(StoreError::TooLarge(key));
            }
            self.write(&key, expected, Some(value))
        })
    }

    fn delete(&self, key: &Key, expected: Revision) -> StoreFuture<'_, ()> {
        let key = key.clone();
        Box::pin(async move { self.write(&key, Some(expected), None).map(drop) })
    }

    fn list(&self, prefix: &Key) -> StoreFuture<'_, Vec<Entry>> {
        let prefix = prefix.clone();
        Box::pin(async move {
            let mut state = self.state();
            state.able()?;
            Ok(below(state.seen(), &prefix))
        })
    }

    fn watch(&self, prefix: &Key) -> StoreFuture<'_, mpsc::Receiver<WatchEvent>> {
        let prefix = prefix.clone();
        Box::pin(async move {
            let mut state = self.state();
            state.able()?;
            // What is pending is in the snapshot.
            state.flush();
            let (snapshot, at) = (below(&state.entries, &prefix), Revision(state.revision));
            let watch = state.watchers.add(prefix, snapshot, at).start();
            if state.one_in(8) {
                state.watchers.resync();
            }
            Ok(watch)
        })
    }

    fn put_blob(&self, mut bytes: Pin<Box<dyn AsyncRead + Send>>) -> StoreFuture<'_, String> {
        Box::pin(async move {
            let mut all = Vec::new();
            bytes.read_to_end(&mut all).await.map_err(|error| StoreError::Source(error.to_string()))?;
            let mut state = self.state();
            state.able()?;
            let digest = digest_of(Sha256::new_with_prefix(&all));
            state.blobs.insert(digest.clone(), all);
            Ok(digest)
        })
    }

    fn open_blob(&self, digest: &str) -> StoreFuture<'_, Pin<Box<dyn AsyncRead + Send>>> {
        let digest = digest.to_owned();
        Box::pin(async move {
            hex_of(&digest)?;
            let state = self.state();
            state.able()?;
            let bytes = state.blobs.get(&digest).cloned().ok_or_else(|| StoreError::NoBlob(digest.clone()))?;
            Ok(Box::pin(Verified::new(Cursor::new(bytes), &digest)) as Pin<Box<dyn AsyncRead + Send>>)
        })
    }

    fn blob_file(&self, _digest: &str) -> Option<PathBuf> {
        None
    }
}

/// Entries below a prefix, in the order of keys, which is not that of words.
fn below(entries: &Entries, prefix: &Key) -> Vec<Entry> {
    let decoded = entries.iter().filter_map(|(words, (revision, value))| {
        Some(Entry { key: from_words(words)?, value: value.clone(), revision: *revision })
    });
    let mut res: Vec<Entry> = decoded.filter(|it| it.key.starts_with(prefix)).collect();
    res.sort_by(|a, b| a.key.cmp(&b.key));
    res
}

#[derive(Debug)]
struct FakeLog {
    store: Fake,
    name: String,
}

impl Log for FakeLog {
    fn append(&self, records: Vec<Vec<u8>>) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            if records.iter().any(|it| STORE_VALUE_BYTES_MAX < it.len()) {
                return Err(StoreError::TooLarge(Key::new([self.name.as_str()])));
            }
            let mut state = self.store.state();
            state.able()?;
            let log = state.logs.entry(self.name.clone()).or_default();
            let first = log.len() as u64;
            log.extend(records);
            state.answered().map(|()| first)
        })
    }

    fn read(&self, from: u64, limit: usize) -> StoreFuture<'_, Vec<(u64, Vec<u8>)>> {
        Box::pin(async move {
            let state = self.store.state();
            state.able()?;
            let all = state.logs.get(&self.name).map(Vec::as_slice).unwrap_or_default();
            let numbered = (0_u64..).zip(all.iter().cloned());
            Ok(numbered.skip_while(|(position, _)| *position < from).take(limit).collect())
        })
    }

    fn head(&self) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let state = self.store.state();
            state.able()?;
            Ok(state.logs.get(&self.name).map_or(0, |it| it.len() as u64))
        })
    }
}

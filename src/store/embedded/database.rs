//! The redb file: tables, transactions, and opening it again after an error.

use std::{
    fmt,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use redb::{DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition};

use crate::store::{
    Entry, Key, Revision, StoreError, WatchEvent,
    embedded::{
        closed, unavailable,
        writer::{Change, Outcome},
    },
    encoding::{from_bytes, to_bytes},
};

/// Encoded key to revision and value.
const ENTRIES: TableDefinition<'_, &[u8], (u64, &[u8])> = TableDefinition::new("entries");
/// The last revision, under no key.
const REVISION: TableDefinition<'_, (), u64> = TableDefinition::new("revision");
/// Log and position to record.
const LOGS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("logs");

/// Bytes of pages in memory; what is kept is small, and its readers keep copies anyway.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of records that one read of a log answers at most, the first record aside.
const LOG_READ_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The file. redb refuses everything after an input or output error until the file is opened again; that is done at
/// the next use, so that a disk that was full is used again when it is not.
pub(in crate::store::embedded) struct Database {
    path: PathBuf,
    state: RwLock<State>,
}

enum State {
    Open(redb::Database),
    /// An error has happened.
    Broken,
    /// For good.
    Closed,
}

/// What came of the changes of one commit: an answer for each, in their order, and what watchers are told.
#[derive(Debug, Default)]
pub(in crate::store::embedded) struct Committed {
    pub(in crate::store::embedded) outcomes: Vec<Result<Outcome, StoreError>>,
    pub(in crate::store::embedded) events: Vec<WatchEvent>,
}

impl Database {
    /// Opens or makes the file.
    pub(in crate::store::embedded) fn open(path: &Path) -> Result<Self, StoreError> {
        // Made by hand for its mode; redb takes an empty file for a new one.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| unavailable(path, &error))?;
        let database = redb::Database::builder().set_cache_size(CACHE_BYTES).create(path);
        let database = database.map_err(|error| opening(path, &error))?;
        make_tables(&database).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { path: path.to_owned(), state: RwLock::new(State::Open(database)) })
    }

    /// Lets the file go.
    pub(in crate::store::embedded) fn close(&self) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }

    pub(in crate::store::embedded) fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let found = self.read(|transaction| {
            let table = transaction.open_table(ENTRIES)?;
            let found = table.get(to_bytes(key).as_slice())?;
            Ok(found.map(|found| {
                let (revision, value) = found.value();
                (Revision(revision), value.to_vec())
            }))
        })?;
        Ok(found.map(|(revision, value)| Entry { key: key.clone(), value, revision }))
    }

    /// What is below a prefix, ascending, and the revision at which it was so.
    pub(in crate::store::embedded) fn list(&self, prefix: &Key) -> Result<(Vec<Entry>, Revision), StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(ENTRIES)?;
            let prefix = to_bytes(prefix);
            let mut entries = Vec::new();
            for found in table.range(prefix.as_slice()..)? {
                let (key, value) = found?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                let (revision, value) = value.value();
                let key = from_bytes(key.value())
                    .ok_or_else(|| redb::Error::Corrupted("a key that nobody wrote".to_owned()))?;
                entries.push(Entry { key, value: value.to_vec(), revision: Revision(revision) });
            }
            let revision = transaction.open_table(REVISION)?.get(())?.map_or(0, |it| it.value());
            Ok((entries, Revision(revision)))
        })
    }

    pub(in crate::store::embedded) fn log_head(&self, log: &str) -> Result<u64, StoreError> {
        self.read(|transaction| Ok(head(&transaction.open_table(LOGS)?, log)?))
    }

    pub(in crate::store::embedded) fn log_read(
        &self,
        log: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(|transaction| {
            let table = transaction.open_table(LOGS)?;
            let mut res = Vec::new();
            let mut bytes = 0_usize;
            for found in table.range((log, from)..=(log, u64::MAX))?.take(limit) {
                let (key, value) = found?;
                bytes = bytes.saturating_add(value.value().len());
                if LOG_READ_BYTES_MAX < bytes && !res.is_empty() {
                    break;
                }
                res.push((key.value().1, value.value().to_vec()));
            }
            Ok(res)
        })
    }

    /// Does all changes in one durable commit. An error means that none of them was done, or that nobody can tell.
    pub(in crate::store::embedded) fn commit(&self, changes: &[Change]) -> Result<Committed, StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let mut committed = Committed::default();
            {
                let mut batch = Batch {
                    entries: transaction.open_table(ENTRIES)?,
                    revision: transaction.open_table(REVISION)?,
                    logs: transaction.open_table(LOGS)?,
                    events: &mut committed.events,
                };
                for change in changes {
                    committed.outcomes.push(batch.apply(change)?);
                }
            }
            transaction.commit()?;
            Ok(committed)
        })
    }

    fn read<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.with(|database| read(&database.begin_read()?))
    }

    fn with<T>(&self, work: impl FnOnce(&redb::Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.mend()?;
        let result = match &*self.state.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(database) => work(database),
            State::Broken => return Err(StoreError::Unavailable("an earlier error is not yet mended".to_owned())),
            State::Closed => return Err(closed()),
        };
        result.map_err(|error| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(*state, State::Open(_)) {
                *state = State::Broken;
            }
            StoreError::Unavailable(error.to_string())
        })
    }

    /// Opens the file again if it was closed by an error. It must exist: an empty one in its place would forget
    /// every grant that was taken back.
    fn mend(&self) -> Result<(), StoreError> {
        if !matches!(*self.state.read().unwrap_or_else(PoisonError::into_inner), State::Broken) {
            return Ok(());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Broken) {
            let database = redb::Database::builder().set_cache_size(CACHE_BYTES).open(&self.path);
            *state = State::Open(database.map_err(|error| opening(&self.path, &error))?);
        }
        Ok(())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

/// One commit in the making.
struct Batch<'a> {
    entries: Table<'a, &'static [u8], (u64, &'static [u8])>,
    revision: Table<'a, (), u64>,
    logs: Table<'a, (&'static str, u64), &'static [u8]>,
    events: &'a mut Vec<WatchEvent>,
}

impl Batch<'_> {
    /// The inner result is the change's own; the outer one ends the whole commit.
    fn apply(&mut self, change: &Change) -> Result<Result<Outcome, StoreError>, redb::Error> {
        match change {
            Change::Put { key, expected, value } => {
                let bytes = to_bytes(key);
                if self.present(&bytes)? != *expected {
                    return Ok(Err(StoreError::Conflict(key.clone())));
                }
                let revision = self.next_revision()?;
                self.entries.insert(bytes.as_slice(), (revision.0, value.as_slice()))?;
                let entry = Entry { key: key.clone(), value: value.clone(), revision };
                self.events.push(WatchEvent::Value(entry));
                Ok(Ok(Outcome::Written(revision)))
            }
            Change::Delete { key, expected } => {
                let bytes = to_bytes(key);
                if self.present(&bytes)? != Some(*expected) {
                    return Ok(Err(StoreError::Conflict(key.clone())));
                }
                let revision = self.next_revision()?;
                self.entries.remove(bytes.as_slice())?;
                self.events.push(WatchEvent::Deleted(key.clone(), revision));
                Ok(Ok(Outcome::Written(revision)))
            }
            Change::Append { log, records } => {
                let first = head(&self.logs, log)?;
                for (position, record) in (first..).zip(records) {
                    self.logs.insert((&**log, position), record.as_slice())?;
                }
                Ok(Ok(Outcome::Appended(first)))
            }
        }
    }

    fn present(&self, key: &[u8]) -> Result<Option<Revision>, redb::Error> {
        Ok(self.entries.get(key)?.map(|found| Revision(found.value().0)))
    }

    fn next_revision(&mut self) -> Result<Revision, redb::Error> {
        let last = self.revision.get(())?.map_or(0, |it| it.value());
        let next = last.checked_add(1).ok_or_else(|| redb::Error::Corrupted("no revision is left".to_owned()))?;
        self.revision.insert((), next)?;
        Ok(Revision(next))
    }
}

fn make_tables(database: &redb::Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(REVISION)?;
    transaction.open_table(LOGS)?;
    transaction.commit()?;
    Ok(())
}

/// The position behind the last record.
fn head(logs: &impl ReadableTable<(&'static str, u64), &'static [u8]>, log: &str) -> Result<u64, redb::StorageError> {
    let last = logs.range((log, 0)..=(log, u64::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().1.saturating_add(1)))
}

fn opening(path: &Path, error: &DatabaseError) -> StoreError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) {
        return StoreError::InUse(path.display().to_string());
    }
    StoreError::Unavailable(format!("`{}`: {error}", path.display()))
}

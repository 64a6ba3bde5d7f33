//! Where state is kept: keys, blobs and logs, behind two traits that every implementation obeys alike.

pub mod embedded;
mod encoding;
pub mod fake;
pub mod follow;
pub mod json;
mod verified;
mod watchers;

use std::{fmt, path::PathBuf, pin::Pin};

use tokio::{io::AsyncRead, sync::mpsc};

/// A key: a list of segments of any text; a prefix is a list of whole segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<String>);

impl Key {
    /// `Key::new(["job", uuid])`.
    pub fn new<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// The segments.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether `prefix`, a list of whole segments, begins this key.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// Says which write a value came from. Opaque but ordered: a later write of the same store has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A value with the write it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub key: Key,
    /// What; at most `limits::STORE_VALUE_BYTES_MAX`.
    pub value: Vec<u8>,
    /// By which write.
    pub revision: Revision,
}

/// What a watch tells, in this order: any number of `Value` (the snapshot), one `CaughtUp`, then every change once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// A key has this value.
    Value(Entry),
    /// A key is gone.
    Deleted(Key, Revision),
    /// The snapshot is complete.
    CaughtUp(Revision),
    /// Changes were lost: start again with a new watch. Nothing follows.
    Resync,
}

/// Why the store did not do it. Every one of them denies.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The value is not at the revision that the caller expected; nothing was written.
    #[error("`{0}` was changed by someone else")]
    Conflict(Key),
    /// Larger than a value may be.
    #[error("the value of `{0}` is larger than a value may be")]
    TooLarge(Key),
    /// No blob of that digest.
    #[error("no blob `{0}`")]
    NoBlob(String),
    /// The bytes that were to be kept broke off.
    #[error("the bytes broke off: {0}")]
    Source(String),
    /// A value is not what it should be: JSON of its kind.
    #[error("the value of `{0}` is damaged: {1}")]
    Damaged(Key, String),
    /// Another process has it open.
    #[error("the store `{0}` is in use by another process; stop that one first")]
    InUse(String),
    /// The disk is full, the file damaged, the server away.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

/// A future of a store's.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keys and blobs. Single-key compare-and-set, no transactions.
///
/// Every implementation passes the same suite (`tests/platform/store.rs`). What it may do: answer a `get` or `list` as
/// it was a moment ago; leave out revisions; tell a watch `Resync` for no reason. What it may not: accept a write
/// against another revision than the expected, or let a watch miss a change unsaid.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The value of a key. May be stale by a moment: only `put` and `delete` decide.
    fn get(&self, key: &Key) -> StoreFuture<'_, Option<Entry>>;

    /// Writes if the key is at `expected` (`None`: absent). Durable when it answers.
    fn put(&self, key: &Key, expected: Option<Revision>, value: Vec<u8>) -> StoreFuture<'_, Revision>;

    /// Deletes if the key is at `expected`.
    fn delete(&self, key: &Key, expected: Revision) -> StoreFuture<'_, ()>;

    /// All entries below a prefix, ascending.
    fn list(&self, prefix: &Key) -> StoreFuture<'_, Vec<Entry>>;

    /// A snapshot of what is below a prefix and then every change. The sender drops when the store stops;
    /// a receiver that does not keep up is told `Resync`.
    fn watch(&self, prefix: &Key) -> StoreFuture<'_, mpsc::Receiver<WatchEvent>>;

    /// Keeps a blob and answers `sha256:<hex>`. The same bytes twice are one blob.
    fn put_blob(&self, bytes: Pin<Box<dyn AsyncRead + Send>>) -> StoreFuture<'_, String>;

    /// A blob's bytes, checked against the digest while they are read: the last read fails if they differ.
    fn open_blob(&self, digest: &str) -> StoreFuture<'_, Pin<Box<dyn AsyncRead + Send>>>;

    /// A file with the blob's bytes, where the store has one on this host.
    fn blob_file(&self, digest: &str) -> Option<PathBuf>;
}

/// Append-only records.
pub trait Log: Send + Sync + fmt::Debug + 'static {
    /// Appends all or none, durably, and answers the position of the first.
    fn append(&self, records: Vec<Vec<u8>>) -> StoreFuture<'_, u64>;

    /// Up to `limit` records from a position on, with their positions.
    fn read(&self, from: u64, limit: usize) -> StoreFuture<'_, Vec<(u64, Vec<u8>)>>;

    /// The position that the next record will have.
    fn head(&self) -> StoreFuture<'_, u64>;
}

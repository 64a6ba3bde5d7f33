//! The store of one process: keys and logs in one redb file, blobs as files beside it.
//!
//! All writes go through one thread, which makes one durable commit of whatever waits, tells the watchers in the order
//! of revisions, and answers last. Nothing that blocks runs on the async threads.

mod blobs;
mod database;
mod log;
mod writer;

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::{
    io::AsyncRead,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
};

use crate::{
    limits::STORE_VALUE_BYTES_MAX,
    store::{
        Entry, Key, Log, Revision, Store, StoreError, StoreFuture, WatchEvent,
        embedded::{
            blobs::Blobs,
            database::Database,
            log::EmbeddedLog,
            writer::{Change, Job, Outcome},
        },
    },
};

/// Writes that may wait for the thread; those behind them wait to be queued.
const QUEUE_MAX: usize = 1_024;

/// The embedded store. Clones are the same store; it closes when the last is dropped, or by [`Embedded::close`].
#[derive(Debug, Clone)]
pub struct Embedded(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    database: Arc<Database>,
    blobs: Blobs,
    queue: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens or makes the store in a folder, which is made with mode 0700 if absent. Blocks for a moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process, or this one, has it open.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| unavailable(folder, &error))?;
        let database = Arc::new(Database::open(&folder.join("store.redb"))?);
        let blobs = Blobs::open(&folder.join("blobs"))?;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let of_thread = Arc::clone(&database);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&of_thread, jobs))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self(Arc::new(Shared { database, blobs, queue, thread: Mutex::new(Some(thread)) })))
    }

    /// An append-only log of this store. The same name is the same log.
    pub fn log(&self, name: &str) -> Arc<dyn Log> {
        Arc::new(EmbeddedLog::new(self.clone(), name))
    }

    /// Does what is queued and lets the file go; every later call is refused.
    pub async fn close(&self) {
        drop(self.0.queue.send(Job::Stop).await);
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has let go as well.
            drop(spawn_blocking(move || drop(thread.join())).await);
        }
    }

    async fn change(&self, change: Change) -> Result<Outcome, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.send(Job::Change(change, answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Runs a reading closure on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.0.database);
        spawn_blocking(move || read(&database)).await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Store for Embedded {
    fn get(&self, key: &Key) -> StoreFuture<'_, Option<Entry>> {
        let key = key.clone();
        Box::pin(self.read(move |database| database.get(&key)))
    }

    fn put(&self, key: &Key, expected: Option<Revision>, value: Vec<u8>) -> StoreFuture<'_, Revision> {
        let key = key.clone();
        Box::pin(async move {
            if STORE_VALUE_BYTES_MAX < value.len() {
                return Err(StoreError::TooLarge(key));
            }
            match self.change(Change::Put { key, expected, value }).await? {
                Outcome::Written(revision) => Ok(revision),
                Outcome::Appended(_) => Err(closed()),
            }
        })
    }

    fn delete(&self, key: &Key, expected: Revision) -> StoreFuture<'_, ()> {
        let key = key.clone();
        Box::pin(async move { self.change(Change::Delete { key, expected }).await.map(drop) })
    }

    fn list(&self, prefix: &Key) -> StoreFuture<'_, Vec<Entry>> {
        let prefix = prefix.clone();
        Box::pin(self.read(move |database| Ok(database.list(&prefix)?.0)))
    }

    fn watch(&self, prefix: &Key) -> StoreFuture<'_, mpsc::Receiver<WatchEvent>> {
        let prefix = prefix.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.0.queue.send(Job::Watch(prefix, answer)).await.map_err(|_| closed())?;
            Ok(answered.await.map_err(|_| closed())??.start())
        })
    }

    fn put_blob(&self, bytes: Pin<Box<dyn AsyncRead + Send>>) -> StoreFuture<'_, String> {
        Box::pin(self.0.blobs.put(bytes))
    }

    fn open_blob(&self, digest: &str) -> StoreFuture<'_, Pin<Box<dyn AsyncRead + Send>>> {
        let digest = digest.to_owned();
        Box::pin(async move { self.0.blobs.open_verified(&digest).await })
    }

    fn blob_file(&self, digest: &str) -> Option<PathBuf> {
        self.0.blobs.file(digest).ok().filter(|path| path.is_file())
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("`{}`: {error}", path.display()))
}

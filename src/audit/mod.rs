//! The append-only record of who was let in where, and why.
//!
//! [`Audit::record`] answers when the record is durable, so that what follows it (a dial, a token, a first byte) has
//! been written down before. Each writer has a hash chain of its own through the log; the auth role signs where all of
//! them end and keeps that head apart from the log; [`verify_sealed`] says where the log is not whole. Texts are kept as they came; whoever prints them uses `wire::printable`.

mod chain;
mod item;
mod reader;
mod seal;
mod verify;
mod writer;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

pub use self::{
    item::{Event, item, timestamp},
    reader::AuditFilter,
    seal::{Ends, audit_head_bytes, audit_head_key},
    verify::{AuditBreak, AuditReport, Seal, verify, verify_sealed},
};
use crate::{
    audit::{chain::Chain, writer::Writer},
    store::{Log, StoreError},
    wire::audit::AuditItem,
};

/// Items that may wait to be written; those behind them wait to be queued.
const QUEUE_MAX: usize = 4_096;

/// The audit log as one writer sees it. Clones are the same writer.
#[derive(Debug, Clone)]
pub struct Audit {
    log: Arc<dyn Log>,
    queue: mpsc::Sender<Waiting>,
    /// The log's head after this writer's last append.
    head: watch::Receiver<u64>,
}

/// An item and whoever waits until it is durable.
type Waiting = (AuditItem, oneshot::Sender<Result<(), AuditError>>);

/// Space that must be free before anything more is recorded.
#[derive(Debug, Clone)]
pub struct Floor {
    /// A file or folder on the disk that is meant.
    pub path: PathBuf,
    /// Bytes.
    pub free_bytes_min: u64,
}

/// Why an item could not be recorded or the log not be read. Every one of them denies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The disk is nearly full.
    #[error("the audit log is frozen: less than {free_bytes_min} bytes are free")]
    Frozen {
        /// The floor.
        free_bytes_min: u64,
    },
    /// The item is larger than a record may be.
    #[error("the audit item is too large")]
    TooLarge,
    /// A record of the log is none.
    #[error("the audit log is damaged at record {0}")]
    Damaged(u64),
    /// The log cannot be written or read.
    #[error("the audit log is unavailable: {0}")]
    Unavailable(String),
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Audit {
    /// Opens the log for a writer, whose chain goes on where it ended. Of one writer's name only one may be open.
    ///
    /// Needs a runtime: items are written by a task that ends when the last clone is dropped.
    pub async fn open(log: Arc<dyn Log>, writer: &str, floor: Option<Floor>) -> Result<Self, AuditError> {
        let chain = Chain::restore(&*log, writer).await?;
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (tell, head) = watch::channel(log.head().await?);
        tokio::spawn(Writer::new(Arc::clone(&log), writer, chain, floor, tell).run(waiting));
        Ok(Self { log, queue, head })
    }

    /// Writes an item down. When it answers `Ok`, the item survives a loss of power; anything else means no.
    pub async fn record(&self, item: AuditItem) -> Result<(), AuditError> {
        let (answer, answered) = oneshot::channel();
        self.queue.send((item, answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> AuditError {
    AuditError::Unavailable("its writer has stopped".to_owned())
}

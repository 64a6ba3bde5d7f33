//! The task that appends: whatever waits goes into one durable append.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::{
    audit::{AuditError, Floor, Waiting, chain::Chain},
    limits::STORE_VALUE_BYTES_MAX,
    store::Log,
};

/// Items in one append.
const BATCH_MAX: usize = 512;

/// A writer and its chain.
pub(in crate::audit) struct Writer {
    log: Arc<dyn Log>,
    name: String,
    /// None after an append that failed: perhaps it is in the log all the same, so that the log is asked.
    chain: Option<Chain>,
    floor: Option<Floor>,
    head: watch::Sender<u64>,
}

impl Writer {
    pub(in crate::audit) fn new(
        log: Arc<dyn Log>,
        name: &str,
        chain: Chain,
        floor: Option<Floor>,
        head: watch::Sender<u64>,
    ) -> Self {
        Self { log, name: name.to_owned(), chain: Some(chain), floor, head }
    }

    /// Works until nobody is left to record anything.
    pub(in crate::audit) async fn run(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while 0 < waiting.recv_many(&mut batch, BATCH_MAX).await {
            self.write(std::mem::take(&mut batch)).await;
        }
    }

    async fn write(&mut self, batch: Vec<Waiting>) {
        let mut chain = match self.ready().await {
            Ok(chain) => chain,
            Err(error) => return refuse(batch.into_iter().map(|(_, answer)| answer), &error),
        };
        let mut records = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for (item, answer) in batch {
            let before = chain.clone();
            match chain.append(&self.name, item).filter(|record| record.len() <= STORE_VALUE_BYTES_MAX) {
                Some(record) => {
                    records.push(record);
                    answers.push(answer);
                }
                None => {
                    chain = before;
                    drop(answer.send(Err(AuditError::TooLarge)));
                }
            }
        }
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        match self.log.append(records).await {
            Ok(first) => {
                self.chain = Some(chain);
                self.head.send_replace(first.saturating_add(count));
                for answer in answers {
                    drop(answer.send(Ok(())));
                }
            }
            Err(error) => refuse(answers, &error.into()),
        }
    }

    /// Where the chain goes on, if there is room. It is taken: only an append that succeeded puts it back.
    async fn ready(&mut self) -> Result<Chain, AuditError> {
        if let Some(floor) = &self.floor {
            room(floor)?;
        }
        match self.chain.take() {
            Some(chain) => Ok(chain),
            None => Chain::restore(&*self.log, &self.name).await,
        }
    }
}

/// Whether more than the floor is free. A disk that cannot be asked has no room.
fn room(floor: &Floor) -> Result<(), AuditError> {
    let disk = rustix::fs::statvfs(&floor.path)
        .map_err(|error| AuditError::Unavailable(format!("`{}`: {error}", floor.path.display())))?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < floor.free_bytes_min {
        return Err(AuditError::Frozen { free_bytes_min: floor.free_bytes_min });
    }
    Ok(())
}

fn refuse(answers: impl IntoIterator<Item = tokio::sync::oneshot::Sender<Result<(), AuditError>>>, error: &AuditError) {
    tracing::error!(%error, "nothing can be recorded, and so nothing is allowed");
    for answer in answers {
        drop(answer.send(Err(error.clone())));
    }
}

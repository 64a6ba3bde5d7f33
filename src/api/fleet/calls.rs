//! Questions to a manager that it answers later (logs), and renewals that it does not answer.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

use crate::{api::fleet::Fleet, wire::im::ToIm};

/// For each part of an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Bytes of a log that are given on; a manager that sends more is not read further.
const LOG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Parts of an answer that wait to be read.
const PARTS: usize = 256;

/// Questions that are open.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Call>>,
}

#[derive(Debug)]
struct Call {
    im: Uuid,
    parts: mpsc::Sender<(String, bool)>,
}

/// Why there are no log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// No such instance.
    #[error("no such instance")]
    NoInstance,
    /// Its manager is away.
    #[error("the instance manager is not connected")]
    Away,
    /// The manager did not answer.
    #[error("the instance manager does not answer")]
    Silent,
}

impl Calls {
    /// Forgets the questions to a manager whose link is over; who waits for an answer is told so.
    pub(crate) fn abandon(&self, im: Uuid) {
        self.open().retain(|_, call| call.im != im);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Call>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fleet {
    /// The last lines of an instance's log.
    pub async fn logs(&self, instance: Uuid, lines: u32) -> Result<String, LogsError> {
        let status = self.status(instance).ok_or(LogsError::NoInstance)?;
        let link = self.link_of(status.record.im).ok_or(LogsError::Away)?;
        let request = self.inner.calls.next.fetch_add(1, Ordering::Relaxed);
        let (parts, mut answer) = mpsc::channel(PARTS);
        self.inner.calls.open().insert(request, Call { im: status.record.im, parts });
        let text = async {
            let asked = ToIm::Logs { request, instance, lines };
            timeout(ANSWER, link.send(asked)).await.map_err(|_| LogsError::Silent)?.map_err(|_| LogsError::Away)?;
            let mut text = String::new();
            while text.len() < LOG_BYTES_MAX {
                let part = timeout(ANSWER, answer.recv()).await.map_err(|_| LogsError::Silent)?;
                let (part, end) = part.ok_or(LogsError::Away)?;
                text.push_str(&part);
                if end {
                    break;
                }
            }
            Ok(text)
        };
        let text = text.await;
        self.inner.calls.open().remove(&request);
        text
    }

    /// The leases of these console instances go on.
    pub(crate) fn renew(&self, instances: &[Uuid]) {
        let mut by_manager: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for instance in instances {
            if let Some(status) = self.status(*instance) {
                by_manager.entry(status.record.im).or_default().push(*instance);
            }
        }
        for (im, instances) in by_manager {
            // A full queue means a manager that takes nothing: it will not hear of the renewal, and the lease ends.
            let sent = self.link_of(im).map(|link| link.try_send(ToIm::Renew { instances }));
            if !matches!(sent, Some(Ok(()))) {
                tracing::warn!(%im, "a console's lease could not be renewed at its manager");
            }
        }
    }

    /// A part of an answer. From another manager than was asked, or after a reader gave up, it is dropped.
    pub(crate) fn log_lines(&self, im: Uuid, request: u64, text: String, end: bool) {
        let mut open = self.inner.calls.open();
        let Some(call) = open.get(&request).filter(|call| call.im == im) else { return };
        if call.parts.try_send((text, end)).is_err() || end {
            open.remove(&request);
        }
    }
}

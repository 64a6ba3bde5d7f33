//! Reads the log: a page at a time, or as it grows.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    audit::{Audit, AuditError, chain::decode, item::timestamp},
    store::Log,
    wire::audit::{AuditItem, AuditPage, AuditRecord},
};

/// Records looked at for one page, so that a filter that matches nothing does not read the whole log at once.
const LOOKED_AT_MAX: u64 = 10_000;
/// Records read together.
const CHUNK: usize = 512;
/// Other writers' appends are not announced; their records are looked for so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which items are wanted; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// This time or later.
    pub start_time: Option<Timestamp>,
    /// Before this time.
    pub end_time: Option<Timestamp>,
    /// This name or one below it, by whole segments.
    pub fqn: Option<String>,
    /// Exactly this type, or all below it (`ssh.session`).
    pub event_type: Option<String>,
}

impl AuditFilter {
    /// Whether an item is wanted.
    pub fn matches(&self, item: &AuditItem) -> bool {
        let since = self.start_time.is_none_or(|it| timestamp(it) <= item.timestamp);
        let until = self.end_time.is_none_or(|it| item.timestamp < timestamp(it));
        let fqn = self.fqn.as_deref().is_none_or(|it| below(&item.fqn, it, &["/", "::"]));
        let event = self.event_type.as_deref().is_none_or(|it| below(&item.event_type, it, &["."]));
        since && until && fqn && event
    }
}

/// Whether `name` is `top` or goes on behind it with a separator.
fn below(name: &str, top: &str, separators: &[&str]) -> bool {
    let Some(rest) = name.strip_prefix(top) else { return false };
    rest.is_empty() || separators.iter().any(|it| rest.starts_with(it) || top.ends_with(it))
}

impl Audit {
    /// Up to `limit` records from `cursor` on that the filter wants and `visible` shows, and where to go on. A page may
    /// be short or empty although more comes; at the end the cursor stays.
    pub async fn read(
        &self,
        filter: &AuditFilter,
        cursor: u64,
        limit: usize,
        visible: impl Fn(&AuditItem) -> bool + Send,
    ) -> Result<AuditPage, AuditError> {
        let mut page = AuditPage { records: Vec::new(), cursor };
        let end = cursor.saturating_add(LOOKED_AT_MAX);
        while page.cursor < end {
            let records = self.log.read(page.cursor, CHUNK).await?;
            if records.is_empty() {
                break;
            }
            for (position, bytes) in records {
                if limit <= page.records.len() {
                    return Ok(page);
                }
                let record = decode(position, &bytes).ok_or(AuditError::Damaged(position))?;
                page.cursor = position.saturating_add(1);
                if filter.matches(&record.item) && visible(&record.item) {
                    page.records.push(record);
                }
            }
        }
        Ok(page)
    }

    /// The position that the next record will have.
    pub async fn head(&self) -> Result<u64, AuditError> {
        Ok(self.log.head().await?)
    }

    /// The log that is written to, for [`crate::audit::verify`].
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Every record from a position on, those to come too, until the receiver is dropped or the log fails.
    pub fn follow(&self, from: u64) -> mpsc::Receiver<AuditRecord> {
        let (sender, receiver) = mpsc::channel(CHUNK);
        let (log, head) = (Arc::clone(&self.log), self.head.clone());
        tokio::spawn(async move {
            if let Err(error) = forward(&*log, head, from, &sender).await {
                tracing::warn!(%error, "the audit log cannot be followed");
            }
        });
        receiver
    }
}

async fn forward(
    log: &dyn Log,
    mut head: watch::Receiver<u64>,
    mut next: u64,
    sender: &mpsc::Sender<AuditRecord>,
) -> Result<(), AuditError> {
    loop {
        head.mark_unchanged();
        let records = log.read(next, CHUNK).await?;
        let at_end = records.is_empty();
        for (position, bytes) in records {
            let record = decode(position, &bytes).ok_or(AuditError::Damaged(position))?;
            next = position.saturating_add(1);
            if sender.send(record).await.is_err() {
                return Ok(());
            }
        }
        if at_end {
            tokio::select! {
                changed = timeout(LOOK_EVERY, head.changed()) => {
                    if let Ok(Err(_)) = changed {
                        return Ok(());
                    }
                }
                () = sender.closed() => return Ok(()),
            }
        }
    }
}

//! Where a gate writes down what it decided.

use std::{fmt, pin::Pin};

use crate::{audit::Audit, wire::audit::AuditItem};

/// A future that says whether the record is durable.
pub type Recorded<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The audit log as the gate sees it: it answers when the item is durable, or it says why not.
pub trait Witness: Send + Sync + fmt::Debug + 'static {
    /// Writes one item down.
    fn record(&self, item: AuditItem) -> Recorded<'_>;
}

impl Witness for Audit {
    fn record(&self, item: AuditItem) -> Recorded<'_> {
        Box::pin(async move { Self::record(self, item).await.map_err(|error| error.to_string()) })
    }
}

//! Looks through the whole log for the first record that is not what its writer wrote.

use std::collections::BTreeMap;

use crate::{
    audit::{
        AuditError,
        chain::{START, decode, hash},
    },
    store::Log,
};

/// Records read together.
const CHUNK: usize = 1_024;

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Records looked at.
    pub records: u64,
    /// Records of each writer, up to a break.
    pub writers: BTreeMap<String, u64>,
    /// The first break, if there is one.
    pub broken: Option<AuditBreak>,
}

/// A place where the log is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditBreak {
    /// Of the record.
    pub position: u64,
    /// For people.
    pub reason: String,
}

/// Reads the log from its beginning to the head that it has now. Records that were cut off its very end cannot be
/// missed this way; everything before hangs together.
pub async fn verify(log: &dyn Log) -> Result<AuditReport, AuditError> {
    let head = log.head().await?;
    let mut report = AuditReport { records: 0, writers: BTreeMap::new(), broken: None };
    let mut chains: BTreeMap<String, String> = BTreeMap::new();
    let mut next = 0;
    while next < head {
        let records = log.read(next, CHUNK).await?;
        if records.is_empty() {
            report.broken = Some(AuditBreak { position: next, reason: "the record is missing".to_owned() });
            return Ok(report);
        }
        for (position, bytes) in records {
            if let Err(reason) = check(next, position, &bytes, &mut chains, &mut report) {
                report.broken = Some(AuditBreak { position: next, reason: reason.to_owned() });
                return Ok(report);
            }
            next = position.saturating_add(1);
        }
    }
    Ok(report)
}

fn check(
    expected: u64,
    position: u64,
    bytes: &[u8],
    chains: &mut BTreeMap<String, String>,
    report: &mut AuditReport,
) -> Result<(), &'static str> {
    if position != expected {
        return Err("the record is missing");
    }
    let record = decode(position, bytes).ok_or("the record is none that a writer writes")?;
    let last = chains.entry(record.writer.clone()).or_insert_with(|| START.to_owned());
    if record.previous != *last {
        return Err("the record does not follow its writer's record before");
    }
    if hash(&record.previous, &record.item).as_ref() != Some(&record.hash) {
        return Err("the record's hash is not that of its item");
    }
    *last = record.hash;
    report.records = report.records.saturating_add(1);
    let count = report.writers.entry(record.writer).or_default();
    *count = count.saturating_add(1);
    Ok(())
}

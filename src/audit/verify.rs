//! Looks through the whole log for the first record that is not what its writer wrote, and holds it to the signed head.

use std::collections::BTreeMap;

use crate::{
    audit::{AuditError, seal::Ends},
    store::Log,
    wire::audit::{AuditHead, ChainEnd},
};

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Records looked at.
    pub records: u64,
    /// Records of each writer, up to a break.
    pub writers: BTreeMap<String, u64>,
    /// Records that the signed head covers; none where there is no head.
    pub sealed: Option<u64>,
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

/// What the log is held to.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    /// The head in the store, whose signature was checked.
    pub head: Option<&'a AuditHead>,
    /// A record older than this (as [`crate::audit::timestamp`] writes it) that no head covers is a break: by then
    /// there was one, and it was rolled back. Younger ones are what a crash may leave.
    pub covered_before: &'a str,
}

/// Reads the log from its beginning to the head that it has now: every record hangs together with the one before.
/// Records that were cut off its very end cannot be missed this way; [`verify_sealed`] misses them.
pub async fn verify(log: &dyn Log) -> Result<AuditReport, AuditError> {
    let mut ends = Ends::default();
    let broken = ends.advance(log, |_, _| Ok(())).await?;
    Ok(report(&ends, None, broken))
}

/// As [`verify`], and the log must go through the signed head.
pub async fn verify_sealed(log: &dyn Log, seal: Seal<'_>) -> Result<AuditReport, AuditError> {
    let mut ends = Ends::default();
    let broken = ends.advance(log, |ends, timestamp| hold(ends, timestamp, &seal)).await?;
    let broken = broken.or_else(|| missing(&ends, &seal));
    Ok(report(&ends, seal.head, broken))
}

fn report(ends: &Ends, head: Option<&AuditHead>, broken: Option<AuditBreak>) -> AuditReport {
    let counts = |(name, end): (&String, &ChainEnd)| (name.clone(), end.records);
    AuditReport {
        records: ends.position,
        writers: ends.writers.iter().map(counts).collect(),
        sealed: head.map(|it| it.position),
        broken,
    }
}

/// The record that was just taken in, against the head.
fn hold(ends: &Ends, timestamp: &str, seal: &Seal<'_>) -> Result<(), String> {
    let Some(head) = seal.head else { return Ok(()) };
    if ends.position == head.position && ends.writers != head.writers {
        return Err("the records up to here are not those that the signed head speaks of".to_owned());
    }
    if head.position < ends.position && timestamp < seal.covered_before {
        return Err("no signed head covers the record, although it is old: the head was rolled back".to_owned());
    }
    Ok(())
}

/// What only the end of the log shows.
fn missing(ends: &Ends, seal: &Seal<'_>) -> Option<AuditBreak> {
    let reason = match seal.head {
        Some(head) if ends.position < head.position => {
            format!("records were cut off: the signed head speaks of {}", head.position)
        }
        // A log of before there were heads has none.
        None if ends.any_named() => "there is no signed head".to_owned(),
        Some(_) | None => return None,
    };
    Some(AuditBreak { position: ends.position, reason })
}

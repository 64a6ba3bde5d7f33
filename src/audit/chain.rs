//! One writer's hash chain, and a record as the log keeps it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    audit::AuditError,
    store::Log,
    wire::audit::{AuditItem, AuditRecord},
};

/// Before the first record.
pub(in crate::audit) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Tells this form's hashes from those of the first version.
const HASHED_AS: &[u8] = b"gatehouse audit record 2\n";

/// Records looked at together on the way back to a writer's last.
const CHUNK: u64 = 256;

/// [`AuditRecord`] without its position, which the log knows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    writer: String,
    previous: String,
    hash: String,
    item: AuditItem,
}

/// Where a chain has got to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Chain {
    /// Hash of the writer's last record.
    pub(in crate::audit) last: String,
}

impl Chain {
    /// Finds the writer's last record, from the log's end backwards.
    pub(in crate::audit) async fn restore(log: &dyn Log, writer: &str) -> Result<Self, AuditError> {
        let mut end = log.head().await?;
        while 0 < end {
            let start = end.saturating_sub(CHUNK);
            let mut last = None;
            let mut next = start;
            while next < end {
                let records = log.read(next, usize::try_from(end - next).unwrap_or(usize::MAX)).await?;
                let Some((position, _)) = records.last() else { return Err(AuditError::Damaged(next)) };
                next = position.saturating_add(1);
                for (position, bytes) in &records {
                    let record = decode(*position, bytes).ok_or(AuditError::Damaged(*position))?;
                    if record.writer == writer {
                        last = Some(record.hash);
                    }
                }
            }
            if let Some(last) = last {
                return Ok(Self { last });
            }
            end = start;
        }
        Ok(Self { last: START.to_owned() })
    }

    /// The next record's bytes; the chain goes on from it.
    pub(in crate::audit) fn append(&mut self, writer: &str, item: AuditItem) -> Option<Vec<u8>> {
        let hash = hash(writer, &self.last, &item)?;
        let previous = std::mem::replace(&mut self.last, hash.clone());
        serde_json::to_vec(&Kept { writer: writer.to_owned(), previous, hash, item }).ok()
    }
}

/// Reads a record; none if it is not byte for byte what a writer writes, since bytes beside the item are not hashed.
pub(in crate::audit) fn decode(position: u64, bytes: &[u8]) -> Option<AuditRecord> {
    let kept: Kept = serde_json::from_slice(bytes).ok()?;
    if serde_json::to_vec(&kept).ok()? != bytes {
        return None;
    }
    let Kept { writer, previous, hash, item } = kept;
    Some(AuditRecord { position, writer, previous, hash, item })
}

/// What a record's hash covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Form {
    /// The writer's name, the hash before, the item.
    Named,
    /// As logs of the first version: without the name.
    Nameless,
}

/// How a record's hash was made; none if it is not that record's.
pub(in crate::audit) fn form_of(record: &AuditRecord) -> Option<Form> {
    let AuditRecord { writer, previous, hash: kept, item, position: _ } = record;
    if hash(writer, previous, item).as_ref() == Some(kept) {
        return Some(Form::Named);
    }
    (nameless_hash(previous, item).as_ref() == Some(kept)).then_some(Form::Nameless)
}

/// SHA-256 over the writer's name (behind its length in bytes, eight bytes, big endian), the previous hash's hex digits
/// and the item's JSON as serde writes it: fields in the order of their declaration, maps in the order of their keys, no
/// blanks.
fn hash(writer: &str, previous: &str, item: &AuditItem) -> Option<String> {
    let mut hasher = Sha256::new_with_prefix(HASHED_AS);
    hasher.update(u64::try_from(writer.len()).ok()?.to_be_bytes());
    hasher.update(writer.as_bytes());
    hasher.update(previous.as_bytes());
    hasher.update(serde_json::to_vec(item).ok()?);
    Some(hex::encode(hasher.finalize()))
}

fn nameless_hash(previous: &str, item: &AuditItem) -> Option<String> {
    let mut hasher = Sha256::new_with_prefix(previous.as_bytes());
    hasher.update(serde_json::to_vec(item).ok()?);
    Some(hex::encode(hasher.finalize()))
}

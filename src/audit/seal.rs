//! Where every chain ends, and the signed head that holds it fast, apart from the log.

use std::collections::BTreeMap;

use crate::{
    audit::{
        AuditBreak, AuditError,
        chain::{Form, START, decode, form_of},
    },
    store::{Key, Log},
    wire::audit::{AuditHead, ChainEnd},
};

/// Records read together.
const CHUNK: usize = 1_024;

/// Separates signatures of heads from whatever else a key may ever sign.
const SIGNED_AS: &[u8] = b"gatehouse audit head 1\n";

/// Key of the signed head.
pub fn audit_head_key() -> Key {
    Key::new(["audit", "head"])
}

/// The bytes that a head's signature is over.
pub fn audit_head_bytes(head: &AuditHead) -> Vec<u8> {
    let unsigned = AuditHead { signature: String::new(), ..head.clone() };
    let mut bytes = SIGNED_AS.to_vec();
    // Writing a struct of strings and numbers to memory cannot fail; if it did, no signature would match.
    bytes.extend(serde_json::to_vec(&unsigned).unwrap_or_default());
    bytes
}

/// Where the chains of all writers have got to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// Records looked at: the position of the next.
    pub position: u64,
    /// By writer.
    pub writers: BTreeMap<String, ChainEnd>,
}

impl Ends {
    /// Those that a head holds. Its signature is the caller's to check.
    pub fn of_head(head: &AuditHead) -> Self {
        Self { position: head.position, writers: head.writers.clone() }
    }

    /// Whether the log still has the last record that these ends speak of.
    pub async fn are_in(&self, log: &dyn Log) -> Result<bool, AuditError> {
        let Some(last) = self.position.checked_sub(1) else { return Ok(true) };
        let records = log.read(last, 1).await?;
        let Some((position, bytes)) = records.first().filter(|(position, _)| *position == last) else {
            return Ok(false);
        };
        let Some(record) = decode(*position, bytes) else { return Ok(false) };
        Ok(self.writers.get(&record.writer).is_some_and(|end| end.hash == record.hash))
    }

    /// Goes on to the head that the log has now, and shows each record to `seen` once it is known to hang together
    /// with its writer's record before.
    pub async fn advance(
        &mut self,
        log: &dyn Log,
        mut seen: impl FnMut(&Self, &str) -> Result<(), String> + Send,
    ) -> Result<Option<AuditBreak>, AuditError> {
        let end = log.head().await?;
        while self.position < end {
            let records = log.read(self.position, CHUNK).await?;
            if records.is_empty() {
                return Ok(Some(self.broken("the record is missing".to_owned())));
            }
            for (position, bytes) in records {
                let told = self.step(position, &bytes).map_err(str::to_owned);
                if let Err(reason) = told.and_then(|timestamp| seen(self, &timestamp)) {
                    return Ok(Some(AuditBreak { position, reason }));
                }
            }
        }
        Ok(None)
    }

    fn broken(&self, reason: String) -> AuditBreak {
        AuditBreak { position: self.position, reason }
    }

    /// Takes one record in, and answers its time.
    fn step(&mut self, position: u64, bytes: &[u8]) -> Result<String, &'static str> {
        if position != self.position {
            return Err("the record before it is missing");
        }
        let record = decode(position, bytes).ok_or("the record is none that a writer writes")?;
        let start = || ChainEnd { records: 0, hash: START.to_owned(), named: false };
        let end = self.writers.entry(record.writer.clone()).or_insert_with(start);
        if record.previous != end.hash {
            return Err("the record does not follow its writer's record before");
        }
        let form = form_of(&record).ok_or("the record's hash is not that of its item and writer")?;
        // Records of before the writer's name was covered are followed by such that cover it, never the other way.
        if end.named && form == Form::Nameless {
            return Err("the record's hash does not cover its writer's name");
        }
        end.named = form == Form::Named;
        end.hash = record.hash;
        end.records = end.records.saturating_add(1);
        self.position = position.saturating_add(1);
        Ok(record.item.timestamp)
    }

    /// Whether any chain is of this version, and so was written beside a sealer.
    pub(in crate::audit) fn any_named(&self) -> bool {
        self.writers.values().any(|it| it.named)
    }
}

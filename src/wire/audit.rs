//! Audit items, as they are stored and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditItem {
    /// Identity.
    pub uuid: String,
    /// RFC 3339, UTC, milliseconds.
    pub timestamp: String,
    /// `policy.access.allowed`, `policy.access.denied`, `policy.changed`, `ssh.session.opened`, `ssh.session.request`,
    /// `ssh.session.closed`, `ssh.session.revoked`, `console.created`, `console.deleted`, `token.issued`,
    /// `token.refused`, `job.created`, `job.updated`, `job.deleted`.
    pub event_type: String,
    /// What it was done to.
    pub fqn: String,
    /// Who did it.
    pub principal_name: String,
    /// For whom, where a component acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// Session id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<AuditDecision>,
    /// More, by event type. Never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub payload: BTreeMap<String, String>,
}

/// A decision in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDecision {
    /// Outcome.
    pub allowed: bool,
    /// `permit ssh`.
    pub wanted: Vec<String>,
    /// What was not asserted.
    pub missing: Vec<String>,
    /// `document:line:column` of the rules that made it.
    pub because: Vec<String>,
    /// Of the policy set.
    pub revision: u64,
}

/// One link of a writer's hash chain, as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Position in the log, from 0.
    pub position: u64,
    /// Who writes this chain.
    pub writer: String,
    /// Hex SHA-256 of the writer's record before; zeros for the first.
    pub previous: String,
    /// Hex SHA-256 over `writer`, `previous` and the item's JSON.
    pub hash: String,
    /// The item.
    pub item: AuditItem,
}

/// Where all chains ended at one position of the log, signed by the auth role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// Records that it covers: all before this position.
    pub position: u64,
    /// The end of each writer's chain there.
    pub writers: BTreeMap<String, ChainEnd>,
    /// Id of the key that signed.
    pub kid: String,
    /// Ed25519 over the head without it, base64url.
    pub signature: String,
}

/// The end of one writer's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEnd {
    /// Its records.
    pub records: u64,
    /// Hex SHA-256 of the last.
    pub hash: String,
    /// Whether that hash covers the writer's name; those of the first version did not.
    pub named: bool,
}

/// Answer of `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Ascending by position.
    pub records: Vec<AuditRecord>,
    /// Give it as `cursor` to go on behind the last record looked at.
    pub cursor: u64,
}

/// Answer of `GET /v1/audit/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Records looked at.
    pub records: u64,
    /// Records of each writer, up to a break.
    pub writers: BTreeMap<String, u64>,
    /// Records that the signed head covers; absent where there is no head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<u64>,
    /// The first break, if there is one.
    pub broken: Option<AuditBreak>,
}

/// A place where the log is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBreak {
    /// Of the record.
    pub position: u64,
    /// For people.
    pub reason: String,
}

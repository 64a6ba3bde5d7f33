//! Policy documents over the API and in the store.

use serde::{Deserialize, Serialize};

/// The head of the policy set. Stored under `policy/head`; written only by the auth role, by compare-and-set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyHead {
    /// Grows by one with each change; the first set has 1.
    pub revision: u64,
    /// Version of the engine that compiled it.
    pub engine: String,
    /// Ascending by name; system documents are not among them.
    pub documents: Vec<PolicyEntry>,
    /// Tests that every change has to leave whole, ascending by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyEntry>,
    /// Key id of the snapshot key.
    pub kid: String,
    /// Base64 Ed25519 signature over the JSON of this with an empty `signature`.
    pub signature: String,
}

/// One document of the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEntry {
    /// Name without `.pol`.
    pub name: String,
    /// Grows by one with each change of this document.
    pub version: u64,
    /// `sha256:<hex>` of its text, which is a blob of that digest.
    pub digest: String,
    /// Who wrote this version.
    pub author: String,
}

/// What a compiled set that is kept in a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPolicy {
    /// Of the head that it was compiled for.
    pub revision: u64,
    /// Its documents, as that head lists them.
    pub documents: Vec<PolicyEntry>,
}

/// Body of `PUT /v1/policy`: all or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// At least one, or at least one of `tests`.
    pub docs: Vec<PutDocument>,
    /// Tests that come, change or go with the documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PutTests>,
    /// Accept that the caller could not make this change again afterwards.
    #[serde(default)]
    pub force: bool,
}

/// One document to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutDocument {
    /// Name without `.pol`.
    pub name: String,
    /// Version that it replaces; 0 for a new one; absent: whatever is there.
    pub for_version: Option<u64>,
    /// New text.
    pub text: String,
}

/// One file of tests to be kept, or to be taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutTests {
    /// Name without `.decisions.toml`.
    pub name: String,
    /// Version that it replaces; 0 for a new one; absent: whatever is there.
    pub for_version: Option<u64>,
    /// New text; none takes the tests away.
    pub text: Option<String>,
}

/// A document as `GET /v1/policy/{doc}` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDocument {
    /// Name without `.pol`.
    pub name: String,
    /// 0 for system documents.
    pub version: u64,
    /// Whether it is part of the program and cannot be edited.
    pub system: bool,
    /// Who wrote this version; empty for system documents.
    pub author: String,
    /// Text; absent in a listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Answer of `GET /v1/policy` and of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyList {
    /// Revision of the set.
    pub revision: u64,
    /// Ascending by name.
    pub documents: Vec<PolicyDocument>,
    /// Tests kept beside them, ascending by name without `.decisions.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyDocument>,
}

/// A diagnostic as `cli-contract` fixes it, for `--format json` and for 422 answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticJson {
    /// `E0201`.
    pub code: String,
    /// `unknown-resource-type`.
    pub name: String,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// As given.
    pub file: String,
    /// First place.
    pub start: Place,
    /// One past the last.
    pub end: Place,
    /// One sentence.
    pub message: String,
    /// What stands there.
    pub label: String,
    /// Further places.
    pub labels: Vec<LabelJson>,
    /// The way out, or null.
    pub help: Option<String>,
    /// Edits.
    pub fixes: Vec<FixJson>,
}

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in code points.
    pub column: usize,
    /// From 0, in bytes.
    pub offset: usize,
}

/// A second place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelJson {
    /// First place.
    pub start: Place,
    /// One past the last.
    pub end: Place,
    /// What it is.
    pub message: String,
}

/// A change that mends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixJson {
    /// What it does.
    pub title: String,
    /// Whether grants stay.
    pub safe: bool,
    /// Disjoint, ascending.
    pub edits: Vec<EditJson>,
}

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditJson {
    /// First place.
    pub start: Place,
    /// One past the last.
    pub end: Place,
    /// What comes.
    pub text: String,
}

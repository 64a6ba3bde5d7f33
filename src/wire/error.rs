//! The one shape of an error answer.

use serde::{Deserialize, Serialize};

use crate::wire::policy::DiagnosticJson;

/// Body of every answer of 400 and above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Stable word for programs: `unauthorized`, `missing_claim`, `not_found`, `conflict`, `ssh_not_enabled`,
    /// `no_running_instance`, `flapping`, `host_unreachable`, `host_key_mismatch`, `no_shell`, `unenforceable`,
    /// `unavailable`, `invalid`, `too_large`, `policy_invalid`, `policy_tests_failed`, `too_many_requests`, `unsupported`.
    pub code: String,
    /// For people: lower case, no full stop, no secret.
    pub message: String,
    /// `permit ssh`, in the request's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_claims: Vec<String>,
    /// What is wrong with policy text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticJson>,
    /// Names the request in the log.
    #[serde(default)]
    pub request_id: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retry: bool,
    /// The token is bad: log in again.
    #[serde(default)]
    pub token_invalid: bool,
    /// There is no such thing, or the caller may not know.
    #[serde(default)]
    pub resource_missing: bool,
}

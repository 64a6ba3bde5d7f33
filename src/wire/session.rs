//! Live sessions, as `GET /v1/sessions` shows them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One live session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// `<api id>-<uuid without dashes>`.
    pub id: String,
    /// Who.
    pub principal: String,
    /// The job.
    pub job: Uuid,
    /// The job's name.
    pub fqn: String,
    /// The instance.
    pub instance: Uuid,
    /// The client's address as the router saw it.
    pub client_address: Option<String>,
    /// RFC 3339, UTC.
    pub opened: String,
    /// What is open in it: `shell`, `exec: make test`, ascending by stream. Untrusted text.
    pub requests: Vec<String>,
}

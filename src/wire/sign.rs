//! Opening requests, and what an API server asks of the signer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A request inside a session, and the first one by which a tunnel is opened.
///
/// Header `Apc-Open`: base64url (no padding) of this as JSON. Also the payload of an `open` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Open {
    /// A login shell. Wants `permit shell`.
    Shell {
        /// The terminal; none for piped input.
        #[serde(default)]
        pty: Option<Pty>,
    },
    /// One command, given to the shell's `-c`. Wants `permit exec`.
    Exec {
        /// Context `command`.
        command: String,
        /// The terminal, if one is wanted.
        #[serde(default)]
        pty: Option<Pty>,
    },
    /// Wants `permit sftp` for `sftp`; any other name is refused.
    Subsystem {
        /// Context `subsystem`.
        name: String,
    },
    /// A forwarded connection. Wants `permit forward`.
    Forward {
        /// Context `forward.host`.
        host: String,
        /// Context `forward.port`.
        port: u16,
    },
}

/// A terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pty {
    /// `TERM`.
    pub term: String,
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Modes as in RFC 4254 section 8: (opcode, argument).
    #[serde(default)]
    pub modes: Vec<(u8, u32)>,
}

/// `POST /internal/sign`: asks for a certificate for one session. Only an API server may ask, only with a user's token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignSession {
    /// The user's own token; the signer decides by it.
    pub token: String,
    /// The instance; becomes the certificate's only principal.
    pub instance: Uuid,
    /// `[A-Za-z0-9-]{1,64}`; begins with the API server's id.
    pub session: String,
    /// The session's fresh public key (OpenSSH format).
    pub public_key: String,
    /// The first request.
    pub open: Open,
    /// The client's address as the router saw it.
    pub client_address: Option<String>,
}

/// Answer to [`SignSession`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSession {
    /// OpenSSH certificate, valid for a minute.
    pub certificate: String,
    /// The policy revision that the signer decided under.
    pub revision: u64,
}

/// Value of the critical option `session@gatehouse`, which only our agent knows, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOption {
    /// Session id.
    pub session: String,
    /// Lease epoch of the instance.
    pub epoch: u64,
    /// User to run as where policy names one (`ssh.user`); else the job's.
    pub user: Option<String>,
}

/// Name of the critical option that carries [`SessionOption`].
pub const SESSION_OPTION: &str = "session@gatehouse";

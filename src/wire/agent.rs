//! Messages between shim and agent: one JSON object a packet on a `SOCK_SEQPACKET` pair, descriptors beside it.
//!
//! The agent is started with descriptor 3 = its own sealed image, 4 = the listener on port 222, 5 = this socket.
//! Everything it says is hostile input to the shim.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version both sides must speak.
pub const AGENT_PROTOCOL: u32 = 1;

/// Bytes in one packet.
pub const AGENT_PACKET_BYTES_MAX: usize = 64 * 1024;

/// From the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// First packet: everything the agent needs to know.
    Start {
        /// [`AGENT_PROTOCOL`].
        protocol: u32,
        /// The only principal that certificates may name.
        instance: Uuid,
        /// Present lease epoch; certificates under another are refused.
        epoch: u64,
        /// Public keys (OpenSSH) of the authorities whose certificates count.
        user_authorities: Vec<String>,
        /// The job's user, in the image's terms.
        user: String,
        /// The job's environment.
        environment: BTreeMap<String, String>,
        /// The job's working directory.
        working_directory: String,
    },
    /// Lease or authorities have changed; sessions of another epoch end.
    Update {
        /// Present lease epoch.
        epoch: u64,
        /// Authorities from now on.
        user_authorities: Vec<String>,
    },
    /// Answer to `Enter`: the process may go on.
    Entered {
        /// As in the request.
        request: u64,
        /// Absent when it could be placed; else the process must not run.
        error: Option<String>,
    },
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAgent {
    /// It serves.
    Ready {
        /// Public half of its host key (OpenSSH format).
        host_key: String,
    },
    /// Asks to place a stopped child into the session's own cgroup; one pidfd of the child stands beside it.
    Enter {
        /// Names the answer.
        request: u64,
        /// Session id: `[A-Za-z0-9-]{1,64}`.
        session: String,
    },
    /// The session is over: kill what is left in its cgroup and remove it.
    Leave {
        /// Session id.
        session: String,
    },
}

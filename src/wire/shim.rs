//! What a manager and the shims of its instances tell each other: a file, then JSON lines on a unix socket.

use std::{net::Ipv4Addr, path::PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::{
    im::DesiredInstance,
    job::{InstanceState, Resources},
};

/// The version both sides must speak; a manager may be newer than the shims that it finds.
pub const SHIM_PROTOCOL: u32 = 1;

/// Bytes in one line.
pub const SHIM_LINE_BYTES_MAX: usize = 1024 * 1024;

/// Everything a shim must know to run its instance: `spec.json` in the instance's folder, written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimSpecification {
    /// [`SHIM_PROTOCOL`].
    pub protocol: u32,
    /// The instance as it was desired at the start.
    pub instance: DesiredInstance,
    /// Authorities of users' certificates at the start (OpenSSH).
    pub user_authorities: Vec<String>,
    /// Unpacked layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// Number of the instance's pair of addresses and range of user ids.
    pub slot: u32,
    /// First user id of the instance's range.
    pub uid_base: u32,
    /// The host's address on the pair.
    pub host: Ipv4Addr,
    /// The instance's address.
    pub address: Ipv4Addr,
    /// Path of the instance's cgroups, relative to the hierarchies' roots.
    pub cgroup: String,
    /// The OCI runtime.
    pub runtime: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// Limits of the agent and all sessions together.
    pub reserve: Resources,
}

/// From the manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToShim {
    /// First line.
    Hello {
        /// [`SHIM_PROTOCOL`].
        protocol: u32,
    },
    /// The pair of addresses is there: configure it and start. Saying it again changes nothing.
    Attached,
    /// What may change while the instance runs.
    Settings {
        /// Present lease epoch.
        epoch: u64,
        /// Whether port 222 is served.
        ssh: bool,
        /// Authorities from now on (OpenSSH).
        user_authorities: Vec<String>,
    },
    /// The lease begins anew.
    Renew,
    /// End it: ask the main process to stop, wait, then kill everything.
    Stop {
        /// Milliseconds between the two.
        grace_ms: u64,
    },
}

/// From the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromShim {
    /// First line.
    Hello {
        /// [`SHIM_PROTOCOL`].
        protocol: u32,
        /// Whose it is.
        instance: Uuid,
        /// The shim's process id.
        process: i32,
    },
    /// All there is to say, after each change.
    Status(ShimStatus),
}

/// State of an instance as its shim knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimStatus {
    /// `Setup` until the network is attached; `Removed` once nothing runs any more.
    pub state: InstanceState,
    /// Of the last settings.
    pub epoch: u64,
    /// Host key of the agent that serves now (OpenSSH); none while none serves.
    pub host_key: Option<String>,
    /// Whether the root file system has `/bin/sh`.
    pub has_shell: bool,
    /// First process of the container, in the host's numbers.
    pub process: Option<i32>,
    /// Exit status of the main process when it has ended and is not started again.
    pub exit: Option<i32>,
    /// Three failures in five minutes: no more restarts.
    pub flapping: bool,
    /// What is wrong, for people.
    pub message: Option<String>,
}

impl ShimStatus {
    /// The last status of an instance that did not end by itself.
    pub fn ended(epoch: u64, message: &str) -> Self {
        Self {
            state: InstanceState::Removed,
            epoch,
            host_key: None,
            has_shell: false,
            process: None,
            exit: None,
            flapping: false,
            message: Some(message.to_owned()),
        }
    }
}

//! Messages between an API server and an instance manager: JSON text messages on a WebSocket that the manager opens.
//!
//! Both sides are level-triggered: `Desired` and `Actual` always say everything.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::job::{InstanceState, Layer, Process, Resources};

/// The version both sides must speak.
pub const IM_PROTOCOL: u32 = 1;

/// From the manager to the API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromIm {
    /// First message.
    Hello {
        /// [`IM_PROTOCOL`].
        protocol: u32,
        /// Address at which its public ports are reached.
        address: IpAddr,
        /// First and last public port.
        ports: (u16, u16),
    },
    /// All instances that exist on the host, also those that are not desired.
    Actual {
        /// In any order.
        instances: Vec<ActualInstance>,
    },
    /// Lines of a log that was asked for.
    Logs {
        /// As in the request.
        request: u64,
        /// Text as the process wrote it, lossy UTF-8; at most 32 KiB.
        text: String,
        /// Nothing follows.
        end: bool,
    },
}

/// From the API server to the manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToIm {
    /// Answer to `Hello`.
    Welcome {
        /// [`IM_PROTOCOL`].
        protocol: u32,
        /// Public keys (OpenSSH) of the authorities that sign instance users' certificates.
        user_authorities: Vec<String>,
        /// Only these addresses may reach the public ports.
        api_addresses: Vec<IpAddr>,
    },
    /// All instances that this manager should run; what is missing is to be removed.
    Desired {
        /// In any order.
        instances: Vec<DesiredInstance>,
    },
    /// The leases of these console instances go on for their time to live from now.
    Renew {
        /// Instances.
        instances: Vec<Uuid>,
    },
    /// Asks for a log.
    Logs {
        /// Names the answer.
        request: u64,
        /// Whose.
        instance: Uuid,
        /// Last lines at most.
        lines: u32,
    },
}

/// One instance that should run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredInstance {
    /// Identity.
    pub uuid: Uuid,
    /// Whose.
    pub job: Uuid,
    /// For the host name and for people.
    pub fqn: String,
    /// Of the lease by which this manager holds it.
    pub epoch: u64,
    /// Main process; an empty command idles.
    pub process: Process,
    /// Root file system, lowest first.
    pub layers: Vec<Layer>,
    /// Limits.
    pub resources: Resources,
    /// Whether port 222 is served; may change while it runs.
    pub ssh: bool,
    /// Start the process again when it ends.
    pub restart: bool,
    /// Milliseconds that it may live without `Renew` (consoles); none for ever.
    pub lease_ms: Option<u64>,
}

/// One instance that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActualInstance {
    /// Identity.
    pub uuid: Uuid,
    /// Of the lease that it was started or adopted under.
    pub epoch: u64,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Behind which 222 is; none until SSH is served.
    pub public_port: Option<u16>,
    /// Public half of the agent's host key (OpenSSH format); the manager vouches for it.
    pub host_key: Option<String>,
    /// Whether the root file system has `/bin/sh` (none until known).
    pub has_shell: Option<bool>,
    /// Exit status of the main process when it has ended and is not started again.
    pub exit: Option<i32>,
    /// Three failures in five minutes: no more restarts.
    pub flapping: bool,
    /// What is wrong, for people.
    pub message: Option<String>,
}

//! What an instance manager must be told about its host.

use std::{ffi::OsString, net::IpAddr, net::Ipv4Addr, path::PathBuf};

use crate::wire::job::Resources;

/// Settings of one manager. Several may run on one host if their state, ports, addresses and user ids are disjoint.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder for everything it keeps; made with mode 0700 if absent.
    pub state: PathBuf,
    /// Address at which API servers reach the public ports.
    pub address: IpAddr,
    /// First and last public port, both within 1024 to 65535.
    pub ports: (u16, u16),
    /// The static SSH server that runs in instances (`apc-agent`).
    pub agent: PathBuf,
    /// The OCI runtime: `runc`, or `crun` where its probe passes.
    pub runtime: PathBuf,
    /// How to start a shim: a program and arguments to which the instance's folder is appended; the program must
    /// call [`crate::im::shim::main`] before it starts any thread. `[apcd, "shim"]`.
    pub shim: Vec<OsString>,
    /// First user id of the first instance's range of 65,536; ranges follow one another up to 2^31.
    pub uid_base: u32,
    /// Private network for the pairs of addresses of instances, and its prefix length.
    pub network: (Ipv4Addr, u8),
    /// Folder of the cgroup tree under which instances lie, without a leading slash: `gatehouse`.
    pub cgroup: String,
    /// What SSH sessions of one instance may use beside the job's own limits, so that a job at its limits can be entered.
    pub reserve: Resources,
    /// On a clean stop remove all instances instead of leaving them to their shims.
    pub stop_instances_on_exit: bool,
}

impl Settings {
    /// Settings with every default but these.
    pub fn new(state: PathBuf, agent: PathBuf, shim: Vec<OsString>) -> Self {
        Self {
            state,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: (20_000, 29_999),
            agent,
            runtime: PathBuf::from("runc"),
            shim,
            uid_base: 0x7000_0000,
            network: (Ipv4Addr::new(10, 222, 0, 0), 16),
            cgroup: "gatehouse".to_owned(),
            reserve: Resources { memory_bytes: 128 * 1024 * 1024, cpu_ms_per_second: 500, pids: 128 },
            stop_instances_on_exit: false,
        }
    }
}

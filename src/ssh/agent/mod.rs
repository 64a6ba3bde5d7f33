//! The SSH server inside an instance: certificates only, one session a connection, everything in the session's own cgroup.
//!
//! It is started by the shim with descriptor 3 = its own sealed image, 4 = the listener on port 222 and 5 = the socket
//! to the shim, and needs nothing from the image but `/bin/sh`, `/proc` and, for terminals, `/dev/pts`. It speaks
//! [`crate::wire::agent`] with the shim. Whoever breaks it is still in the container.

mod account;
mod admission;
mod control;
mod enter;
mod handler;
mod idle;
mod lease;
mod outlet;
mod process;
mod reaper;
mod server;
mod session;
mod signal;
mod terminal;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use russh::keys::{Certificate, PublicKey, ssh_key::public::KeyData};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::error;

pub use crate::ssh::agent::server::AgentError;
use crate::ssh::{
    agent::{
        account::{Account, AccountError, look_up},
        control::Control,
        lease::{Lease, Leases, NotAdmitted},
        reaper::Children,
        server::serve,
    },
    certificate::{Serials, Trust, accept},
    transport,
};

/// The listener on port 222, and the socket to the shim.
const LISTENER: RawFd = 4;
const CONTROL: RawFd = 5;

/// The whole program: `apc-agent` serves, `apc-agent enter FD` is what it starts for each session, `apc-agent idle` is the
/// first process of an instance without a command.
pub fn main(arguments: &[OsString]) -> ExitCode {
    match arguments {
        [] => run(),
        [mode] if mode == "idle" => idle::run(),
        [mode, descriptor] if mode == "enter" => enter::run(descriptor),
        _ => ExitCode::from(2),
    }
}

fn run() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    // The host key is in memory, and root in the container is not to read it.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        error!("memory cannot be protected: {error}");
        return ExitCode::FAILURE;
    }
    #[expect(unsafe_code, reason = "descriptors that were inherited have no owner yet")]
    // SAFETY: the shim passes both (see the module's documentation), and nothing has opened or owned them before.
    let (listener, control) = unsafe { (OwnedFd::from_raw_fd(LISTENER), OwnedFd::from_raw_fd(CONTROL)) };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let children = Children::default();
    let serving = async {
        tokio::select! {
            result = serve(listener, control, PathBuf::from("/proc/self/exe"), children.clone()) => result,
            () = reaper::run(&children) => Ok(()),
        }
    };
    match runtime.block_on(serving) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What the connections share.
#[derive(Debug)]
pub(in crate::ssh) struct Agent {
    job: Job,
    control: Control,
    /// This program, which sessions are started by.
    helper: PathBuf,
    /// Processes that somebody here waits for.
    children: Children,
    leases: Leases,
    checks: Mutex<Checks>,
}

/// What does not change.
#[derive(Debug)]
pub(in crate::ssh) struct Job {
    user: String,
    environment: BTreeMap<String, String>,
    working_directory: String,
}

/// What certificates are checked by.
#[derive(Debug)]
struct Checks {
    trust: Trust,
    serials: Serials,
}

impl Agent {
    /// Admits a session by its certificate, once.
    fn admit(
        &self,
        certificate: &Certificate,
        now: u64,
        connection: &Arc<transport::Control>,
    ) -> Result<Arc<Lease>, NotAdmitted> {
        let mut checks = self.checks();
        let Checks { trust, serials } = &mut *checks;
        let option = accept(certificate, trust, serials, now)?;
        // Under the same lock as an update of the epoch: a session is either refused by it or ended by it.
        self.leases.enter(option, Arc::clone(connection))
    }

    /// Another epoch ends all sessions of the one before.
    fn update(&self, epoch: u64, authorities: Vec<KeyData>) {
        let mut checks = self.checks();
        checks.trust.epoch = epoch;
        checks.trust.authorities = authorities;
        self.leases.revoke_unless(epoch);
    }

    /// Who a session runs as: whom policy names, else the job's user.
    fn account(&self, lease: &Lease) -> Result<Account, AccountError> {
        look_up(Path::new("/etc"), lease.user().unwrap_or(&self.job.user))
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Public keys in the OpenSSH format; a malformed one is an error, for it was meant to count or not to.
fn authorities(texts: &[String]) -> Result<Vec<KeyData>, AgentError> {
    let parse = |text: &String| PublicKey::from_openssh(text).map(|it| it.key_data().clone());
    texts.iter().map(|it| parse(it).map_err(|_| AgentError::Authority)).collect()
}

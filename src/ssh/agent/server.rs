//! The agent's main loop: messages of the shim, connections on the listener, sessions that were left.

use std::{
    net::TcpListener as StdListener,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use russh::{
    MethodKind, MethodSet, SshId,
    keys::{Algorithm, PrivateKey, key::safe_rng},
    server::{self, Config},
};
use rustix::io::{FdFlags, fcntl_setfd};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{error::Elapsed, sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    ssh::{
        agent::{
            Agent, Checks, Job,
            admission::{Door, HalfOpen},
            authorities,
            control::Control,
            handler::Connection,
            lease::Leases,
            reaper::Children,
        },
        algorithms::{KEEPALIVE_INTERVAL, KEEPALIVES_MAX, PACKET_BYTES_MAX, limits, preferred},
        certificate::{Serials, Trust},
        inbox::WINDOW_BYTES,
        transport::Transport,
    },
    wire::agent::{AGENT_PROTOCOL, FromAgent, ToAgent},
};

/// From the accepted connection to the accepted certificate.
const GRACE: Duration = Duration::from_secs(10);

/// For the shim's first message.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// For sessions to end when the agent does.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// After an `accept` that failed for want of descriptors, of which no event tells when there are some again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Certificates that one connection may show.
const ATTEMPTS_MAX: usize = 3;

/// Why the agent cannot serve.
#[derive(Debug, Error)]
pub enum AgentError {
    /// A passed descriptor is not what it should be.
    #[error("the passed descriptors cannot be used: {0}")]
    Descriptor(#[from] std::io::Error),
    /// The shim said nothing, or something else first.
    #[error("the shim did not say what to serve")]
    Start,
    /// The shim is of another version.
    #[error("the shim speaks protocol {0}, this agent {AGENT_PROTOCOL}")]
    Protocol(u32),
    /// A listed authority is no public key.
    #[error("a listed authority is no public key")]
    Authority,
    /// No host key.
    #[error("no host key can be made: {0}")]
    HostKey(String),
}

/// Serves on `listener` until the shim closes `control`. `helper` is this program, which sessions are started by; those are
/// listed in `children` while they run.
pub(in crate::ssh) async fn serve(
    listener: OwnedFd,
    control: OwnedFd,
    helper: PathBuf,
    children: Children,
) -> Result<(), AgentError> {
    fcntl_setfd(&listener, FdFlags::CLOEXEC).map_err(std::io::Error::from)?;
    let listener = StdListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let control = Control::new(control)?;
    let (left, leaving) = mpsc::unbounded_channel();
    let agent = Arc::new(start(control, helper, children, Leases::new(left)).await?);
    let (config, host_key) = config()?;
    agent.control.send(&FromAgent::Ready { host_key }, None).await?;
    info!("serving");
    run(&agent, &listener, Arc::new(config), leaving).await;
    Ok(())
}

/// Waits for the first message.
async fn start(control: Control, helper: PathBuf, children: Children, leases: Leases) -> Result<Agent, AgentError> {
    let first = timeout(START_TIMEOUT, control.receive()).await.map_err(|_: Elapsed| AgentError::Start)??;
    let Some(ToAgent::Start { protocol, instance, epoch, user_authorities, user, environment, working_directory }) =
        first
    else {
        return Err(AgentError::Start);
    };
    if protocol != AGENT_PROTOCOL {
        return Err(AgentError::Protocol(protocol));
    }
    let trust = Trust { instance, epoch, authorities: authorities(&user_authorities)? };
    let checks = Mutex::new(Checks { trust, serials: Serials::default() });
    Ok(Agent { job: Job { user, environment, working_directory }, control, helper, children, leases, checks })
}

/// A host key of its own at each start; the shim vouches for it.
fn config() -> Result<(Config, String), AgentError> {
    let failed = |error: russh::keys::ssh_key::Error| AgentError::HostKey(error.to_string());
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(failed)?;
    let public = key.public_key().to_openssh().map_err(failed)?;
    let config = Config {
        server_id: SshId::Standard("SSH-2.0-Gatehouse".into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Nothing is guessed here: certificates are as long as they are, and no name is looked up.
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        limits: limits(),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: 8,
        preferred: preferred(vec![Algorithm::Ed25519]),
        max_auth_attempts: ATTEMPTS_MAX,
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        manual_window: true,
        require_strict_kex: true,
        ..Config::default()
    };
    Ok((config, public))
}

async fn run(
    agent: &Arc<Agent>,
    listener: &TcpListener,
    config: Arc<Config>,
    mut leaving: mpsc::UnboundedReceiver<String>,
) {
    tokio::select! {
        () = listen(agent, listener, config) => (),
        () = report(agent, &mut leaving) => (),
        () = obey(agent) => (),
    }
    info!("the shim is gone: ending all sessions");
    agent.control.close();
    agent.leases.revoke_all();
    // Each session's end comes out here; the last one drops the sender's last clone but the agent's own.
    let ended = async {
        while !agent.leases.is_empty() {
            leaving.recv().await;
        }
    };
    if timeout(STOP_TIMEOUT, ended).await.is_err() {
        warn!("some sessions have not ended");
    }
}

/// Follows the shim until it closes its end or makes no sense.
async fn obey(agent: &Agent) {
    loop {
        match agent.control.receive().await {
            Ok(Some(ToAgent::Entered { request, error })) => agent.control.entered(request, error),
            Ok(Some(ToAgent::Update { epoch, user_authorities })) => match authorities(&user_authorities) {
                Ok(authorities) => agent.update(epoch, authorities),
                // Fail closed: what cannot be understood might take rights away.
                Err(error) => {
                    warn!("{error}: nobody is trusted");
                    agent.update(epoch, Vec::new());
                }
            },
            Ok(Some(ToAgent::Start { .. })) => {
                warn!("the shim has started this agent twice");
                return;
            }
            Ok(None) => return,
            Err(error) => {
                warn!("the shim cannot be understood: {error}");
                return;
            }
        }
    }
}

/// Tells the shim of sessions that were left.
async fn report(agent: &Agent, leaving: &mut mpsc::UnboundedReceiver<String>) {
    while let Some(session) = leaving.recv().await {
        if agent.control.send(&FromAgent::Leave { session }, None).await.is_err() {
            return;
        }
    }
}

async fn listen(agent: &Arc<Agent>, listener: &TcpListener, config: Arc<Config>) {
    let door = Door::default();
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("a connection was lost: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(half_open) = door.admit(source.ip()) else {
            debug!(%source, "too many half-open connections");
            continue;
        };
        let _nagle_stays = stream.set_nodelay(true);
        let agent = Arc::clone(agent);
        tokio::spawn(converse(agent, stream, Arc::clone(&config), half_open));
    }
}

/// One connection, on a task of its own from its first byte.
async fn converse(agent: Arc<Agent>, stream: TcpStream, config: Arc<Config>, half_open: HalfOpen) {
    let (transport, control) = Transport::new(stream, GRACE);
    let connection = Connection::new(agent, control, half_open);
    let result = match server::run_stream(config, transport, connection).await {
        Ok(running) => running.await,
        Err(fault) => Err(fault),
    };
    if let Err(fault) = result {
        debug!("connection ended: {fault}");
    }
}

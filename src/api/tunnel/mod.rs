//! The tunnel: `GET /v1/jobs/{uuid}/tunnel[/{instance}]`, from the decision to the last byte (`platform.md` section 4).
//!
//! [`open`] is the sequence before 101, [`relay`] what comes after; [`judge`] decides what happens in between and
//! within. `sessions` has the table that both depend on.

mod audit;
mod choose;
pub mod directory;
pub mod instance;
mod judge;
mod open;
pub mod probe;
mod relay;
mod route;
mod socket;
mod ssh;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{directory::ApiDirectory, route::routes, ssh::SshDialer};
use crate::{
    api::{
        console::Consoles,
        sessions::{Sessions, guard::Guard},
        tunnel::{
            directory::Directory,
            instance::{Dialer, Doing},
            probe::Probe,
        },
    },
    gate::Gate,
    link::{self, CallError},
    wire::{
        error::ApiError,
        sign::{SignSession, SignedSession},
    },
};

/// How long sessions may go on once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Asks the only holder of the authority's key for a certificate.
pub trait Signer: Send + Sync + fmt::Debug + 'static {
    /// It decides by itself, from the user's token.
    fn sign(&self, session: SignSession) -> Doing<'_, Result<SignedSession, ApiError>>;
}

/// What a tunnel is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Names this API server; session ids begin with it.
    pub id: String,
    /// Decides.
    pub gate: Arc<Gate>,
    /// Where jobs and instances are.
    pub directory: Arc<dyn Directory>,
    /// Signs certificates.
    pub signer: Arc<dyn Signer>,
    /// Reaches instances.
    pub dialer: Arc<dyn Dialer>,
    /// Told of sessions into clones.
    pub consoles: Consoles,
    /// Without word from the store for so long, new sessions are refused.
    pub stale_refuse: Duration,
    /// Without word from the store for so long, or with no answer to whether they may, live sessions end.
    pub stale_end: Duration,
    /// For tests.
    pub probe: Option<Arc<dyn Probe>>,
}

/// The tunnel of one API server.
#[derive(Debug)]
pub struct Tunnel {
    parts: Parts,
    guard: Arc<Guard>,
    sessions: Sessions,
}

impl Tunnel {
    /// Of its parts; [`Tunnel::run`] makes it safe and [`routes`] reachable.
    pub fn new(parts: Parts) -> Arc<Self> {
        let sessions = Sessions::default();
        let guard = Guard {
            gate: Arc::clone(&parts.gate),
            directory: Arc::clone(&parts.directory),
            sessions: sessions.clone(),
            undecided_max: parts.stale_end,
        };
        Arc::new(Self { parts, guard: Arc::new(guard), sessions })
    }

    /// Decides live sessions again whenever what they depend on changes, until `stop`; then lets them end.
    pub async fn run(&self, stop: CancellationToken) {
        // Sessions are looked after until the last has ended.
        let ended = CancellationToken::new();
        let drain = async {
            stop.cancelled().await;
            self.sessions.drain("the server is stopping", Instant::now() + DRAIN);
            self.sessions.emptied().await;
            ended.cancel();
        };
        tokio::join!(self.guard.run(ended.clone()), drain);
    }

    /// The live sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}

impl Signer for link::Client {
    fn sign(&self, session: SignSession) -> Doing<'_, Result<SignedSession, ApiError>> {
        Box::pin(async move {
            let answer = self.json(axum::http::Method::POST, "/internal/sign", None, Some(&session)).await;
            answer.map_err(|error| match error {
                CallError::Refused { error, .. } => error,
                CallError::Link(_) | CallError::Json(_) => {
                    tracing::error!(%error, "the signer");
                    ApiError { retry: true, ..choose::error("unavailable", "the auth server is not available") }
                }
            })
        })
    }
}

//! From a request to an authenticated connection: the sequence before 101, each step of which may refuse.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::timeout};
use uuid::Uuid;

use crate::{
    api::{
        console::Consoles,
        fleet::Located,
        sessions::{EnterError, Live, Request, Subject, Ticket, guard::Verdict},
        tunnel::{
            Tunnel, audit,
            choose::{choose, error},
            instance::{Connection, ReachError},
            probe::{Step, reached},
        },
    },
    gate::{Gate, Principal, SessionTarget},
    session::core::Over,
    wire::{
        error::ApiError,
        job::Job,
        sign::{Open, SignSession},
    },
};

/// The whole sequence; each step has a shorter bound of its own.
const OPENING: Duration = Duration::from_secs(45);

/// What a client asks for. Its token was verified, nothing was decided.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) principal: Principal,
    /// Passed on to the signer, which decides by it for itself.
    pub(crate) token: String,
    pub(crate) client: Option<IpAddr>,
    pub(crate) job: Uuid,
    pub(crate) instance: Option<Uuid>,
    pub(crate) open: Open,
}

/// A session that is ready for its first byte.
#[derive(Debug)]
pub(crate) struct Established {
    // Fields are dropped in this order: the connection is cut, the end is written down, the place in the table is left.
    pub(crate) connection: Box<dyn Connection>,
    pub(crate) closing: Closing,
    pub(crate) place: Place,
}

/// A place in the live-session table, and in the count of a console's sessions.
#[derive(Debug)]
pub(crate) struct Place {
    ticket: Ticket,
    consoles: Consoles,
}

/// Writes down that a session has ended, whatever happens to it: also when its client vanishes before 101.
#[derive(Debug)]
pub(crate) struct Closing {
    gate: Arc<Gate>,
    subject: Option<Subject>,
}

impl Tunnel {
    /// Decides, enters the table, has a certificate signed, dials, and looks again: only then may 101 be answered.
    pub(crate) async fn open(&self, asked: Asked) -> Result<Established, ApiError> {
        let opening = timeout(OPENING, self.open_slowly(asked)).await;
        opening.unwrap_or_else(|_| Err(unavailable("the session could not be opened in time")))
    }

    async fn open_slowly(&self, asked: Asked) -> Result<Established, ApiError> {
        let session = format!("{}-{}", self.parts.id, Uuid::new_v4().simple());
        let (subject, request, located) = self.decide(&asked, session).await?;
        let id = subject.id.clone();
        let at = async |step| reached(self.parts.probe.as_ref(), step, &id).await;
        at(Step::Decided).await;
        let place = Place::enter(self, subject, request)?;
        let live = Arc::clone(place.live());
        at(Step::Entered).await;
        self.recheck(&live).await?;
        at(Step::Reread).await;
        let key = self.parts.dialer.key().map_err(|it| reach_error(&it, &live))?;
        let signed = match self.parts.signer.sign(sign_request(&asked, &live, key.public())).await {
            Ok(signed) => signed,
            Err(error) => {
                // Most likely it knows already what we are about to hear.
                self.recheck(&live).await?;
                return Err(of_signer(error, &live));
            }
        };
        at(Step::Signed).await;
        let grant = self.recheck(&live).await?.grant;
        let dialed = self.parts.dialer.dial(&grant, &located).await.map_err(|it| reach_error(&it, &live))?;
        at(Step::Dialed).await;
        // Not one byte of authentication for a session that is over.
        self.recheck(&live).await?;
        let connection = dialed.authenticate(key, signed.certificate).await.map_err(|it| reach_error(&it, &live))?;
        at(Step::Authenticated).await;
        let first = self.recheck(&live).await?;
        let closing = Closing { gate: Arc::clone(&self.parts.gate), subject: Some(live.subject.clone()) };
        audit::opened(&self.parts.gate, &live, &first).await.map_err(|it| it.to_api())?;
        let established = Established { connection, closing, place };
        at(Step::Recorded).await;
        self.recheck(&live).await?;
        at(Step::Rechecked).await;
        Ok(established)
    }

    /// Before anything else happens. What is wrong with the instance is said only to those who may get in.
    async fn decide(&self, asked: &Asked, session: String) -> Result<(Subject, Request, Located), ApiError> {
        let gate = &self.parts.gate;
        if self.parts.stale_refuse < gate.policy().silent_for() {
            return Err(unavailable("no decision can be made at the moment"));
        }
        let found = self.job(asked.job).await?;
        let name = asked.job.to_string();
        let seen = gate.find_job_to_open(&asked.principal, found, &name, Some(&asked.open), asked.client).await;
        let (job, _) = seen.map_err(|it| it.to_api())?;
        let source = match job.console.as_ref() {
            Some(lease) => {
                let gone = || error("no_running_instance", "the job of this console was deleted");
                Some(self.job(lease.source).await?.ok_or_else(gone)?)
            }
            None => None,
        };
        let chosen = choose(self.parts.directory.as_ref(), &job, asked.instance);
        let target = SessionTarget {
            job: &job,
            source: source.as_ref(),
            instance: chosen.as_ref().map_or(Uuid::nil(), |it| it.instance),
            session: &session,
            open: &asked.open,
            client: asked.client,
        };
        let grant = gate.open_session(&asked.principal, &target).await.map_err(|it| it.to_api())?;
        let located = chosen?;
        let subject = Subject {
            id: session,
            principal: asked.principal.clone(),
            job: job.uuid,
            fqn: job.fqn,
            source: source.as_ref().map(|it| it.uuid),
            instance: located.instance,
            epoch: located.epoch,
            client: asked.client,
            opened_ms: gate.clock().unix_ms(),
        };
        let versions = (job.version, source.as_ref().map(|it| it.version));
        Ok((subject, Request { open: asked.open.clone(), grant: Arc::new(grant), versions }, located))
    }

    async fn job(&self, uuid: Uuid) -> Result<Option<Job>, ApiError> {
        self.parts.directory.job(uuid).await.map_err(|error| {
            tracing::error!(%error, "the store");
            unavailable("the store is not available")
        })
    }

    /// The first request as it is allowed now.
    async fn recheck(&self, live: &Live) -> Result<Request, ApiError> {
        self.guard.review(live).await.map_err(|verdict| refused(live, &verdict))?;
        live.request(0).ok_or_else(|| unavailable("the session is over"))
    }
}

impl Place {
    fn enter(tunnel: &Tunnel, subject: Subject, request: Request) -> Result<Self, ApiError> {
        let job = subject.job;
        let ticket = tunnel.sessions.enter(subject, request).map_err(|it| match it {
            EnterError::Full => ApiError { retry: true, ..error("too_many_requests", it.to_string()) },
            EnterError::Stopping => unavailable(it.to_string()),
        })?;
        let consoles = tunnel.parts.consoles.clone();
        consoles.session_started(job);
        Ok(Self { ticket, consoles })
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        self.ticket.live()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.consoles.session_ended(self.live().subject.job);
    }
}

impl Closing {
    /// The end that it came to.
    pub(crate) async fn record(mut self, over: &Over) {
        if let Some(subject) = self.subject.take() {
            audit::closed(&self.gate, &subject, over).await;
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let (Some(subject), Ok(runtime)) = (self.subject.take(), Handle::try_current()) else { return };
        let gate = Arc::clone(&self.gate);
        runtime.spawn(async move { audit::closed(&gate, &subject, &Over::ClientGone).await });
    }
}

fn sign_request(asked: &Asked, live: &Live, public_key: &str) -> SignSession {
    SignSession {
        token: asked.token.clone(),
        instance: live.subject.instance,
        session: live.subject.id.clone(),
        public_key: public_key.to_owned(),
        open: asked.open.clone(),
        client_address: asked.client.map(|it| it.to_string()),
    }
}

/// The answer to someone whose grant went away while the session was being opened: the same as if it had never been.
fn refused(live: &Live, verdict: &Verdict) -> ApiError {
    match verdict {
        Verdict::Undecided => unavailable(verdict.to_string()),
        Verdict::Refused(error) => error.to_api(),
        Verdict::Gone { code, reason } => error(code, format!("{reason}: \"{}\"", live.subject.fqn)),
        Verdict::Ended(reason) => error("conflict", format!("the session was ended: {reason}")),
    }
}

/// The signer's refusal. It finds nothing for who may not know of the job, but whom it is passed on to did a moment ago.
fn of_signer(refusal: ApiError, live: &Live) -> ApiError {
    if refusal.code != "not_found" {
        return refusal;
    }
    let message = format!("missing claim \"permit ssh\" on \"{}\"", live.subject.fqn);
    ApiError { missing_claims: vec!["permit ssh".to_owned()], ..error("missing_claim", message) }
}

/// What the client is told; what the instance says stays in the log.
fn reach_error(cause: &ReachError, live: &Live) -> ApiError {
    let subject = &live.subject;
    tracing::warn!(%cause, session = subject.id, instance = %subject.instance, "an instance was not reached");
    let named = |what: &str| format!("{what} of an instance of \"{}\"", subject.fqn);
    match cause {
        ReachError::Unreachable(_) => {
            ApiError { retry: true, ..error("host_unreachable", named("cannot reach the host")) }
        }
        ReachError::HostKeyMismatch => {
            error("host_key_mismatch", format!("{} is not the one that its manager vouched for", named("the host key")))
        }
        ReachError::Failed(_) => unavailable(named("the SSH server refuses the session")),
    }
}

fn unavailable(message: impl Into<String>) -> ApiError {
    ApiError { retry: true, ..error("unavailable", message) }
}

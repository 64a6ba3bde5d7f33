//! Continuous authorization: whatever a live session depends on changes, it is decided again, and ended when the grant is gone.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        sessions::{Live, Request, Sessions},
        tunnel::directory::Directory,
    },
    gate::{BearerError, Gate, GateError, SessionTarget},
    session::frame::Stream,
    wire::job::{Job, JobState},
};

/// Sessions that are looked at at the same time; the audit log writes their decisions in one go.
const TOGETHER: usize = 64;

/// How often every session is looked at although nothing is known to have changed: validity in time passes unseen.
const EVERY: Duration = Duration::from_secs(1);

/// How long one decision may take; one that takes longer is none.
const DECISION: Duration = Duration::from_secs(10);

/// What decides, and what it is decided on.
#[derive(Debug)]
pub(crate) struct Guard {
    pub(crate) gate: Arc<Gate>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) sessions: Sessions,
    /// How long a session may go on while nobody can tell whether it may.
    pub(crate) undecided_max: Duration,
}

/// What became of a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Verdict {
    /// What it was about is gone.
    #[error("{reason}")]
    Gone {
        /// Of an error that says so to someone who is just opening it.
        code: &'static str,
        /// For people.
        reason: &'static str,
    },
    /// It was ended already; why, for people.
    #[error("{0}")]
    Ended(String),
    /// The gate says no now; for one that is being opened it is as if it had always said so.
    #[error("{}", since(.0))]
    Refused(Box<GateError>),
    /// Nobody can tell at the moment.
    #[error("it cannot be decided at the moment whether the session may go on")]
    Undecided,
}

impl Guard {
    /// Looks after all sessions until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut policy = self.gate.policy().subscribe();
        let mut revocations = self.gate.authenticator().revocations().subscribe();
        let mut directory = self.directory.subscribe();
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A source that is gone tells nothing any more; the tick still finds that it is silent.
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = policy.changed() => (),
                Ok(()) = revocations.changed() => (),
                Ok(()) = directory.changed() => (),
                _ = tick.tick() => (),
            }
            let live = self.sessions.snapshot();
            stream::iter(live).for_each_concurrent(TOGETHER, async |it| self.watch_over(&it).await).await;
        }
    }

    async fn watch_over(&self, live: &Live) {
        if live.ended().is_some() {
            return;
        }
        match self.review(live).await {
            Ok(()) => drop(live.undecided_since(false)),
            Err(Verdict::Ended(_)) => (),
            Err(verdict @ (Verdict::Gone { .. } | Verdict::Refused(_))) => live.end(&verdict.to_string()),
            Err(Verdict::Undecided) => {
                let since = live.undecided_since(true).unwrap_or_else(Instant::now);
                let silent = self.gate.policy().silent_for().max(since.elapsed());
                if self.undecided_max <= silent {
                    live.end(&format!(
                        "it could not be decided for {} s whether the session may go on",
                        silent.as_secs()
                    ));
                }
            }
        }
    }

    /// Whether a session may go on; decides again what is not known to hold.
    pub(crate) async fn review(&self, live: &Live) -> Result<(), Verdict> {
        // First what can be said of it now, which is more than why it was ended.
        self.look(live).await?;
        live.ended().map_or(Ok(()), |reason| Err(Verdict::Ended(reason)))
    }

    async fn look(&self, live: &Live) -> Result<(), Verdict> {
        let principal = &live.subject.principal;
        match self.gate.authenticator().still_good(principal) {
            Ok(()) => (),
            Err(BearerError::Unavailable) => return Err(Verdict::Undecided),
            Err(error) => return Err(Verdict::Refused(Box::new(error.into()))),
        }
        if self.directory.epoch(live.subject.instance) != Some(live.subject.epoch) {
            return Err(gone("no_running_instance", "the instance is gone"));
        }
        let stale: Vec<(Stream, Request)> =
            live.requests().into_iter().filter(|(_, it)| !self.holds(live, it)).collect();
        if stale.is_empty() {
            return Ok(());
        }
        match timeout(DECISION, self.decide_again(live, stale)).await {
            Ok(verdict) => verdict,
            Err(_) => Err(Verdict::Undecided),
        }
    }

    fn holds(&self, live: &Live, request: &Request) -> bool {
        let (job, source) = request.versions;
        self.gate.still_holds(&request.grant).is_ok()
            && self.directory.mirrored_version(live.subject.job) == Some(job)
            && live.subject.source.and_then(|it| self.directory.mirrored_version(it)) == source
    }

    async fn decide_again(&self, live: &Live, stale: Vec<(Stream, Request)>) -> Result<(), Verdict> {
        let (job, source) = self.jobs(live).await?;
        for (stream, request) in stale {
            let versions = (job.version, source.as_ref().map(|it| it.version));
            // The mirror may lag behind what was decided on; then nothing has changed.
            if request.versions == versions && self.gate.still_holds(&request.grant).is_ok() {
                continue;
            }
            let grant = self.decide(live, stream, &request, &job, source.as_ref()).await?;
            live.allow_again(stream, Request { grant: Arc::new(grant), versions, ..request });
        }
        Ok(())
    }

    /// The job and, for a console clone, its source, as they are now: still such that one may be in them.
    pub(crate) async fn jobs(&self, live: &Live) -> Result<(Job, Option<Job>), Verdict> {
        let load = async |uuid| self.directory.job(uuid).await.map_err(|_| Verdict::Undecided);
        let job = load(live.subject.job).await?.ok_or_else(|| gone("not_found", "the job was deleted"))?;
        if job.state != JobState::Started {
            return Err(gone("no_running_instance", "the job was stopped"));
        }
        if !has_ssh(&job) {
            return Err(gone("ssh_not_enabled", "SSH was removed from the job"));
        }
        let source = match live.subject.source {
            Some(uuid) => Some(
                load(uuid).await?.ok_or_else(|| gone("no_running_instance", "the job of this console was deleted"))?,
            ),
            None => None,
        };
        if job.console.as_ref().map(|it| it.source) != live.subject.source {
            return Err(gone("no_running_instance", "the job is another one than it was"));
        }
        Ok((job, source))
    }

    async fn decide(
        &self,
        live: &Live,
        stream: Stream,
        request: &Request,
        job: &Job,
        source: Option<&Job>,
    ) -> Result<crate::gate::Grant, Verdict> {
        let subject = &live.subject;
        let target = SessionTarget {
            job,
            source,
            instance: subject.instance,
            session: &subject.id,
            open: &request.open,
            client: subject.client,
        };
        let decided = match stream {
            0 => self.gate.open_session(&subject.principal, &target).await,
            _ => self.gate.request(&subject.principal, &target).await,
        };
        decided.map_err(verdict)
    }
}

fn gone(code: &'static str, reason: &'static str) -> Verdict {
    Verdict::Gone { code, reason }
}

/// Whether the job lets anyone in.
pub(crate) fn has_ssh(job: &Job) -> bool {
    job.tags.get("ssh").is_some_and(|it| it == "true")
}

/// An answer that could not be written down is none, and one that cannot be enforced is no.
fn verdict(error: GateError) -> Verdict {
    match error {
        GateError::Policy(_) | GateError::Bearer(BearerError::Unavailable) => Verdict::Undecided,
        GateError::Refused(_)
        | GateError::Bearer(_)
        | GateError::NotFound(_)
        | GateError::Unenforceable(_)
        | GateError::BadRequest(_)
        | GateError::Unsupported(_)
        | GateError::Unrecorded => Verdict::Refused(Box::new(error)),
    }
}

/// `missing claim "permit ssh" since revision 7`.
fn since(error: &GateError) -> String {
    let GateError::Refused(refusal) = error else { return error.to_string() };
    let missing: Vec<String> = refusal.missing.iter().map(|it| format!("\"{it}\"")).collect();
    let why = match &refusal.restriction {
        Some(restriction) => format!("refused by `{restriction}`"),
        None => format!("missing claim {}", missing.join(", ")),
    };
    format!("{why} since revision {}", refusal.revision)
}

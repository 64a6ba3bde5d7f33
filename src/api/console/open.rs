//! Opens a console: decisions, lease, clone, and the wait until it can be entered.

use std::{net::IpAddr, time::Duration};

use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    api::{
        Api,
        console::{
            GRACE,
            clone::{clone_job, clone_name},
            lease,
        },
        error::{Failure, coded, unavailable},
        fleet::Status,
        jobs::{self, job_view},
    },
    gate::{JobPermit, JobSight, Operation, Principal},
    wire::{
        error::ApiError,
        job::{ConsoleLease, ConsoleOpened, Job},
    },
};

impl Api {
    /// Clones `source` for `principal` and waits until the clone's SSH is served. Wants `read` and `ssh` on the source,
    /// `use` on its packages, and `create`, `start`, `ssh` and `delete` on the clone (`platform.md` section 4).
    pub(crate) async fn open_console(
        &self,
        principal: &Principal,
        source: &Job,
        client: Option<IpAddr>,
    ) -> Result<ConsoleOpened, Failure> {
        let on_source = Operation::job(&[JobPermit::Read, JobPermit::Ssh], source, client);
        self.require(principal, on_source).await?;
        let packages = self.usable_packages(principal, &source.packages, client).await?;
        if self.fleet.of_job(source.uuid).iter().any(lacks_shell) {
            return Err(no_shell(source).into());
        }
        let clone = Uuid::new_v4();
        let namespace = self.default_namespace(principal)?;
        let lease = ConsoleLease {
            session: format!("{}-{}", self.id, Uuid::new_v4().simple()),
            owner: self.lease_owner(),
            epoch: 1,
            source: source.uuid,
            source_fqn: source.fqn.clone(),
            clone,
            clone_fqn: clone_name(source, &namespace, clone)?,
            principal: principal.name().to_owned(),
        };
        let job = clone_job(source, &lease, &packages)?;
        let wanted = [JobPermit::Create, JobPermit::Start, JobPermit::Ssh, JobPermit::Delete];
        self.require(principal, Operation::job(&wanted, &job, client)).await?;
        self.record("console.created", &lease.clone_fqn, principal.name(), &lease_payload(&lease)).await?;
        lease::begin(self.store.as_ref(), &lease).await?;
        // From here on the lease leads to the clone, whatever becomes of this request.
        let starting = self.consoles.hold(clone, &lease.session);
        jobs::insert(self.store.as_ref(), &job).await?;
        let instance = self.wait_until_entered(source, &job).await?;
        starting.ready();
        let sight = JobSight { exists: true, read: true, environment: Some(JobPermit::Ssh) };
        Ok(ConsoleOpened {
            session: lease.session,
            job: job_view(&self.fleet, job, sight),
            instance,
            grace_ms: u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Deletes a console's clone and lease, and writes down that it did. Safe to repeat.
    pub(crate) async fn end_console(&self, session: &str) -> Result<(), crate::store::StoreError> {
        if let Some(lease) = lease::end(self.store.as_ref(), session).await? {
            let payload = lease_payload(&lease);
            let recorded = self.record("console.deleted", &lease.clone_fqn, &lease.principal, &payload).await;
            // The clone is gone already, and rightly so: an audit log that is away must not keep it alive.
            if let Err(failure) = recorded {
                tracing::error!(error = %failure.error(), session, "the end of a console was not recorded");
            }
        }
        Ok(())
    }

    async fn wait_until_entered(&self, source: &Job, clone: &Job) -> Result<Uuid, Failure> {
        let mut reported = self.fleet.subscribe();
        let mut stored = self.registry.subscribe();
        let reached = async {
            loop {
                reported.mark_unchanged();
                stored.mark_unchanged();
                if let Some(outcome) = self.outcome(source, clone) {
                    return outcome;
                }
                let changed = tokio::select! {
                    changed = reported.changed() => changed,
                    changed = stored.changed() => changed,
                };
                if changed.is_err() {
                    return Err(unavailable("this server stops"));
                }
            }
        };
        let Ok(outcome) = timeout(self.console_start(), reached).await else {
            return Err(unavailable(self.why_not_running(clone)).into());
        };
        Ok(outcome?)
    }

    /// Whether the clone can be entered, or never will be.
    fn outcome(&self, source: &Job, clone: &Job) -> Option<Result<Uuid, ApiError>> {
        let statuses = self.fleet.of_job(clone.uuid);
        if statuses.iter().any(lacks_shell) {
            return Some(Err(no_shell(source)));
        }
        if let Some(actual) = statuses.iter().filter_map(|it| it.actual.as_ref()).find(|it| it.flapping) {
            let message = actual.message.clone().unwrap_or_else(|| "three failures in five minutes".to_owned());
            return Some(Err(coded("flapping", format!("the console of `{}` does not start: {message}", source.fqn))));
        }
        let running = self.fleet.running(clone.uuid);
        running.iter().find(|it| it.has_shell == Some(true)).map(|it| Ok(it.instance))
    }

    fn why_not_running(&self, clone: &Job) -> String {
        let statuses = self.fleet.of_job(clone.uuid);
        let said = statuses.iter().find_map(|it| it.actual.as_ref()?.message.clone());
        match (said, statuses.is_empty()) {
            (Some(said), _) => format!("the console did not start in time: {said}"),
            (None, true) => "the console did not start in time: no instance manager is connected".to_owned(),
            (None, false) => "the console did not start in time".to_owned(),
        }
    }

    fn console_start(&self) -> Duration {
        // The router gives up on an answer of its own accord; ours comes before.
        let router = Duration::from_millis(self.config.router.response_ms) * 4 / 5;
        Duration::from_millis(self.config.console.start_ms).min(router)
    }
}

fn lacks_shell(status: &Status) -> bool {
    status.actual.as_ref().is_some_and(|it| it.has_shell == Some(false))
}

/// The exact reason for refusing a single-binary image.
pub(crate) fn no_shell(job: &Job) -> ApiError {
    coded("no_shell", format!("the image of \"{}\" has no shell: it mounts no operating system to enter", job.fqn))
}

fn lease_payload(lease: &ConsoleLease) -> [(&'static str, String); 3] {
    [("session", lease.session.clone()), ("source", lease.source_fqn.clone()), ("clone", lease.clone.to_string())]
}

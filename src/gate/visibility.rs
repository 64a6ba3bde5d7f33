//! Who may know that a job exists (`platform.md` section 4.1): readers, and whoever may get in by some way.

use std::{collections::BTreeMap, net::IpAddr};

use uuid::Uuid;

use crate::{
    audit::Event,
    eval::{self, Fact},
    gate::{Gate, GateError, JobPermit, Operation, PackagePermit, Principal, Snapshot, operation::permit, record},
    wire::{
        job::{Job, JobKind, JobState, Process, Resources},
        sign::Open,
    },
};

/// What only a request within a session has: conditions on it are left open, for one that suits them may follow.
const OPEN: [&str; 4] = ["command", "subsystem", "forward.host", "forward.port"];

/// Any of these is enough to see a job's uuid, name, state, SSH switch and instances.
const SEEING: [&str; 6] = ["read", "ssh", "shell", "exec", "sftp", "forward"];

/// How much of a job someone may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobSight {
    /// Any of the permits of [`SEEING`]: that it exists.
    pub exists: bool,
    /// `permit read`: all but the environment.
    pub read: bool,
    /// The permit by which they may see the environment: `update`, else `ssh`.
    pub environment: Option<JobPermit>,
}

impl Gate {
    /// Whether the principal may know of the job. Nothing is written down: it only chooses between answers that are.
    pub fn sees_job(&self, principal: &Principal, job: &Job, client: Option<IpAddr>) -> Result<bool, GateError> {
        Ok(self.job_sight(principal, job, None, client)?.exists)
    }

    /// How much of the job the principal may see. `open` is what they are about to open, whose context (a command, say)
    /// a rule may ask for. Nothing is written down: it only chooses between answers that are.
    pub fn job_sight(
        &self,
        principal: &Principal,
        job: &Job,
        open: Option<&Open>,
        client: Option<IpAddr>,
    ) -> Result<JobSight, GateError> {
        let snapshot = self.policy().current()?;
        self.authenticator().still_good(principal)?;
        let permits = |operation: &Operation| {
            let facts = self.facts(principal, operation);
            self.permits(&snapshot, operation, facts)
        };
        let mut operation = Operation::job(&[JobPermit::Read], job, client);
        let mut sight = JobSight::default();
        // Every permit is asked for whatever the ones before said, so that the time taken tells nothing.
        for word in SEEING {
            operation.want = vec![permit(word)];
            let facts = self.facts(principal, &operation);
            sight.exists |= self.possible(&snapshot, &operation, facts)?;
        }
        for (word, environment) in [("read", None), ("ssh", Some(JobPermit::Ssh))] {
            operation.want = vec![permit(word)];
            let permitted = permits(&operation)?;
            sight.read |= permitted && word == "read";
            sight.environment = environment.filter(|_| permitted).or(sight.environment);
        }
        if let Some(open) = open {
            sight.exists |= permits(&Operation::request(job, Uuid::nil(), open, client)?)?;
        }
        operation.want = vec![permit("update")];
        if permits(&operation)? {
            sight.environment = Some(JobPermit::Update);
        }
        Ok(sight)
    }

    /// Whether the principal may know of the package: by `read` or `use`. Nothing is written down.
    pub fn sees_package(&self, principal: &Principal, fqn: &str, client: Option<IpAddr>) -> Result<bool, GateError> {
        let snapshot = self.policy().current()?;
        self.authenticator().still_good(principal)?;
        let mut sees = false;
        for wanted in [PackagePermit::Read, PackagePermit::Use] {
            let operation = Operation::package_named(&[wanted], fqn, client);
            let facts = self.facts(principal, &operation);
            sees |= self.permits(&snapshot, &operation, facts)?;
        }
        Ok(sees)
    }

    /// Whether some rule could permit it with a command, subsystem or destination that suits the rule.
    fn possible(&self, snapshot: &Snapshot, operation: &Operation, facts: Vec<Fact>) -> Result<bool, GateError> {
        let request = self.asked(operation, facts)?;
        Ok(eval::could(&snapshot.set, &request, &OPEN))
    }

    /// The job that was looked up, if the principal may know of it. What is absent and what is invisible get the same
    /// answer after the same work. `asked` is what the client called it, for the answer.
    pub async fn find_job(
        &self,
        principal: &Principal,
        found: Option<Job>,
        asked: &str,
        client: Option<IpAddr>,
    ) -> Result<Job, GateError> {
        Ok(self.find_job_to_open(principal, found, asked, None, client).await?.0)
    }

    /// As [`Gate::find_job`] for someone who is about to open something, and how much they may see.
    pub async fn find_job_to_open(
        &self,
        principal: &Principal,
        found: Option<Job>,
        asked: &str,
        open: Option<&Open>,
        client: Option<IpAddr>,
    ) -> Result<(Job, JobSight), GateError> {
        let (job, exists) = match found {
            Some(job) => (job, true),
            None => (nobodys_job(), false),
        };
        let sight = self.job_sight(principal, &job, open, client)?;
        if exists && sight.exists {
            return Ok((job, sight));
        }
        let mut item = record::item(Event::AccessDenied.as_str(), asked, principal.name(), self.clock().unix_ms());
        item.payload.insert("refused".to_owned(), "not found".to_owned());
        self.record_refusal(item).await?;
        Err(GateError::NotFound(asked.to_owned()))
    }
}

/// A job in no one's realm, evaluated in place of one that is absent.
fn nobodys_job() -> Job {
    Job {
        uuid: Uuid::nil(),
        fqn: "job::/-/-::-".to_owned(),
        kind: JobKind::App,
        owner: "-".to_owned(),
        state: JobState::Created,
        version: 0,
        num_instances: 0,
        process: Process {
            command: Vec::new(),
            environment: BTreeMap::new(),
            user: String::new(),
            working_directory: String::new(),
        },
        packages: Vec::new(),
        ports: Vec::new(),
        tags: BTreeMap::from([("ssh".to_owned(), "false".to_owned())]),
        resources: Resources::default(),
        restart: false,
        console: None,
        generation: 0,
        running: None,
        message: None,
    }
}

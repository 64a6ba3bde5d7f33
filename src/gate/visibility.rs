//! Who may know that a job exists (`platform.md` section 4.1): readers, and whoever may get in by some way.

use std::{collections::BTreeMap, net::IpAddr};

use uuid::Uuid;

use crate::{
    gate::{Gate, GateError, JobPermit, Operation, Principal, operation::permit, record},
    wire::job::{Job, JobKind, JobState, Process, Resources},
};

/// Any of these is enough to see a job's uuid, name, state, SSH switch and instances.
const SEEING: [&str; 6] = ["read", "ssh", "shell", "exec", "sftp", "forward"];

impl Gate {
    /// Whether the principal may know of the job. Nothing is written down: it only chooses between answers that are.
    pub fn sees_job(&self, principal: &Principal, job: &Job, client: Option<IpAddr>) -> Result<bool, GateError> {
        let snapshot = self.policy().current()?;
        self.authenticator().still_good(principal)?;
        let mut sees = false;
        // Every permit is asked for whatever the ones before said, so that the time taken tells nothing.
        for word in SEEING {
            let mut operation = Operation::job(&[JobPermit::Read], job, client);
            operation.want = vec![permit(word)];
            let facts = self.facts(principal, &operation);
            sees |= self.evaluate(&snapshot, &operation, facts)?.is_allowed();
        }
        Ok(sees)
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
        let (job, exists) = match found {
            Some(job) => (job, true),
            None => (nobodys_job(), false),
        };
        let sees = self.sees_job(principal, &job, client)?;
        if exists && sees {
            return Ok(job);
        }
        let mut item = record::item("policy.access.denied", asked, principal.name(), self.clock().unix_ms());
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

//! What is about to be done: target, context and wanted claims, built here alone so that no fact is forgotten.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    eval::{Claim, Fact},
    gate::{GateError, context},
    wire::{
        job::{Job, Package},
        sign::Open,
    },
};

/// One operation on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub(in crate::gate) target: String,
    pub(in crate::gate) context: Vec<Fact>,
    pub(in crate::gate) want: Vec<Claim>,
    /// How a refusal names what is missing, where that is not what was wanted.
    pub(in crate::gate) told: Option<Claim>,
    pub(in crate::gate) opening: Option<Opening>,
    pub(in crate::gate) session: Option<String>,
}

/// An SSH session or a request in one: what a grant is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The job.
    pub job: Uuid,
    /// Its name.
    pub fqn: String,
    /// The instance.
    pub instance: Uuid,
    /// What is opened.
    pub open: Open,
    /// The job that this one is a console clone of.
    pub source: Option<Uuid>,
    /// The client as the router saw it.
    pub client: Option<IpAddr>,
}

/// What may be permitted on a job, SSH requests aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPermit {
    /// Make it.
    Create,
    /// See all of it but its environment.
    Read,
    /// Change it.
    Update,
    /// Remove it.
    Delete,
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Get into it: what a console wants on its source.
    Ssh,
}

/// What may be permitted on a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackagePermit {
    /// Import it.
    Create,
    /// See it.
    Read,
    /// Replace it.
    Update,
    /// Remove it.
    Delete,
    /// Build a job of it.
    Use,
}

/// What may be permitted on policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyPermit {
    /// See it.
    Read,
    /// Change it.
    Update,
}

impl JobPermit {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Ssh => "ssh",
        }
    }
}

impl PackagePermit {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Use => "use",
        }
    }
}

impl PolicyPermit {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Update => "update",
        }
    }
}

impl Operation {
    /// Something done to a job; every permit is wanted. For `create` the job is the one that would be made.
    pub fn job(permits: &[JobPermit], job: &Job, client: Option<IpAddr>) -> Self {
        let want = permits.iter().map(|it| permit(it.word())).collect();
        Self::new(job.fqn.clone(), context::of_job(job, client), want)
    }

    /// Opens a session by its first request (`language.md` section 7): wants the permit of that request, and a refusal
    /// says that `permit ssh` is missing.
    pub fn open(job: &Job, instance: Uuid, open: &Open, client: Option<IpAddr>) -> Result<Self, GateError> {
        let request = Self::request(job, instance, open, client)?;
        Ok(Self { told: Some(permit("ssh")), ..request })
    }

    /// A further request within a session, each decided on its own.
    pub fn request(job: &Job, instance: Uuid, open: &Open, client: Option<IpAddr>) -> Result<Self, GateError> {
        let (word, facts) = context::of_open(open)?;
        let mut context = context::of_job(job, client);
        context.extend(facts);
        let opening = Opening {
            job: job.uuid,
            fqn: job.fqn.clone(),
            instance,
            open: open.clone(),
            source: job.console.as_ref().map(|it| it.source),
            client,
        };
        let operation = Self::new(job.fqn.clone(), context, vec![permit(word)]);
        Ok(Self { opening: Some(opening), ..operation })
    }

    /// Something done to a package that exists.
    pub fn package(permits: &[PackagePermit], package: &Package, client: Option<IpAddr>) -> Self {
        Self::package_named(permits, &package.fqn, client)
    }

    /// Something done to a package of this name, which need not exist.
    pub fn package_named(permits: &[PackagePermit], fqn: &str, client: Option<IpAddr>) -> Self {
        let want = permits.iter().map(|it| permit(it.word())).collect();
        Self::new(fqn.to_owned(), context::of_client(client), want)
    }

    /// Reads what the audit log has about `audit::/...`.
    pub fn audit_read(fqn: &str, client: Option<IpAddr>) -> Self {
        Self::new(fqn.to_owned(), context::of_client(client), vec![permit("read")])
    }

    /// Reads or changes policy about `resource_type` in the place that `fqn`, a `policy::` name, gives.
    pub fn policy(wanted: PolicyPermit, fqn: &str, resource_type: Option<&str>, client: Option<IpAddr>) -> Self {
        let mut context = context::of_client(client);
        context.extend(resource_type.map(|it| context::fact("ResType", it)));
        Self::new(fqn.to_owned(), context, vec![permit(wanted.word())])
    }

    /// Sees the cluster's own state, such as its instance managers.
    pub fn cluster_read(client: Option<IpAddr>) -> Self {
        Self::new("cluster::/".to_owned(), context::of_client(client), vec![permit("read")])
    }

    /// Has a token issued by this authority: `auth::/oauth2/http`.
    pub(in crate::gate) fn issue(target: &str, client: Option<IpAddr>) -> Self {
        Self::new(target.to_owned(), context::of_client(client), vec![permit("issue")])
    }

    /// Names the session in the audit log.
    #[must_use]
    pub fn in_session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// What it is done to.
    pub fn target(&self) -> &str {
        &self.target
    }

    fn new(target: String, context: Vec<Fact>, want: Vec<Claim>) -> Self {
        Self { target, context, want, told: None, opening: None, session: None }
    }
}

pub(in crate::gate) fn permit(word: &str) -> Claim {
    Claim::permit(word)
}

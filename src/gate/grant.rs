//! The proof that a session was allowed: without one nothing can be dialled.

use std::{net::IpAddr, time::Duration};

use uuid::Uuid;

use crate::{
    gate::{GateError, Principal, Restrictions, Ruling},
    syntax::fqn::{Fqn, FqnError},
    wire::sign::Open,
};

/// One allowed opening: who, into which instance of which job, with what, under which policy, until when.
///
/// ```
/// use gatehouse::gate::{GateError, Grant, Ruling};
///
/// fn once(ruling: Ruling) -> Result<Grant, GateError> {
///     Grant::new(ruling, None)
/// }
/// ```
///
/// It cannot be built but from a decision:
///
/// ```compile_fail,E0451
/// fn of_another_revision(grant: gatehouse::gate::Grant) -> gatehouse::gate::Grant {
///     gatehouse::gate::Grant { revision: 1, ..grant }
/// }
/// ```
///
/// A decision makes one grant, not two:
///
/// ```compile_fail,E0382
/// fn twice(ruling: gatehouse::gate::Ruling) {
///     let first = gatehouse::gate::Grant::new(ruling, None);
///     let second = gatehouse::gate::Grant::new(ruling, None);
/// }
/// ```
///
/// And it cannot be copied:
///
/// ```compile_fail,E0599
/// fn copy(grant: &gatehouse::gate::Grant) -> gatehouse::gate::Grant {
///     grant.clone()
/// }
/// ```
#[derive(Debug)]
pub struct Grant {
    // INVARIANT (decided): made of an allowed ruling of an opening, and of a second one where the job is a console clone.
    principal: Principal,
    job: Uuid,
    fqn: String,
    /// What was decided on: the job and, for a console clone, its source.
    targets: Vec<Fqn>,
    instance: Uuid,
    source: Option<Uuid>,
    open: Open,
    client: Option<IpAddr>,
    decision: Uuid,
    revision: u64,
    valid_until: i64,
    restrictions: Restrictions,
}

impl Grant {
    /// Consumes an allowed ruling of an opening. For a console clone a second ruling, of the same opening on the job it
    /// was cloned from, is needed, and the stricter of their restrictions hold.
    pub fn new(ruling: Ruling, source: Option<Ruling>) -> Result<Self, GateError> {
        let own = Allowed::of(ruling)?;
        let mut targets = vec![own.target()?];
        let (valid_until, restrictions) = match (own.opening.source, source) {
            (None, None) => (own.valid_until, own.restrictions),
            (Some(job), Some(ruling)) => {
                let other = Allowed::of(ruling)?;
                let same = other.opening.job == job
                    && other.opening.open == own.opening.open
                    && other.opening.instance == own.opening.instance
                    && other.principal == own.principal
                    && other.revision == own.revision;
                if !same {
                    return Err(GateError::BadRequest("the two decisions are not of one session".to_owned()));
                }
                targets.push(other.target()?);
                (own.valid_until.min(other.valid_until), own.restrictions.and(other.restrictions)?)
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(GateError::BadRequest("a console takes two decisions, any other session one".to_owned()));
            }
        };
        let opening = own.opening;
        Ok(Self {
            principal: own.principal,
            job: opening.job,
            fqn: opening.fqn,
            targets,
            instance: opening.instance,
            source: opening.source,
            open: opening.open,
            client: opening.client,
            decision: own.decision,
            revision: own.revision,
            valid_until,
            restrictions,
        })
    }

    /// Who.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The job.
    pub fn job(&self) -> Uuid {
        self.job
    }

    /// The job's name.
    pub fn fqn(&self) -> &str {
        &self.fqn
    }

    /// The names of all that was decided on.
    pub(in crate::gate) fn targets(&self) -> &[Fqn] {
        &self.targets
    }

    /// The one instance that may be dialled.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// The job that it is a console clone of.
    pub fn source(&self) -> Option<Uuid> {
        self.source
    }

    /// The first request.
    pub fn open(&self) -> &Open {
        &self.open
    }

    /// The client as the router saw it.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// The decision's id in the audit log.
    pub fn decision(&self) -> Uuid {
        self.decision
    }

    /// Policy revision that it was decided under.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Unix second from which it must be decided again; never later than the token's expiry.
    pub fn valid_until(&self) -> i64 {
        self.valid_until
    }

    /// How long the session may be idle.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.restrictions.idle_timeout
    }

    /// How long the session may last.
    pub fn session_max(&self) -> Option<Duration> {
        self.restrictions.session_max
    }

    /// User that policy says to run as, else the job's.
    pub fn user(&self) -> Option<&str> {
        self.restrictions.user.as_deref()
    }
}

/// The parts of a ruling that allows an opening.
struct Allowed {
    principal: Principal,
    opening: crate::gate::Opening,
    decision: Uuid,
    revision: u64,
    valid_until: i64,
    restrictions: Restrictions,
}

impl Allowed {
    fn target(&self) -> Result<Fqn, GateError> {
        self.opening.fqn.parse().map_err(|it: FqnError| GateError::BadRequest(it.to_string()))
    }

    fn of(ruling: Ruling) -> Result<Self, GateError> {
        let refusal = ruling.refusal();
        if let Some(refusal) = refusal.filter(|it| !it.missing.is_empty()) {
            return Err(refusal.into());
        }
        // What is asserted but restricted beyond what we can enforce is told as that, whoever found it first.
        let restrictions = ruling.restrictions()?;
        let ruling = ruling.require()?;
        let (decision, revision, valid_until) = (ruling.id(), ruling.revision(), ruling.valid_until());
        let (principal, operation) = ruling.into_parts();
        let Some(opening) = operation.opening else {
            return Err(GateError::BadRequest("the decision is not of an opening".to_owned()));
        };
        Ok(Self { principal, opening, decision, revision, valid_until, restrictions })
    }
}

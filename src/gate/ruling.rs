//! The gate: decides by the policy in force, and answers only once the answer is written down.

use std::{net::IpAddr, sync::Arc};

use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::{
    eval::{self, Decision, Request},
    gate::{
        Authenticator, BearerError, Clock, GateError, Grant, Operation, PolicyView, Principal, Refusal, Restrictions,
        SessionTarget, Snapshot, Stale, Witness, clock, context, limiter::Limiter, record,
    },
    wire::{audit::AuditItem, job::Job, sign::Open},
};

/// While some rule asks for the age of a login, decisions are looked at again after so many seconds.
const LOGIN_AGE_SECONDS: i64 = 60;

/// Where a role decides. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Gate {
    policy: Arc<PolicyView>,
    authenticator: Arc<Authenticator>,
    witness: Arc<dyn Witness>,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    limiter: Limiter,
}

/// A decision that was written down: what was asked, by whom, and the answer.
#[must_use]
#[derive(Debug)]
pub struct Ruling {
    // INVARIANT (recorded): made by `Gate::decide_by` alone, after the witness has it.
    id: Uuid,
    principal: Principal,
    operation: Operation,
    /// All that was decided on, context included.
    facts: Vec<eval::Fact>,
    decision: Decision,
    revision: u64,
    valid_until: i64,
}

impl Gate {
    /// Of its parts.
    pub fn new(
        policy: Arc<PolicyView>,
        authenticator: Arc<Authenticator>,
        witness: Arc<dyn Witness>,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
    ) -> Self {
        Self { policy, authenticator, witness, clock, zone, limiter: Limiter::new() }
    }

    /// The policy that it decides by.
    pub fn policy(&self) -> &Arc<PolicyView> {
        &self.policy
    }

    /// What verifies tokens for it.
    pub fn authenticator(&self) -> &Arc<Authenticator> {
        &self.authenticator
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Where it writes down what it decides.
    pub fn witness(&self) -> &Arc<dyn Witness> {
        &self.witness
    }

    /// Who a bearer token speaks for.
    pub fn authenticate(&self, token: Option<&str>) -> Result<Principal, GateError> {
        let token = token.ok_or(BearerError::Missing)?;
        Ok(self.authenticator.verify(token)?)
    }

    /// Decides an operation. `Ok` is an answer, yes or no; an error is never a yes.
    pub async fn decide(&self, principal: &Principal, operation: Operation) -> Result<Ruling, GateError> {
        let snapshot = self.policy.current()?;
        self.decide_by(&snapshot, principal, operation).await
    }

    /// Decides an operation and fails where the answer is no.
    pub async fn require(&self, principal: &Principal, operation: Operation) -> Result<Ruling, GateError> {
        Ok(self.decide(principal, operation).await?.require()?)
    }

    /// Decides whether a session may be opened: on the job and, where it is a console clone, on its source too, both by
    /// one policy set.
    pub async fn open_session(&self, principal: &Principal, target: &SessionTarget<'_>) -> Result<Grant, GateError> {
        self.grant(principal, target, Operation::open).await
    }

    /// Decides a further request within a session, as [`Gate::open_session`] decides the first.
    pub async fn request(&self, principal: &Principal, target: &SessionTarget<'_>) -> Result<Grant, GateError> {
        self.grant(principal, target, Operation::request).await
    }

    /// Whether a grant still stands without being decided again: policy is what it was, or has changed only where that
    /// cannot matter to what was decided on. Call it after entering the live-session table, before
    /// dialling and before the first byte; what is stale is decided again by [`Gate::open_session`].
    pub fn still_holds(&self, grant: &Grant) -> Result<(), Stale> {
        self.authenticator.still_good(grant.principal()).map_err(Stale::Bearer)?;
        let in_force = self.policy.current().map_err(Stale::Policy)?;
        if !grant.targets().iter().all(|it| in_force.answers_as(grant.revision(), it)) {
            return Err(Stale::Revision { in_force: in_force.revision, decided: grant.revision() });
        }
        if grant.valid_until() <= self.clock.unix_seconds() {
            return Err(Stale::Lapsed);
        }
        Ok(())
    }

    /// Decides by one set, which the caller holds: several decisions that belong together are made by the same.
    pub async fn decide_by(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        operation: Operation,
    ) -> Result<Ruling, GateError> {
        self.authenticator.still_good(principal)?;
        let facts = self.facts(principal, &operation);
        let decision = self.evaluate(snapshot, &operation, facts.clone())?;
        let valid_until = self.valid_until(snapshot, &decision).min(principal.expires());
        let ruling = Ruling {
            id: Uuid::now_v7(),
            principal: principal.clone(),
            operation,
            facts,
            decision,
            revision: snapshot.revision,
            valid_until,
        };
        self.write_down(&ruling).await?;
        Ok(ruling)
    }

    /// What would be decided by one set. Nothing is written down: it is no answer to give anyone, but one step of a
    /// larger decision that is recorded as a whole.
    pub fn foresee(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        operation: &Operation,
    ) -> Result<Decision, GateError> {
        self.authenticator.still_good(principal)?;
        self.evaluate(snapshot, operation, self.facts(principal, operation))
    }

    /// Evaluates without writing anything down: for visibility and for what the caller records itself.
    pub(in crate::gate) fn evaluate(
        &self,
        snapshot: &Snapshot,
        operation: &Operation,
        facts: Vec<eval::Fact>,
    ) -> Result<Decision, GateError> {
        Ok(eval::decide(&snapshot.set, &self.asked(operation, facts)?))
    }

    /// Whether an operation is permitted, for answers that explain nothing; nothing is written down.
    pub(in crate::gate) fn permits(
        &self,
        snapshot: &Snapshot,
        operation: &Operation,
        facts: Vec<eval::Fact>,
    ) -> Result<bool, GateError> {
        Ok(eval::verdict(&snapshot.set, &self.asked(operation, facts)?).is_allowed())
    }

    /// The question that an operation comes to at this moment.
    pub(in crate::gate) fn asked(&self, operation: &Operation, facts: Vec<eval::Fact>) -> Result<Request, GateError> {
        let now = clock::now(self.clock.as_ref(), &self.zone);
        Ok(Request::new(&operation.target, facts, operation.want.clone(), Some(now))?)
    }

    pub(in crate::gate) fn facts(&self, principal: &Principal, operation: &Operation) -> Vec<eval::Fact> {
        let mut facts = principal.facts().to_vec();
        facts.extend(context::of_principal(principal, self.clock.unix_seconds()));
        facts.extend(operation.context.iter().cloned());
        facts
    }

    async fn grant(
        &self,
        principal: &Principal,
        target: &SessionTarget<'_>,
        operation: impl Fn(&Job, Uuid, &Open, Option<IpAddr>) -> Result<Operation, GateError>,
    ) -> Result<Grant, GateError> {
        let snapshot = self.policy.current()?;
        let operation = |job| {
            Ok::<_, GateError>(operation(job, target.instance, target.open, target.client)?.in_session(target.session))
        };
        let own = self.decide_by(&snapshot, principal, operation(target.job)?).await?;
        let source = match target.source {
            Some(job) => Some(self.decide_by(&snapshot, principal, operation(job)?).await?),
            None => None,
        };
        Grant::new(own, source)
    }

    fn valid_until(&self, snapshot: &Snapshot, decision: &Decision) -> i64 {
        let by_time = decision.valid_until().unwrap_or(i64::MAX);
        if snapshot.tests_login_age {
            return by_time.min(self.clock.unix_seconds().saturating_add(LOGIN_AGE_SECONDS));
        }
        by_time
    }

    async fn write_down(&self, ruling: &Ruling) -> Result<(), GateError> {
        let item = record::of_ruling(ruling, self.clock.unix_ms());
        if ruling.decision.is_allowed() { self.record(item).await } else { self.record_refusal(item).await }
    }

    /// Writes a refusal down, or only counts it where its principal was refused too often of late.
    pub async fn record_refusal(&self, mut item: AuditItem) -> Result<(), GateError> {
        match self.limiter.admit(&item.principal_name, self.clock.unix_ms()) {
            None => return Ok(()),
            Some(0) => (),
            Some(suppressed) => drop(item.payload.insert("suppressed".to_owned(), suppressed.to_string())),
        }
        self.record(item).await
    }

    /// Writes an item down; what could not be written did not happen.
    pub async fn record(&self, item: AuditItem) -> Result<(), GateError> {
        self.witness.record(item).await.map_err(|error| {
            tracing::error!(%error, "a decision could not be recorded; it does not count");
            GateError::Unrecorded
        })
    }
}

impl Ruling {
    /// The decision's id in the audit log.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whether it says yes.
    pub fn is_allowed(&self) -> bool {
        self.decision.is_allowed()
    }

    /// The decision.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Who asked.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What was asked.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Policy revision that it was decided under.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Unix second from which it must be decided again; never later than the token's expiry.
    pub fn valid_until(&self) -> i64 {
        self.valid_until
    }

    /// Itself where it says yes, else the refusal.
    pub fn require(self) -> Result<Self, Refusal> {
        match self.refusal() {
            None => Ok(self),
            Some(refusal) => Err(refusal),
        }
    }

    /// What the caller is told where it says no.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.is_allowed() {
            return None;
        }
        let missing = self.decision.missing();
        let told = self.operation.told.as_ref().filter(|_| !missing.is_empty());
        Some(Refusal {
            target: self.operation.target.clone(),
            missing: told.map_or_else(|| missing.to_vec(), |it| vec![it.clone()]),
            restriction: self.decision.refusals().first().map(ToString::to_string),
            revision: self.revision,
        })
    }

    /// What restricting claims demand of a session.
    pub(in crate::gate) fn restrictions(&self) -> Result<Restrictions, GateError> {
        Restrictions::read(self.decision.effective(), &self.facts)
    }

    pub(in crate::gate) fn into_parts(self) -> (Principal, Operation) {
        (self.principal, self.operation)
    }
}

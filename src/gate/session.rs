//! What a session is decided on, and why a grant may no longer do.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    gate::{BearerError, PolicyError},
    wire::{job::Job, sign::Open},
};

/// An SSH session, or a request in one, that is to be decided.
#[derive(Debug, Clone, Copy)]
pub struct SessionTarget<'a> {
    /// The job, as the store has it now.
    pub job: &'a Job,
    /// The job that `job` is a console clone of; present exactly where it is one.
    pub source: Option<&'a Job>,
    /// The instance of `job`.
    pub instance: Uuid,
    /// Session id, for the audit log.
    pub session: &'a str,
    /// What is opened.
    pub open: &'a Open,
    /// The client as the router saw it.
    pub client: Option<IpAddr>,
}

/// Why a grant must be decided again, or is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// The policy set has changed.
    #[error("policy has changed: revision {in_force} is in force, the session was decided under {decided}")]
    Revision {
        /// Now.
        in_force: u64,
        /// Then.
        decided: u64,
    },
    /// A moment has passed at which the decision may turn.
    #[error("the decision was good until now")]
    Lapsed,
    /// The token is no longer good. Nothing but a new login helps.
    #[error(transparent)]
    Bearer(BearerError),
    /// There is nothing to decide by.
    #[error(transparent)]
    Policy(PolicyError),
}

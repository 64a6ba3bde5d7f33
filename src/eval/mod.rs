//! A policy set and a request to a decision.

mod decision;
mod request;

pub use decision::{Decision, Effective, Place};
pub use request::{BadRequest, Claim, Fact, Now, Request};

use crate::compile::PolicySet;

/// Decides a request. Total: it always answers, and answers "denied" where it can do nothing better.
pub fn decide(_set: &PolicySet, _request: &Request) -> Decision {
    Decision::default()
}

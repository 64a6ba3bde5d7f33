//! A policy set and a request to a decision.

mod decision;
mod denial;
mod effective;
mod request;

pub use decision::{Decision, Place, Refusal, Step, Used};
pub use denial::{Condition, Denial, NearMiss, denial};
pub use effective::{Effective, Total};
pub use request::{BadRequest, Claim, Fact, Now, Request};

use crate::compile::PolicySet;

/// Decides a request. Total: it always answers, and answers "denied" where it can do nothing better.
pub fn decide(_set: &PolicySet, _request: &Request) -> Decision {
    Decision::default()
}

//! What would have been needed: the rules that assert a missing claim, and which of their conditions failed.

use crate::{
    compile::PolicySet,
    eval::{Claim, Place, Request},
};

/// What a denied request lacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// Rules on the target that would have asserted a missing claim: fewest unmet conditions first.
    pub nearest: Vec<NearMiss>,
}

/// A rule that would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// The claim it asserts; covers a missing one, or a claim that such a rule waits for.
    pub claim: Claim,
    /// The rule.
    pub place: Place,
    /// All its conditions in the order of its text.
    pub conditions: Vec<Condition>,
    /// How many at least would have to become true.
    pub unmet: usize,
}

/// One comparison of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As the rule has it, variables replaced by what they are bound to.
    pub text: String,
    /// Whether it holds.
    pub held: bool,
    /// What the request has for the fact or claim that is compared: unique, ascending.
    pub found: Vec<String>,
}

/// Says what a denied request lacked.
pub fn denial(_set: &PolicySet, _request: &Request) -> Denial {
    Denial::default()
}

//! What the gate should reach, and whether it did.

use std::fmt;

use serde_json::{Value, json};

/// One figure beside its bound.
#[derive(Debug)]
pub struct Goal {
    what: &'static str,
    is: f64,
    bound: f64,
    reached: bool,
}

impl Goal {
    pub fn at_most(what: &'static str, is: f64, bound: f64) -> Self {
        Self { what, is, bound, reached: is <= bound }
    }

    pub fn at_least(what: &'static str, is: f64, bound: f64) -> Self {
        Self { what, is, bound, reached: bound <= is }
    }

    pub fn json(&self) -> Value {
        json!({ "what": self.what, "is": self.is, "goal": self.bound, "reached": self.reached })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.reached { "reached" } else { "NOT REACHED" };
        write!(f, "  {:<52} {:>9.2}   goal {:>7.2}   {word}", self.what, self.is, self.bound)
    }
}

//! Tests of policy authors: requests, and what a policy set must make of them.
//!
//! A [`Suite`] is one file of tests, read by `wire::suite`. [`Test::run`] holds a test against a set; [`check`] finds tests
//! that prove nothing of it. [`Coverage`](crate::eval::Coverage) says what of the set the tests have touched.

mod check;
mod duplicates;
mod expected;
mod failure;
mod mutant;

pub use check::check;
pub use duplicates::duplicates;
pub use expected::{Contradiction, Expected, RuleName};
pub use failure::Failure;
pub use mutant::{Mutant, mutants};

use crate::{
    compile::PolicySet,
    eval::{Coverage, Decision, Request, decide, decide_covering},
    source::{Location, Source, Span},
};

/// The tests of one file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// The file.
    pub source: Source,
    /// At least one, with names of their own.
    pub tests: Vec<Test>,
}

/// A request and what must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// The fact that it proves.
    pub name: String,
    /// Where it stands in its file: its name, or the case that has none of its own.
    pub span: Span,
    /// Where what it wants stands.
    pub want: Span,
    /// What is asked.
    pub request: Request,
    /// What must be answered.
    pub expected: Expected,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What was answered.
    pub decision: Decision,
    /// What of it was not expected; empty where the test holds.
    pub failures: Vec<Failure>,
}

impl Suite {
    /// Where a test stands.
    pub fn location(&self, test: &Test) -> Location {
        self.source.location(test.span.start)
    }

    /// Runs all tests and gives those that fail, in the order of the file.
    ///
    /// This is all that a guard needs: a set is fit for use where the result is empty.
    pub fn failing(&self, set: &PolicySet) -> Vec<(&Test, Outcome)> {
        let outcomes = self.tests.iter().map(|test| (test, test.run(set)));
        outcomes.filter(|(_, outcome)| !outcome.passed()).collect()
    }

    /// Whether every test holds; stops at the first that does not.
    pub fn passes(&self, set: &PolicySet) -> bool {
        self.tests.iter().all(|test| test.run(set).passed())
    }
}

impl Test {
    /// Puts the request to a set.
    pub fn run(&self, set: &PolicySet) -> Outcome {
        self.outcome(decide(set, &self.request))
    }

    /// The same, and notes what of the set the request touched.
    pub fn run_covering(&self, set: &PolicySet, coverage: &mut Coverage) -> Outcome {
        self.outcome(decide_covering(set, &self.request, coverage))
    }

    fn outcome(&self, decision: Decision) -> Outcome {
        let failures = failure::failures(&self.expected, &decision);
        Outcome { decision, failures }
    }
}

impl Outcome {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

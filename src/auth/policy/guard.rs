//! Tests kept beside the documents: a change that breaks one is not made.

use crate::{
    compile::PolicySet,
    diagnostic::{Code, Diagnostic},
    limits::DIAGNOSTICS_SHOWN_MAX,
    source::Source,
    suite,
    wire::{self, policy::DiagnosticJson},
};

/// What of the tests does not hold, or is no test of this set; empty where the set may come into force.
pub(in crate::auth) fn broken(set: &PolicySet, tests: &[Source]) -> Vec<DiagnosticJson> {
    let mut told = Vec::new();
    for source in tests {
        let found = match wire::suite::parse(source) {
            Ok(tests) => found_in(&tests, set),
            Err(mistakes) => mistakes,
        };
        told.extend(found.iter().map(|it| DiagnosticJson::new(source, it)));
    }
    told.truncate(DIAGNOSTICS_SHOWN_MAX);
    told
}

fn found_in(tests: &suite::Suite, set: &PolicySet) -> Vec<Diagnostic> {
    let mut found = suite::check(tests, set);
    for (test, outcome) in tests.failing(set) {
        let failures: Vec<String> = outcome.failures.iter().map(ToString::to_string).collect();
        let message = format!("with this change the test fails: {}", failures.join("; "));
        let diagnostic = Diagnostic::new(Code::TestFailed, test.span, message, "this test");
        found.push(diagnostic.with_help("if the change is meant, change the test with it, in the same request"));
    }
    found
}

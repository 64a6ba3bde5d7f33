//! Tests that ran, told to people and to programs.

use std::{fmt::Write as _, path::Path};

use serde::Serialize;

use crate::{
    cli::policy::{
        test::{
            coverage::{CoverageJson, Covered},
            folder::{Folder, Problem},
            mutate::{Mutated, MutatedJson},
        },
        why::explain,
    },
    eval::{Coverage, denial},
    suite::{Outcome, Suite, Test},
    wire::{decide::WhyAnswer, printable::Printable},
};

/// One folder's tests, run.
pub(super) struct Ran {
    folder: String,
    pub(super) tests: usize,
    failed: Vec<FailedJson>,
    /// What a person reads.
    pub(super) text: String,
    /// Why nothing was run.
    pub(super) broken: Option<String>,
    pub(super) coverage: Option<Covered>,
    pub(super) mutated: Option<Mutated>,
}

/// A test that failed.
#[derive(Debug, Serialize)]
struct FailedJson {
    name: String,
    file: String,
    line: usize,
    column: usize,
    failures: Vec<FailureJson>,
    decision: WhyAnswer,
}

#[derive(Debug, Serialize)]
struct FailureJson {
    key: &'static str,
    expected: Vec<String>,
    found: Vec<String>,
    message: String,
}

/// A folder, for programs.
#[derive(Debug, Serialize)]
pub(super) struct FolderJson<'a> {
    folder: &'a str,
    passed: bool,
    tests: usize,
    error: Option<&'a str>,
    failed: &'a [FailedJson],
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<CoverageJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutants: Option<MutatedJson<'a>>,
}

/// Runs the tests whose names have the text, in the order of files and of the tests in them.
pub(super) fn run(folder: &Folder, filter: Option<&str>) -> Ran {
    let mut coverage = Coverage::new(&folder.set);
    let mut ran = Ran {
        folder: folder.path.display().to_string(),
        tests: 0,
        failed: Vec::new(),
        text: String::new(),
        broken: None,
        coverage: None,
        mutated: None,
    };
    for suite in &folder.suites {
        for test in suite.tests.iter().filter(|it| filter.is_none_or(|text| it.name.contains(text))) {
            ran.tests = ran.tests.saturating_add(1);
            let outcome = test.run_covering(&folder.set, &mut coverage);
            if !outcome.passed() {
                ran.fail(folder, suite, test, &outcome);
            }
        }
    }
    let summary = match ran.failed.len() {
        0 => format!("{}: {} passed\n", Printable(&ran.folder), count(ran.tests)),
        failed => format!("{}: {failed} of {} failed\n", Printable(&ran.folder), count(ran.tests)),
    };
    ran.text.push_str(&summary);
    ran.coverage = Some(Covered::new(&folder.set, &coverage));
    ran
}

impl Ran {
    /// A folder whose tests could not be run.
    pub(super) fn broken(path: &Path, problem: &Problem) -> Self {
        let text = problem.text();
        Self {
            folder: path.display().to_string(),
            tests: 0,
            failed: Vec::new(),
            broken: Some(text.trim_end().to_owned()),
            text,
            coverage: None,
            mutated: None,
        }
    }

    fn json(&self, coverage: bool) -> FolderJson<'_> {
        FolderJson {
            folder: &self.folder,
            passed: self.failed.is_empty() && self.broken.is_none(),
            tests: self.tests,
            error: self.broken.as_deref(),
            failed: &self.failed,
            coverage: self.coverage.as_ref().filter(|_| coverage).map(Covered::json),
            mutants: self.mutated.as_ref().map(Mutated::json),
        }
    }

    pub(super) fn failed(&self) -> bool {
        !self.failed.is_empty()
    }

    fn fail(&mut self, folder: &Folder, suite: &Suite, test: &Test, outcome: &Outcome) {
        let denial = denial(&folder.set, &test.request);
        let place = suite.location(test);
        let file = suite.source.name();
        let mut report = format!("failed: {}\n  {}:{}\n", Printable(&test.name), Printable(file), place.line);
        for failure in &outcome.failures {
            // Writing to a string does not fail.
            let _written = writeln!(report, "  {failure}");
        }
        for line in explain(&test.request, &outcome.decision, &denial).trim_end().lines() {
            let _written = writeln!(report, "{}", format!("    {line}").trim_end());
        }
        self.text.push_str(&report);
        self.text.push('\n');
        let failures = outcome.failures.iter().map(|it| FailureJson {
            key: it.key,
            expected: it.expected.clone(),
            found: it.found.clone(),
            message: it.to_string(),
        });
        self.failed.push(FailedJson {
            name: test.name.clone(),
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            failures: failures.collect(),
            decision: WhyAnswer::new(&test.request, &outcome.decision, &denial),
        });
    }
}

/// All folders, for programs.
pub(super) fn json(ran: &[Ran], coverage: bool) -> Vec<FolderJson<'_>> {
    ran.iter().map(|it| it.json(coverage)).collect()
}

fn count(tests: usize) -> String {
    format!("{tests} test{}", if tests == 1 { "" } else { "s" })
}

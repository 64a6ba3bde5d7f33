//! Names that two tests have: whoever reads of one that fails could not tell which it is.

use std::collections::BTreeMap;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    suite::Suite,
};

/// One finding for each test whose name an earlier one of these suites has, with the suite's index.
pub fn duplicates(suites: &[Suite]) -> Vec<(usize, Diagnostic)> {
    let mut first: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut found = Vec::new();
    for (at, suite) in suites.iter().enumerate() {
        for test in &suite.tests {
            let (earlier, offset) = *first.entry(&test.name).or_insert((at, test.span.start));
            if (earlier, offset) == (at, test.span.start) {
                continue;
            }
            let message = format!("two tests are called `{}`", short(&test.name));
            let mut diagnostic = Diagnostic::new(Code::DuplicateTestName, test.span, message, "the second of them")
                .with_help("name each test for the fact that it proves");
            let other = suites.get(earlier).filter(|_| earlier != at);
            match other {
                Some(other) => {
                    let line = other.source.line(offset);
                    diagnostic =
                        diagnostic.with_help(format!("the first is in {}, line {line}", short(other.source.name())));
                }
                None => {
                    let span = suite.tests.iter().find(|it| it.span.start == offset).map(|it| it.span);
                    diagnostic = diagnostic.with_label(span.unwrap_or_default(), "the first");
                }
            }
            found.push((at, diagnostic));
        }
    }
    found
}

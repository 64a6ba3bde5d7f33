//! `tokenTimeout "720h"`: a token that is stolen today is good for a month.
//!
//! Finds values of `tokenTimeout` of more than a day.
//!
//! ## Why it matters
//!
//! A token is as good as the password for as long as it holds: whoever reads it in a log or a backup is that user or job.
//!
//! ## Example
//!
//! ```policy
//! auth::/oauth2/http {
//!   { tokenTimeout "720h" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! auth::/oauth2/http {
//!   { tokenTimeout "12h" }
//! }
//! ```

use crate::{
    compile::catalogue::claim_type,
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{Lint, Report, Set, walk::constants},
    syntax::literal::Literal,
};

pub(super) struct LongTokenTimeout;

impl Lint for LongTokenTimeout {
    fn code(&self) -> Code {
        Code::LongTokenTimeout
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let max = set.settings.token_timeout_seconds_max;
        let means_something = |on: &str| claim_type("tokenTimeout").is_some_and(|it| it.is_on(on));
        for view in set.views().filter(|view| means_something(view.resource_type())) {
            let claims = view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "tokenTimeout");
            for (value, text) in claims.flat_map(constants) {
                let Ok(Literal::Duration(seconds)) = Literal::parse(text) else { continue };
                if seconds <= max {
                    continue;
                }
                let message = format!("a token that holds for {} is as good as a password", spoken(seconds));
                let label = format!("{} is more than {}", short(text), spoken(max));
                let diagnostic = Diagnostic::new(Code::LongTokenTimeout, value.span, message, label);
                report.push(view.source, diagnostic.with_help(format!("at most {} is good practice", spoken(max))));
            }
        }
    }
}

/// Seconds in the largest unit that says them exactly.
fn spoken(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let found = units.into_iter().find(|(unit, _)| seconds != 0 && seconds.is_multiple_of(*unit));
    let (count, unit) = match found {
        Some((unit, name)) => (seconds.checked_div(unit).unwrap_or(seconds), name),
        None => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

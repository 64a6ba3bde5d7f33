//! `job::/sandbox/`: the `/` at the end means nothing.
//!
//! Finds realms with a `/` behind the last segment of the namespace.
//!
//! ## Why it matters
//!
//! It looks as if only what lies below were meant. The realm matches the same with and without: the namespace itself too.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/tom/ {
//!   if (auth_server@apcera.me->name == "tom") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/sandbox/tom {
//!   if (auth_server@apcera.me->name == "tom") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set},
    source::Span,
};

pub(super) struct TrailingSlash;

impl Lint for TrailingSlash {
    fn code(&self) -> Code {
        Code::TrailingSlash
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views().filter(|view| view.policy.realm.trailing_slash) {
            let Some(last) = view.policy.realm.namespace.last() else { continue };
            let slash = Span::new(last.span().end, last.span().end.saturating_add(1));
            let message = "a `/` at the end of a realm means nothing";
            let error = Diagnostic::new(Code::TrailingSlash, slash, message, "matches the same without it");
            let error = error.with_help("remove it").with_fix("remove it", true, slash, "");
            report.push(view.source, error);
        }
    }
}

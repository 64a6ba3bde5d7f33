//! `job::/ { permit read }`: looks like a rule, and applies to everyone.
//!
//! Finds claims that stand directly in a realm's braces.
//!
//! ## Why it matters
//!
//! They apply always, as if they stood in braces of their own. Braces or an `if` show what was meant.
//!
//! ## Example
//!
//! ```policy
//! quota::/ {
//!   max.package.size "2GB"
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! quota::/ {
//!   { max.package.size "2GB" }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix},
    lint::{Lint, Report, Set},
    source::Span,
};

pub(super) struct BareClaimInRealm;

impl Lint for BareClaimInRealm {
    fn code(&self) -> Code {
        Code::BareClaimInRealm
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for place in view.claims.iter().filter(|place| std::ptr::eq(place.block, &raw const view.policy.block)) {
                report.push(view.source, diagnose(place.claim.span));
            }
        }
    }
}

fn diagnose(span: Span) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(
        Code::BareClaimInRealm,
        span,
        "this claim stands directly in the realm's braces",
        "it applies always and to everyone",
    )
    .with_help("if that is meant, show it with braces of its own; if not, put an `if` before it");
    let edit = |at, text: &str| Edit { span: Span::at(at), text: text.to_owned() };
    let edits = vec![edit(span.start, "{ "), edit(span.end, " }")];
    diagnostic.fixes.push(Fix { title: "put it into braces".to_owned(), safe: true, edits });
    diagnostic
}

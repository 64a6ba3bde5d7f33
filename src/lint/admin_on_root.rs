//! `job::/ { if (...) { role admin } }`: admin of every resource of that type, in every namespace.
//!
//! Finds the role `admin` asserted on the root of a resource type. Roots that one document gives away under one condition
//! are one finding, at the first of them.
//!
//! ## Why it matters
//!
//! Whoever the condition lets in may do everything to everybody's resources, those included that come later. Some few people
//! need that; jobs and groups mostly need a namespace.
//!
//! ## Example
//!
//! ```policy
//! job::/ {
//!   if (auth_server@apcera.me->name == "job::/ci::robot") { role admin }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/ci {
//!   if (auth_server@apcera.me->name == "job::/ci::robot") { role admin }
//! }
//! ```
//!
//! Where it is meant: `// allow: admin-on-root the cluster's first admin`.

use std::collections::BTreeMap;

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, set::PolicyView, walk::constants},
    source::Span,
    syntax::ast::Local,
};

/// Further roots that a finding points to; of more it says how many there are.
const LABELS_MAX: usize = 3;

pub(super) struct AdminOnRoot;

impl Lint for AdminOnRoot {
    fn code(&self) -> Code {
        Code::AdminOnRoot
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let mut given_away: BTreeMap<(usize, &[usize]), Vec<Root<'_>>> = BTreeMap::new();
        for view in set.views().filter(|view| is_root(view)) {
            for (span, rule) in admins(view) {
                match view.conditions(Some(rule)) {
                    Some(conditions) => {
                        let places = given_away.entry((view.source, conditions)).or_default();
                        places.push((span, view.resource_type()));
                    }
                    None => report.push(view.source, diagnose(span, view.resource_type(), &[])),
                }
            }
        }
        for ((source, _), places) in given_away {
            if let [(span, on), others @ ..] = places.as_slice() {
                report.push(source, diagnose(*span, on, others));
            }
        }
    }
}

/// Where the role is asserted, and on which type.
type Root<'a> = (Span, &'a str);

/// Whether a realm is all of its type.
pub(super) fn is_root(view: &PolicyView<'_>) -> bool {
    view.policy.realm.namespace.is_empty() && view.policy.realm.local == Local::Below
}

/// Where the role is asserted under a condition, and the rule that does it. Without one, `unconditional-grant` speaks.
fn admins<'a>(view: &'a PolicyView<'_>) -> impl Iterator<Item = (Span, usize)> + 'a {
    let claims = view.claims.iter().filter(|it| it.claim.claim_type.text == "role");
    let places = claims.filter_map(|it| Some((it.claim, it.rule?)));
    places.flat_map(|(claim, rule)| {
        constants(claim).filter(|(_, role)| *role == "admin").map(move |(value, _)| (value.span, rule))
    })
}

fn diagnose(span: Span, on: &str, others: &[Root<'_>]) -> Diagnostic {
    let message = match others.len() {
        0 => format!("this gives away every resource of `{on}::`, in every namespace"),
        1 => format!("this gives away every resource of `{on}::` and of one more type"),
        more => format!("this gives away every resource of `{on}::` and of {more} more types"),
    };
    let mut diagnostic = Diagnostic::new(Code::AdminOnRoot, span, message, "admin of everything");
    for (span, on) in others.iter().take(LABELS_MAX) {
        diagnostic = diagnostic.with_label(*span, format!("and of `{on}::`"));
    }
    diagnostic.with_help("name the namespace that is meant, or allow it with a reason")
}

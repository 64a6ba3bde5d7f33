//! `permit bind` on a job, and nobody may bind any service.
//!
//! Finds permits for a handshake that no rule of the set grants on the other side: bind (job and service), join (job and
//! network), map (job and route), promote (job and gateway), and link where all rules that grant it want the same `side`.
//! Of a document alone, which says nothing about that type of resource, the other side is taken to stand elsewhere.
//!
//! ## Why it matters
//!
//! Both sides are asked, each with the other as context. A permit on one of them grants nothing.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { permit bind }
//! }
//! service::/prod {
//!   if (LDAP->group == "sre") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { permit bind }
//! }
//! service::/prod {
//!   if (LDAP->group == "sre") { permit read, bind }
//! }
//! ```

use std::collections::BTreeSet;

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, chain::asked, set::PolicyView, walk::constants},
    syntax::ast::Expr,
};

/// A permit and the two types that need it. A link is between jobs.
const HANDSHAKES: &[(&str, &str, &str)] =
    &[("bind", "job", "service"), ("join", "job", "network"), ("map", "job", "route"), ("promote", "job", "gateway")];

pub(super) struct OneSidedHandshake;

impl Lint for OneSidedHandshake {
    fn code(&self) -> Code {
        Code::OneSidedHandshake
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        if !set.complete {
            return;
        }
        for (permit, one, other) in HANDSHAKES {
            for (here, there) in [(one, other), (other, one)] {
                if speaks_of(set, there) && set.chain(there).is_some_and(|it| !it.is_live("permit", permit)) {
                    check(set, permit, here, there, report);
                }
            }
        }
        check_link(set, report);
    }
}

/// Whether the documents are more than one, or say something about a type. One document alone is mostly a part of a set.
fn speaks_of(set: &Set<'_>, resource_type: &str) -> bool {
    set.given > 1 || set.views().any(|view| view.resource_type() == resource_type)
}

/// Tells it where jobs may be one end of a link only.
fn check_link(set: &Set<'_>, report: &mut Report) {
    // Who has all permits has both ends; of a document alone the other end may stand elsewhere.
    if set.given == 1 || set.chain("job").is_none_or(|it| it.is_live("permit", "all")) {
        return;
    }
    let mut grants = Vec::new();
    for view in set.policies.iter().filter(|it| it.source < set.given && it.resource_type() == "job") {
        for place in view.claims.iter().filter(|it| it.claim.claim_type.text == "permit") {
            for (value, _) in constants(place.claim).filter(|(_, text)| *text == "link") {
                grants.push((view.source, value.span, side(set, view, place.rule)));
            }
        }
    }
    let Some((_, _, Some(side))) = grants.first().copied() else { return };
    if grants.iter().any(|(_, _, other)| *other != Some(side)) {
        return;
    }
    let other = if side == "source" { "destination" } else { "source" };
    let mut told = BTreeSet::new();
    for (source, span, _) in grants {
        if told.insert(source) {
            let message = format!("nobody has `permit link` as the {other}, and a link needs both sides");
            let error = Diagnostic::new(Code::OneSidedHandshake, span, message, "grants nothing alone");
            let help = format!("grant the other side too: `if (side == {other} && ... ) {{ permit link }}`");
            report.push(source, error.with_help(help));
        }
    }
}

/// The side that a rule wants, where it wants one.
fn side<'a>(set: &Set<'a>, view: &PolicyView<'_>, rule: Option<usize>) -> Option<&'a str> {
    let conditions = view.conditions(rule)?.iter().filter_map(|it| set.conditions.get(*it).copied());
    conditions.into_iter().find_map(|it| {
        let Expr::Comparison(comparison) = it else { return None };
        if comparison.issuer.is_some() || comparison.claim_type.text != "side" {
            return None;
        }
        match asked(comparison)?.as_slice() {
            [side] if matches!(*side, "source" | "destination") => Some(*side),
            _ => None,
        }
    })
}

/// Tells it once a document: whoever adds the other side mends all of them.
fn check(set: &Set<'_>, permit: &str, here: &str, there: &str, report: &mut Report) {
    let mut told = BTreeSet::new();
    for view in set.views().filter(|view| view.resource_type() == here) {
        let claims = view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "permit");
        for (value, _) in claims.flat_map(constants).filter(|(_, text)| *text == permit) {
            if told.insert(view.source) {
                let message = format!("nobody has `permit {permit}` on `{there}::`, and this needs both sides");
                let error = Diagnostic::new(Code::OneSidedHandshake, value.span, message, "grants nothing alone");
                let help = format!("grant the other side too: `{there}::/ ... {{ if ( ... ) {{ permit {permit} }} }}`");
                report.push(view.source, error.with_help(help));
            }
        }
    }
}

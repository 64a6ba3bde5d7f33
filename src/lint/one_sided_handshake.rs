//! `permit bind` on a job, and nobody may bind any service.
//!
//! Finds permits for a handshake that no rule of the set grants on the other side: bind (job and service), join (job and
//! network), map (job and route), promote (job and gateway).
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
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { permit bind }
//! }
//! service::/prod {
//!   if (LDAP->group == "sre") { permit bind }
//! }
//! ```

use std::collections::BTreeSet;

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, walk::constants},
};

/// A permit and the two types that need it. A link is between jobs: whether the other job has it is not known here.
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
                if set.chain(there).is_some_and(|it| !it.is_live("permit", permit)) {
                    check(set, permit, here, there, report);
                }
            }
        }
    }
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

//! `{ permit read }`: everyone may, whoever it is.
//!
//! Finds a permit or role that no condition stands around. `{ permit issue }` on one job is none: it lets the cluster issue
//! a token to that job, and asks nobody's leave.
//!
//! ## Why it matters
//!
//! Whoever is logged in gets what is granted, and every job with a token too. Often an `if` was forgotten.
//!
//! ## Example
//!
//! ```policy
//! package::/apcera {
//!   { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! package::/apcera {
//!   if (LDAP->group == "staff") { permit read }
//! }
//! ```
//!
//! If everyone is meant, say so: `// allow: unconditional-grant anyone may look`.

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{ClaimPlace, claims, constants, is_template},
    },
    syntax::ast::Policy,
};

pub(super) struct UnconditionalGrant;

impl Lint for UnconditionalGrant {
    fn code(&self) -> Code {
        Code::UnconditionalGrant
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (source, policy) in set.given().filter(|(_, policy)| !is_template(policy)) {
            for (place, granted) in grants(policy) {
                let message = format!("{granted} is granted to everyone, because no condition stands around it");
                let diagnostic = Diagnostic::new(self.code(), place.claim.span, message, "whoever asks gets this")
                    .with_help("say who is meant: `if (auth_server@apcera.me->name == \"tom\") { ... }`");
                report.push(source, diagnostic);
            }
        }
    }
}

/// Claims that let someone do something and depend on nothing, and how to speak of what they grant.
pub(super) fn grants(policy: &Policy) -> impl Iterator<Item = (ClaimPlace<'_>, String)> {
    claims(policy).into_iter().filter(|place| !place.conditional).filter_map(|place| {
        let claim_type = place.claim.claim_type.text.as_str();
        let values: Vec<String> = constants(place.claim)
            .map(|(_, text)| text)
            .filter(|text| claim_type == "role" || claim_type == "permit" && !is_issue_to_job(policy, text))
            .map(short)
            .collect();
        (!values.is_empty()).then(|| (place, format!("`{claim_type} {}`", short(&values.join(", ")))))
    })
}

/// `{ permit issue }` for one job lets the cluster issue a token to that job, and asks nobody's leave. For a whole realm of
/// jobs `issue-without-local-name` speaks of it.
fn is_issue_to_job(policy: &Policy, permit: &str) -> bool {
    permit == "issue" && policy.realm.resource_type.text == "job"
}

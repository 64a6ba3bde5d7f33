//! `policy::/sandbox/tom { ... permit update }`: authority over policy for every type of resource there.
//!
//! Finds `permit update`, `permit all` and `role admin` on `policy::` that no test of `ResType` narrows.
//!
//! ## Why it matters
//!
//! Realms of `policy::` speak of policy about any type in that namespace: about jobs, and about quotas, audit and policy
//! itself. Whoever may change the last can give himself the others.
//!
//! ## Example
//!
//! ```policy
//! policy::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { permit read, update }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! policy::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") {
//!     permit read
//!     if (ResType in (job, package)) { permit update }
//!   }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        admin_on_root::is_root,
        set::PolicyView,
        walk::{constants, expr_comparisons},
    },
};

pub(super) struct PolicyUpdateOnEveryType;

impl Lint for PolicyUpdateOnEveryType {
    fn code(&self) -> Code {
        Code::PolicyUpdateOnEveryType
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views().filter(|view| view.resource_type() == "policy") {
            let narrowed = narrowed(view);
            for place in &view.claims {
                // What everyone gets is what `unconditional-grant` speaks of.
                let Some(false) = place.rule.and_then(|rule| narrowed.get(rule).copied()) else { continue };
                for (value, text) in constants(place.claim) {
                    let is_update = match place.claim.claim_type.text.as_str() {
                        "permit" => matches!(text, "update" | "all"),
                        // On the root that is what `admin-on-root` says.
                        "role" => text == "admin" && !is_root(view),
                        _ => false,
                    };
                    if is_update {
                        report.push(view.source, diagnose(&place.claim.claim_type.text, text, value.span));
                    }
                }
            }
        }
    }
}

/// For each rule whether it, or one around it, asks for the type of resource.
fn narrowed(view: &PolicyView<'_>) -> Vec<bool> {
    let mut narrowed: Vec<bool> = Vec::new();
    for rule in &view.rules {
        let own = || {
            let tests = expr_comparisons(&rule.rule.condition);
            tests.iter().any(|it| it.issuer.is_none() && it.claim_type.text == "ResType")
        };
        let outer = rule.outer.and_then(|outer| narrowed.get(outer).copied()).unwrap_or(false);
        narrowed.push(outer || own());
    }
    narrowed
}

fn diagnose(claim_type: &str, text: &str, span: crate::source::Span) -> Diagnostic {
    let message = format!("`{claim_type} {}` here is authority over policy for every type of resource", short(text));
    Diagnostic::new(Code::PolicyUpdateOnEveryType, span, message, "over policy about policy too")
        .with_help("narrow it: `if (ResType in (job, package)) { permit update }`")
}

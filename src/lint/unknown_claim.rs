//! A claim type that means nothing on the resource type that it stands on.
//!
//! Finds asserted claims that the catalogue does not have on that type of resource and that no rule on that type tests, and
//! tests of claims without an issuer that neither a rule on that type nor the operation brings.
//!
//! ## Why it matters
//!
//! A claim that nothing asks for does nothing. `deny` and its like grant nothing and take nothing away; `name`
//! without an issuer is not the name of who is logged in.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { ssh.users "app" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre") { ssh.user "app" }
//! }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compile::catalogue::{self, CLAIM_TYPES},
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{Lint, Report, Set},
    syntax::{
        ast::Name,
        suggest::closest,
        vocabulary::{CONTEXT_TYPES, is_context},
    },
};

pub(super) struct UnknownClaim;

impl Lint for UnknownClaim {
    fn code(&self) -> Code {
        Code::UnknownClaim
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let mut asserted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut tested: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for view in &set.policies {
            let here = asserted.entry(view.resource_type()).or_default();
            here.extend(view.claims.iter().map(|it| it.claim.claim_type.text.as_str()));
            let tests = view.comparisons.iter().filter(|it| it.issuer.is_none());
            tested.entry(view.resource_type()).or_default().extend(tests.map(|it| it.claim_type.text.as_str()));
        }
        for view in set.views() {
            let on = view.resource_type();
            let types = view.claims.iter().map(|it| &it.claim.claim_type);
            // A claim of one's own that rules ask for does what it is there for.
            let is_own = |name: &Name| tested.get(on).is_some_and(|it| it.contains(name.text.as_str()));
            for name in types.filter(|it| !is_known(&it.text, on) && !is_own(it)) {
                report.push(view.source, diagnose_asserted(name, on));
            }
            // What was not read may assert it.
            let tests = view.comparisons.iter().filter(|it| set.complete && it.issuer.is_none());
            for name in tests.map(|it| &it.claim_type) {
                let is_asserted = || asserted.get(on).is_some_and(|it| it.contains(name.text.as_str()));
                if !is_known(&name.text, on) && !is_asserted() {
                    report.push(view.source, diagnose_tested(name, on));
                }
            }
        }
    }
}

pub(super) fn is_known(claim_type: &str, resource_type: &str) -> bool {
    is_context(claim_type) || catalogue::claim_type(claim_type).is_some_and(|it| it.is_on(resource_type))
}

fn diagnose_asserted(name: &Name, on: &str) -> Diagnostic {
    let text = short(&name.text);
    let message = format!("`{text}` is no claim of `{on}::`, and no rule there tests it");
    let error = Diagnostic::new(Code::UnknownClaim, name.span, message, "so this does nothing");
    if matches!(name.text.to_ascii_lowercase().as_str(), "deny" | "forbid" | "allow" | "grant") {
        return error
            .with_help("grants are written `permit read`; there is no way to deny: what nothing grants is denied");
    }
    if let Some(elsewhere) = elsewhere(&name.text) {
        return error.with_help(elsewhere);
    }
    let known = CLAIM_TYPES.iter().filter(|it| it.is_on(on)).map(|it| it.name);
    suggest(error, name, known, "if it is a claim of your own, test it in an `if` on the same type; else remove it")
}

fn diagnose_tested(name: &Name, on: &str) -> Diagnostic {
    let text = short(&name.text);
    let message = format!("no rule on `{on}::` asserts `{text}`, and the operation does not bring it");
    let error = Diagnostic::new(Code::UnknownClaim, name.span, message, "so this is never true");
    if matches!(name.text.as_str(), "name" | "authType") {
        return error
            .with_help("who is logged in is told by the issuer; without one, a claim is what rules assert")
            .with_fix("name the issuer", false, name.span, format!("auth_server@apcera.me->{}", name.text));
    }
    let known = CLAIM_TYPES.iter().filter(|it| it.is_on(on)).map(|it| it.name).chain(CONTEXT_TYPES.iter().copied());
    suggest(error, name, known, "what a token says is asked for with its issuer, as in `Google->email`")
}

fn elsewhere(claim_type: &str) -> Option<String> {
    let on = catalogue::claim_type(claim_type)?.on;
    Some(format!("it is a claim of `{}::`", on.join("::`, `")))
}

fn suggest<'a>(error: Diagnostic, name: &Name, known: impl Iterator<Item = &'a str>, otherwise: &str) -> Diagnostic {
    match closest(&name.text, known) {
        Some(near) => error.with_help(format!("did you mean `{near}`?")).with_fix(
            format!("write `{near}`"),
            false,
            name.span,
            near,
        ),
        None => error.with_help(otherwise),
    }
}

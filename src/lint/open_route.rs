//! `route::/http` mapped by any sandbox job: whoever has a sandbox may take any host name.
//!
//! Finds `permit map` on a whole tree of hosts (all of them, a top-level domain, or a domain) for jobs that lie anywhere in
//! `job::/sandbox`, or anywhere at all.
//!
//! ## Why it matters
//!
//! Everyone has a sandbox. A job in it can then answer under `login.acme.com` and take in what people type there.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { permit map }
//! }
//! route::/http {
//!   if (job fqnMatch "job::/sandbox") { permit map }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { permit map }
//! }
//! route::/http/com/acme/sandbox/[name] {
//!   if (job fqnMatch "job::/sandbox/[name]") { permit map }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{
        Lint, Report, Set,
        set::PolicyView,
        walk::{constants, expr_comparisons},
    },
    source::Span,
    syntax::ast::{Comparison, Local, Operator, Realm, Segment},
};

/// `/http/com/acme` is a domain; what is deeper was set apart by someone.
const TREE_SEGMENTS_MAX: usize = 3;

pub(super) struct OpenRoute;

impl Lint for OpenRoute {
    fn code(&self) -> Code {
        Code::OpenRoute
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views().filter(|view| is_host_tree(&view.policy.realm)) {
            let tests = tests(view);
            for place in view.claims.iter().filter(|it| it.claim.claim_type.text == "permit") {
                let mapped = constants(place.claim).find(|(_, permit)| matches!(*permit, "map" | "all"));
                let Some((value, _)) = mapped else { continue };
                let test = place.rule.and_then(|rule| tests.get(rule).copied().flatten());
                let Some(test) = test else { continue };
                report.push(view.source, diagnose(view, value.span, test));
            }
        }
    }
}

fn is_host_tree(realm: &Realm) -> bool {
    realm.resource_type.text == "route"
        && realm.local == Local::Below
        && realm.namespace.len() <= TREE_SEGMENTS_MAX
        && realm.namespace.iter().all(|it| matches!(it, Segment::Literal(_)))
}

/// For each rule the comparison, its own or of a rule around it, that lets the jobs of anyone's sandbox through.
fn tests<'a>(view: &PolicyView<'a>) -> Vec<Option<&'a Comparison>> {
    let mut tests: Vec<Option<&Comparison>> = Vec::new();
    for rule in &view.rules {
        let own = expr_comparisons(&rule.rule.condition).into_iter().find(|it| is_anyone(it));
        // Rules stand behind those around them.
        let outer = || rule.outer.and_then(|outer| tests.get(outer).copied().flatten());
        let test = own.or_else(outer);
        tests.push(test);
    }
    tests
}

fn is_anyone(comparison: &Comparison) -> bool {
    let text = comparison.values.first().and_then(|it| it.constant()).unwrap_or_default();
    let operator = comparison.operator;
    let is_prefix = matches!(operator, Operator::BeginsWith | Operator::FqnMatch | Operator::Matches);
    let whole = text.trim_end_matches('*').trim_end_matches('/');
    comparison.issuer.is_none()
        && comparison.claim_type.text == "job"
        && is_prefix
        && matches!(whole, "job::" | "job::/sandbox")
}

fn diagnose(view: &PolicyView<'_>, span: Span, test: &Comparison) -> Diagnostic {
    let message = "any job of any sandbox may take any host of this tree";
    Diagnostic::new(Code::OpenRoute, span, message, "the whole tree")
        .with_label(view.policy.realm.span, "all hosts below this")
        .with_label(test.span, "everyone has a sandbox")
        .with_help("give each namespace hosts of its own: `route::/http/com/acme/sandbox/[name]`")
}

//! `job::/prod { }`: braces in which nothing is asserted.
//!
//! Finds policies, rules and blocks without a claim in them.
//!
//! ## Why it matters
//!
//! They grant nothing and restrict nothing. Whoever reads them believes that something is meant, and for `if (...) { }`
//! perhaps that something is forbidden.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "interns") { }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "interns") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, remove::removal},
    source::Span,
    syntax::ast::{Block, Item},
};

pub(super) struct EmptyPolicy;

impl Lint for EmptyPolicy {
    fn code(&self) -> Code {
        Code::EmptyPolicy
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            // What could not be read may have stood in it.
            let Some((source, parse)) = set.documents.get(view.source).filter(|(_, parse)| parse.is_usable()) else {
                continue;
            };
            let mut empty = Vec::new();
            if view.claims.is_empty() {
                empty.push((view.policy.span, view.policy.realm.span, "this policy"));
            } else {
                add_empty(&mut empty, &view.policy.block);
            }
            for (whole, span, what) in empty {
                let message = format!("{what} asserts nothing");
                let mut error = Diagnostic::new(Code::EmptyPolicy, span, message, "no claim stands in its braces")
                    .with_help("say what is granted, or remove it: what nothing grants is denied");
                error.fixes.extend(removal("remove it", source, parse, whole));
                report.push(view.source, error);
            }
        }
    }
}

/// The outermost items without a claim, each as a whole, as what is shown of it, and what it is. Whether there are claims
/// in the block.
fn add_empty(out: &mut Vec<(Span, Span, &'static str)>, block: &Block) -> bool {
    let mut has_claims = false;
    for item in &block.items {
        let before = out.len();
        let (inner, found) = match item {
            Item::Claim(_) => {
                has_claims = true;
                continue;
            }
            Item::Block(inner) => (inner, (inner.span, inner.span, "this block")),
            Item::Rule(rule) => (&rule.block, (rule.span, rule.keyword.to(rule.condition.span()), "this rule")),
        };
        if add_empty(out, inner) {
            has_claims = true;
        } else {
            out.truncate(before);
            out.push(found);
        }
    }
    has_claims
}

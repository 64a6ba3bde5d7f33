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
                empty.push((view.policy.span, view.policy.realm.span, "this policy", view.rules.is_empty()));
            } else {
                add_empty(&mut empty, &view.policy.block);
            }
            for (whole, span, what, is_nothing) in empty {
                let message = format!("{what} asserts nothing");
                let mut error = Diagnostic::new(Code::EmptyPolicy, span, message, "no claim stands in its braces")
                    .with_help("say what is granted, or remove it: what nothing grants is denied");
                // A condition is what its author had in mind; who takes it away has to have read it.
                if is_nothing {
                    error.fixes.extend(removal("remove it", source, parse, whole));
                }
                report.push(view.source, error);
            }
        }
    }
}

/// The outermost items without a claim, each as a whole, as what is shown of it, what it is, and whether it has no
/// condition either. Whether there are claims in the block.
fn add_empty(out: &mut Vec<(Span, Span, &'static str, bool)>, block: &Block) -> bool {
    let mut has_claims = false;
    for item in &block.items {
        let before = out.len();
        let (inner, found) = match item {
            Item::Claim(_) => {
                has_claims = true;
                continue;
            }
            Item::Block(inner) => (inner, (inner.span, inner.span, "this block", !has_rule(inner))),
            Item::Rule(rule) => (&rule.block, (rule.span, rule.keyword.to(rule.condition.span()), "this rule", false)),
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

fn has_rule(block: &Block) -> bool {
    block.items.iter().any(|item| match item {
        Item::Claim(_) => false,
        Item::Block(inner) => has_rule(inner),
        Item::Rule(_) => true,
    })
}

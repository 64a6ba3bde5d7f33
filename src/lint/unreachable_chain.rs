//! A condition waits for a claim that nothing brings about.
//!
//! Finds tests of a permit or another claim that no rule on that type of resource asserts, and tests of claims that are
//! asserted only by rules that wait for each other. Facts of tokens and context are taken to be there.
//!
//! ## Why it matters
//!
//! The rule never applies: what it grants, nobody gets.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (permit == approve) { ssh.record "full" }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre-leads") { permit approve }
//!   if (permit == approve) { ssh.record "full" }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        chain::{Chain, asked, is_of_rules},
        unknown_claim::is_known,
    },
    syntax::ast::Comparison,
};

pub(super) struct UnreachableChain;

impl Lint for UnreachableChain {
    fn code(&self) -> Code {
        Code::UnreachableChain
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            let on = view.resource_type();
            let Some(chain) = set.chain(on) else { continue };
            for comparison in view.comparisons.iter().filter(|it| is_of_rules(it)) {
                check(chain, on, comparison, &mut |diagnostic| report.push(view.source, diagnostic));
            }
        }
    }
}

fn check(chain: &Chain<'_>, on: &str, comparison: &Comparison, push: &mut dyn FnMut(Diagnostic)) {
    let claim_type = comparison.claim_type.text.as_str();
    // A claim that nothing asserts in whatever value, and that the catalogue has not either, `unknown-claim` tells.
    if !chain.has_type(claim_type) && !is_known(claim_type, on) {
        return;
    }
    for (value, text) in comparison.values.iter().zip(asked(comparison).unwrap_or_default()) {
        if chain.is_live(claim_type, text) {
            continue;
        }
        let claim = format!("{claim_type} {text}");
        let is_asserted = chain.is_asserted(claim_type, text);
        let message = if is_asserted {
            format!("`{}` is asserted only by rules that wait for each other", short(&claim))
        } else {
            format!("no rule on `{on}::` asserts `{}`", short(&claim))
        };
        let error = Diagnostic::new(Code::UnreachableChain, value.span, message, "so this is never true");
        push(error.with_help(if is_asserted {
            "let a rule assert it that depends on who is there: `if (LDAP->group == \"...\") { ... }`".to_owned()
        } else {
            format!("assert it somewhere: `{on}::/ {{ if ( ... ) {{ {} }} }}`", short(&claim))
        }));
    }
}

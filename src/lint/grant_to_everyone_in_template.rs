//! `{ permit read }` in a template: everyone may, in everyone's namespace.
//!
//! Finds a permit or role that no condition stands around, in a realm with a variable.
//!
//! ## Why it matters
//!
//! A variable binds any name; it does not ask who is there. Tom gets into Mary's namespace, and Mary into Tom's.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/[name] {
//!   { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name == "[name]") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set, unconditional_grant::grants, walk::is_template},
};

pub(super) struct GrantToEveryoneInTemplate;

impl Lint for GrantToEveryoneInTemplate {
    fn code(&self) -> Code {
        Code::GrantToEveryoneInTemplate
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for (source, policy) in set.given().filter(|(_, policy)| is_template(policy)) {
            for (place, granted) in grants(policy) {
                let message = format!("{granted} is granted to everyone in every namespace that this realm stands for");
                let diagnostic =
                    Diagnostic::new(self.code(), place.claim.span, message, "tom gets this in mary's namespace too")
                        .with_label(policy.realm.span, "a variable binds any name; it does not ask who is there")
                        .with_help("ask for it: `if (auth_server@apcera.me->name == \"[name]\") { ... }`");
                report.push(source, diagnostic);
            }
        }
    }
}

//! `a || b && c`: read as `a || (b && c)`, and often meant otherwise.
//!
//! Finds `&&` directly beside `||`.
//!
//! ## Why it matters
//!
//! `&&` binds tighter. Whoever reads it the other way believes that the last condition guards both ways in.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "dba" || LDAP->group == "sre" && time.hour < 18) { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if ((LDAP->group == "dba" || LDAP->group == "sre") && time.hour < 18) { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, Edit, Fix},
    lint::{Lint, Report, Set},
    source::Span,
    syntax::ast::Expr,
};

pub(super) struct MixedOperators;

impl Lint for MixedOperators {
    fn code(&self) -> Code {
        Code::MixedOperators
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for rule in &view.rules {
                check(&rule.rule.condition, &mut |diagnostic| report.push(view.source, diagnostic));
            }
        }
    }
}

fn check(expr: &Expr, push: &mut dyn FnMut(Diagnostic)) {
    match expr {
        Expr::Comparison(_) => (),
        Expr::Group(inner, _) => check(inner, push),
        Expr::And(parts) => {
            for part in parts {
                check(part, push);
            }
        }
        Expr::Or(parts) => {
            let mixed: Vec<Span> = parts.iter().filter(|it| matches!(it, Expr::And(_))).map(Expr::span).collect();
            if !mixed.is_empty() {
                push(diagnose(expr.span(), &mixed));
            }
            for part in parts {
                check(part, push);
            }
        }
    }
}

fn diagnose(whole: Span, mixed: &[Span]) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(
        Code::MixedOperators,
        whole,
        "`&&` and `||` stand side by side without parentheses",
        "`&&` binds tighter than `||`",
    );
    for span in mixed {
        diagnostic = diagnostic.with_label(*span, "this belongs together");
    }
    let edit = |at, text: &str| Edit { span: Span::at(at), text: text.to_owned() };
    let edits = mixed.iter().flat_map(|span| [edit(span.start, "("), edit(span.end, ")")]).collect();
    let title = "write the parentheses that are meant now".to_owned();
    diagnostic.fixes.push(Fix { title, safe: true, edits });
    diagnostic
}

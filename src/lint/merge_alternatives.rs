//! `a == x || a == y || a == z`: `a in (x, y, z)` says it at once.
//!
//! Finds three or more `==` of one claim with nothing but `||` between them.
//!
//! ## Why it matters
//!
//! In a long row of comparisons nobody sees the one that asks another claim. `in` is short, and shows that all ask the same.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre" || LDAP->group == "dba" || LDAP->group == "net") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group in ("sre", "dba", "net")) { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic},
    lint::{Lint, Report, Set},
    source::Source,
    syntax::{
        Parse,
        ast::{Comparison, Expr, Operator},
    },
};

/// Two alternatives read well as they are.
const ALTERNATIVES_MIN: usize = 3;

pub(super) struct MergeAlternatives;

impl Lint for MergeAlternatives {
    fn code(&self) -> Code {
        Code::MergeAlternatives
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            let Some((source, parse)) = set.documents.get(view.source) else { continue };
            for rule in &view.rules {
                check(&rule.rule.condition, &mut |alternatives| {
                    report.push(view.source, diagnose(source, parse, alternatives));
                });
            }
        }
    }
}

fn check(expr: &Expr, push: &mut dyn FnMut(&[&Comparison])) {
    match expr {
        Expr::Comparison(_) => (),
        Expr::Group(inner, _) => check(inner, push),
        Expr::And(parts) => {
            for part in parts {
                check(part, push);
            }
        }
        Expr::Or(parts) => {
            let comparisons: Option<Vec<&Comparison>> = parts.iter().map(equality).collect();
            match comparisons {
                Some(all) if all.len() >= ALTERNATIVES_MIN && ask_the_same(&all) => push(&all),
                Some(_) | None => {
                    for part in parts {
                        check(part, push);
                    }
                }
            }
        }
    }
}

fn equality(expr: &Expr) -> Option<&Comparison> {
    let Expr::Comparison(comparison) = expr else { return None };
    matches!(comparison.operator, Operator::Equal | Operator::Equals).then_some(comparison)
}

fn ask_the_same(all: &[&Comparison]) -> bool {
    let claim = |it: &Comparison| (it.issuer.as_ref().map(|it| it.text.clone()), it.claim_type.text.clone());
    let first = all.first().map(|it| claim(it));
    all.iter().all(|it| Some(claim(it)) == first)
}

fn diagnose(source: &Source, parse: &Parse, all: &[&Comparison]) -> Diagnostic {
    let whole = all.iter().map(|it| it.span).reduce(crate::source::Span::to).unwrap_or_default();
    let error = Diagnostic::new(
        Code::MergeAlternatives,
        whole,
        "these ask one claim for one of several values",
        "`in` says it at once",
    );
    let error = error.with_help("write `in ( ... )` with all the values");
    let next = parse.comments.partition_point(|comment| comment.start < whole.start);
    if parse.comments.get(next).is_some_and(|comment| comment.start < whole.end) {
        return error;
    }
    let Some(first) = all.first() else { return error };
    let issuer = first.issuer.as_ref().map(|it| format!("{}->", it.text)).unwrap_or_default();
    let values: Vec<&str> = all.iter().flat_map(|it| &it.values).map(|it| source.slice(it.span)).collect();
    let text = format!("{issuer}{} in ({})", first.claim_type.text, values.join(", "));
    error.with_fix("write `in`", true, whole, text)
}

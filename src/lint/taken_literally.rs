//! `LDAP->group == "sre*"`: `==` knows no patterns, so this is true for a group whose name ends in a star.
//!
//! Finds facts and roles that are compared with a pattern by an operator that has none, and values that were to be filled in
//! (`<your-group>`, `${USER}`, `changeme`).
//!
//! ## Why it matters
//!
//! The condition holds for nobody whom its author had in mind. Whoever can choose the name of a group can be the one whom it
//! is true for.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group == "sre*") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   if (LDAP->group matches "sre*") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{constants, in_place_of},
    },
    syntax::ast::{Comparison, Operator, Value},
};

/// Words that stand where someone was to write another.
const FILLED_IN_LATER: [&str; 8] = ["change-me", "change_me", "changeme", "fixme", "placeholder", "tbd", "todo", "xxx"];

pub(super) struct TakenLiterally;

impl Lint for TakenLiterally {
    fn code(&self) -> Code {
        Code::TakenLiterally
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            let is_name = |it: &&&Comparison| it.issuer.is_some() || it.claim_type.text == "role";
            for comparison in view.comparisons.iter().filter(is_name) {
                for value in &comparison.values {
                    let Some(text) = value.constant() else { continue };
                    let finding =
                        if is_blank(text) { Some(blank(value, text)) } else { pattern(comparison, value, text) };
                    if let Some(finding) = finding {
                        report.push(view.source, finding);
                    }
                }
            }
            for claim in view.claims.iter().map(|it| it.claim).filter(|it| it.claim_type.text == "role") {
                for (value, text) in constants(claim).filter(|(_, text)| is_blank(text)) {
                    report.push(view.source, blank(value, text));
                }
            }
        }
    }
}

/// Whether this text was to be filled in by whoever copied it.
fn is_blank(text: &str) -> bool {
    let enclosed = |open, close| text.strip_prefix(open).is_some_and(|it: &str| it.ends_with(close));
    let lower = text.to_ascii_lowercase();
    enclosed('<', '>')
        || enclosed('%', '%')
        || text.contains("{{")
        || text.contains("${")
        || text.contains("$(")
        || FILLED_IN_LATER.contains(&lower.as_str())
        || lower.strip_prefix("your").is_some_and(|it| it.starts_with(['-', '_', ' ', '.']))
}

fn blank(value: &Value, text: &str) -> Diagnostic {
    let message = format!("`{}` was to be filled in", short(text));
    Diagnostic::new(Code::TakenLiterally, value.span, message, "this text is compared as it stands")
        .with_help("write the real name here; a variable of the realm is written `\"[name]\"`")
}

/// A `*` where the operator takes every letter for itself.
fn pattern(comparison: &Comparison, value: &Value, text: &str) -> Option<Diagnostic> {
    if !text.contains('*') || comparison.operator == Operator::Matches {
        return None;
    }
    let operator = comparison.operator.text();
    let message = format!("`{operator}` knows no patterns, and `{}` is one", short(text));
    let error = Diagnostic::new(Code::TakenLiterally, value.span, message, "the `*` stands for itself here");
    let inner = text.trim_matches('*');
    if matches!(comparison.operator, Operator::Equal | Operator::Equals) {
        return Some(if inner.is_empty() {
            error.with_help("no operator asks whether there is any value; name the values, or test for another fact")
        } else {
            let place = comparison.operator_span;
            error.with_help("did you mean `matches`?").with_fix("write `matches`", false, place, "matches")
        });
    }
    let is_affix = matches!(comparison.operator, Operator::BeginsWith | Operator::EndsWith | Operator::Contains);
    if !is_affix || inner.is_empty() || inner.contains('*') {
        return Some(error.with_help("patterns stand at the right of `matches`: `matches \"sre*\"`"));
    }
    let meant = in_place_of(value, inner);
    let error = error.with_help(format!("did you mean `{operator} {}`?", short(&meant)));
    Some(error.with_fix("take the `*` out", false, value.span, meant))
}

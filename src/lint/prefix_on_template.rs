//! `name beginsWith "[name]"`: whoever is called tommy begins with tom, and gets into tom's sandbox.
//!
//! Finds `beginsWith` with a text that ends with a template variable.
//!
//! ## Why it matters
//!
//! `beginsWith` compares letter by letter. Every longer name begins with the shorter one too, and anyone who may choose
//! a name may choose a longer one.
//!
//! ## Example
//!
//! ```policy
//! job::/sandbox/[name] {
//!   if (auth_server@apcera.me->name beginsWith "[name]") { permit read }
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
    lint::{Lint, Report, Set},
    syntax::{
        ast::{Comparison, Operator, Piece},
        vocabulary::RESOURCE_TYPES,
    },
};

pub(super) struct PrefixOnTemplate;

impl Lint for PrefixOnTemplate {
    fn code(&self) -> Code {
        Code::PrefixOnTemplate
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for comparison in view.comparisons.iter().copied() {
                if let Some(variable) = variable_at_end(comparison) {
                    report.push(view.source, diagnose(comparison, variable));
                }
            }
        }
    }
}

/// The variable that a prefix ends with.
pub(super) fn variable_at_end(comparison: &Comparison) -> Option<&str> {
    if comparison.operator != Operator::BeginsWith {
        return None;
    }
    match comparison.values.first()?.pieces.last()? {
        Piece::Variable(name) => Some(&name.text),
        Piece::Text(_) => None,
    }
}

/// Whether a prefix begins as a name or realm does.
pub(super) fn begins_as_name(comparison: &Comparison) -> bool {
    let Some(Piece::Text(text)) = comparison.values.first().and_then(|it| it.pieces.first()) else { return false };
    RESOURCE_TYPES.iter().any(|it| text.strip_prefix(it.name).is_some_and(|rest| rest.starts_with("::/")))
}

fn diagnose(comparison: &Comparison, variable: &str) -> Diagnostic {
    let operator = if begins_as_name(comparison) { "fqnMatch" } else { "==" };
    let span = comparison.span;
    Diagnostic::new(
        Code::PrefixOnTemplate,
        span,
        format!("a longer text begins with `[{variable}]` too: what is `tom`'s is also open to `tommy`"),
        "this holds for every longer text",
    )
    .with_label(comparison.operator_span, format!("`{operator}` compares the whole"))
    .with_fix(format!("write `{operator}`"), false, comparison.operator_span, operator)
}

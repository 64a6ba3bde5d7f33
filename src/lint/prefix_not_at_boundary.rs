//! `job beginsWith "job::/prod"`: `job::/production` begins with it as well.
//!
//! Finds `beginsWith` with the beginning of a resource's name that does not end with `/` or `::`.
//!
//! ## Why it matters
//!
//! Names are made of segments, but `beginsWith` compares letter by letter. `fqnMatch` compares whole segments.
//!
//! ## Example
//!
//! ```policy
//! job::/apcera {
//!   if (auth_server@apcera.me->name beginsWith "job::/prod/robot") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/apcera {
//!   if (auth_server@apcera.me->name fqnMatch "job::/prod::robot") { permit read }
//! }
//! ```

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        prefix_on_template::{begins_as_name, variable_at_end},
    },
    syntax::ast::{Comparison, Operator, Piece},
};

pub(super) struct PrefixNotAtBoundary;

impl Lint for PrefixNotAtBoundary {
    fn code(&self) -> Code {
        Code::PrefixNotAtBoundary
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        for view in set.views() {
            for comparison in view.comparisons.iter().copied() {
                if is_within_segment(comparison) {
                    report.push(view.source, diagnose(comparison));
                }
            }
        }
    }
}

fn is_within_segment(comparison: &Comparison) -> bool {
    // That a prefix ends with a variable is what `prefix-on-template` says.
    if comparison.operator != Operator::BeginsWith || variable_at_end(comparison).is_some() {
        return false;
    }
    let Some(Piece::Text(end)) = comparison.values.first().and_then(|it| it.pieces.last()) else { return false };
    begins_as_name(comparison) && !end.ends_with('/') && !end.ends_with("::")
}

fn diagnose(comparison: &Comparison) -> Diagnostic {
    let end = match comparison.values.first().and_then(|it| it.pieces.last()) {
        Some(Piece::Text(text)) => text.rsplit(['/', ':']).next().unwrap_or_default(),
        Some(Piece::Variable(_)) | None => "",
    };
    let value = comparison.values.first().map_or(comparison.span, |it| it.span);
    Diagnostic::new(
        Code::PrefixNotAtBoundary,
        value,
        format!("this prefix ends within a segment: `{0}` is also the beginning of `{0}-2`", short(end)),
        "names are compared letter by letter here",
    )
    .with_label(comparison.operator_span, "`fqnMatch` compares whole segments")
    .with_fix("write `fqnMatch`", false, comparison.operator_span, "fqnMatch")
}

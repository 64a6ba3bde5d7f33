//! `// allow: CODE` without a reason, or where there is nothing to allow.
//!
//! Finds comments `// allow: ...` that silence nothing: because they name no lint, give no reason, or because the lint that
//! they name finds nothing on their line or in the item below.
//!
//! ## Why it matters
//!
//! Such a comment looks like a decision that someone took. Without a reason nobody can tell whether it still holds; and one
//! that is left over will silence the next finding, which nobody has thought about.
//!
//! ## Example
//!
//! ```policy
//! job::/prod {
//!   // allow: unconditional-grant everyone may look
//!   if (LDAP->group == "staff") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod {
//!   // allow: unconditional-grant everyone may look
//!   { permit read }
//! }
//! ```
//!
//! Several rules are named with commas: `// allow: W0103, W0109 reason`.

use std::collections::BTreeMap;

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        allow::{Allowance, allowances, lint_called},
    },
    source::Span,
    syntax::suggest::closest,
};

pub(super) struct PointlessAllow;

impl Lint for PointlessAllow {
    fn code(&self) -> Code {
        Code::PointlessAllow
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let found = Found::of(set, report);
        for (at, (source, parse)) in set.documents.iter().enumerate().take(set.given) {
            for allowance in allowances(source, parse) {
                for diagnostic in check(set, &found, at, &allowance) {
                    report.push(at, diagnostic);
                }
            }
        }
    }
}

/// The lines on which each rule found something in each document, ascending.
struct Found(BTreeMap<(usize, Code), Vec<usize>>);

impl Found {
    fn of(set: &Set<'_>, report: &Report) -> Self {
        let mut lines: BTreeMap<(usize, Code), Vec<usize>> = BTreeMap::new();
        for finding in &report.findings {
            let Some((source, _)) = set.documents.get(finding.source) else { continue };
            let line = source.line(finding.diagnostic.span.start);
            lines.entry((finding.source, finding.diagnostic.code)).or_default().push(line);
        }
        for lines in lines.values_mut() {
            lines.sort_unstable();
        }
        Self(lines)
    }

    fn in_lines_of(&self, source: usize, code: Code, allowance: &Allowance<'_>) -> bool {
        self.0.get(&(source, code)).is_some_and(|lines| allowance.covers_some(lines))
    }
}

fn check(set: &Set<'_>, found: &Found, source: usize, allowance: &Allowance<'_>) -> Vec<Diagnostic> {
    if allowance.rules.is_empty() {
        let label = "allows what?";
        let error = Diagnostic::new(Code::PointlessAllow, allowance.comment, "this comment names no rule", label);
        return vec![error.with_help("write `// allow: CODE reason` with the code that the report shows")];
    }
    if !allowance.has_reason {
        let message = "this comment gives no reason, so it silences nothing";
        let error = Diagnostic::new(Code::PointlessAllow, allowance.comment, message, "why is it good as it is?");
        return vec![error.with_help("write the reason behind the code: `// allow: CODE reason`")];
    }
    let rules = allowance.rules.iter();
    let diagnoses = rules.filter_map(|(rule, span)| match lint_called(rule) {
        None => Some(unknown(rule, *span)),
        Some(Code::PointlessAllow) => None,
        // What was not read may be what it speaks of.
        Some(code) if !set.complete || found.in_lines_of(source, code, allowance) => None,
        Some(code) => Some(silences_nothing(code, *span)),
    });
    diagnoses.collect()
}

fn silences_nothing(code: Code, span: Span) -> Diagnostic {
    let message = format!("`{}` finds nothing here", code.name());
    Diagnostic::new(Code::PointlessAllow, span, message, "there is nothing to allow")
        .with_help("remove it; it covers its own line, or if it stands alone, the item below it")
}

fn unknown(rule: &str, span: Span) -> Diagnostic {
    let known = Code::ALL.iter().find(|it| it.code() == rule || it.name() == rule);
    if let Some(code) = known {
        let message = format!("`{}` cannot be allowed", code.name());
        return Diagnostic::new(Code::PointlessAllow, span, message, "only lints can be")
            .with_help("mend what it finds: the document cannot stay as it is");
    }
    let error =
        Diagnostic::new(Code::PointlessAllow, span, format!("there is no rule `{}`", short(rule)), "allows nothing");
    let names = Code::ALL.iter().filter(|it| it.is_lint()).flat_map(|it| [it.code(), it.name()]);
    match closest(rule, names) {
        Some(near) => {
            error.with_help(format!("did you mean `{near}`?")).with_fix(format!("write `{near}`"), false, span, near)
        }
        None => error.with_help("a report names the code and the rule of each finding"),
    }
}

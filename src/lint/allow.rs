//! Findings that their author has thought about: `// allow: CODE reason`.

use std::collections::BTreeSet;

use crate::{compile::Finding, lint::Set, source::Source, syntax::Parse};

/// The findings that no comment on their line, or alone on the line above, silences.
pub(super) fn without_allowed(set: &Set<'_>, mut findings: Vec<Finding>) -> Vec<Finding> {
    let allowed: Vec<BTreeSet<(usize, &str)>> =
        set.documents.iter().take(set.given).map(|(source, parse)| allowances(source, parse)).collect();
    findings.retain(|finding| {
        let Some(((source, _), allowed)) = set.documents.get(finding.source).zip(allowed.get(finding.source)) else {
            return true;
        };
        let line = source.line(finding.diagnostic.span.start);
        let code = finding.diagnostic.code;
        !allowed.contains(&(line, code.code())) && !allowed.contains(&(line, code.name()))
    });
    findings
}

/// Lines, and the code or name that may be found on each.
fn allowances<'a>(source: &'a Source, parse: &Parse) -> BTreeSet<(usize, &'a str)> {
    let mut allowed = BTreeSet::new();
    for comment in &parse.comments {
        let text = source.slice(*comment).trim_start_matches('/').trim_start();
        let Some(rest) = text.strip_prefix("allow:") else { continue };
        // Without a reason nobody can tell later whether it still holds, so it does not hold.
        let Some((rule, reason)) = rest.trim_start().split_once(char::is_whitespace) else { continue };
        if reason.trim().is_empty() {
            continue;
        }
        let line = source.line(comment.start);
        allowed.insert((line, rule));
        if source.is_first_on_line(comment.start) {
            allowed.insert((line.saturating_add(1), rule));
        }
    }
    allowed
}

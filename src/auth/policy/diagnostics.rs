//! Findings of the compiler as a client of `PUT /policy` reads them.

use crate::{compile::Finding, limits::DIAGNOSTICS_SHOWN_MAX, source::Source, wire::policy::DiagnosticJson};

/// Errors of the documents that the caller wrote. Of the others nothing is told: they may not be the caller's to read.
pub(in crate::auth) fn of_findings(sources: &[Source], findings: &[Finding], own: &[String]) -> Vec<DiagnosticJson> {
    let mut told = Vec::new();
    for finding in findings.iter().filter(|it| it.diagnostic.is_error()) {
        let Some(source) = sources.get(finding.source) else { continue };
        if own.iter().any(|it| it == source.document()) && told.len() < DIAGNOSTICS_SHOWN_MAX {
            told.push(DiagnosticJson::new(source, &finding.diagnostic));
        }
    }
    told
}

//! Findings of the compiler as a client of `PUT /policy` reads them.

use crate::{
    compile::Finding,
    diagnostic::{Diagnostic, Severity},
    limits::DIAGNOSTICS_SHOWN_MAX,
    source::{Source, Span},
    wire::policy::{DiagnosticJson, EditJson, FixJson, LabelJson, Place},
};

/// Errors of the documents that the caller wrote. Of the others nothing is told: they may not be the caller's to read.
pub(in crate::auth) fn of_findings(sources: &[Source], findings: &[Finding], own: &[String]) -> Vec<DiagnosticJson> {
    let mut told = Vec::new();
    for finding in findings.iter().filter(|it| it.diagnostic.is_error()) {
        let Some(source) = sources.get(finding.source) else { continue };
        if own.iter().any(|it| it == source.document()) && told.len() < DIAGNOSTICS_SHOWN_MAX {
            told.push(json(source, &finding.diagnostic));
        }
    }
    told
}

/// One diagnostic in the shape of `cli-contract`.
pub(in crate::auth) fn json(source: &Source, diagnostic: &Diagnostic) -> DiagnosticJson {
    let severity = match diagnostic.code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let label = |span: Span, message: &str| LabelJson {
        start: place(source, span.start),
        end: place(source, span.end),
        message: message.to_owned(),
    };
    let edit = |span: Span, text: &str| EditJson {
        start: place(source, span.start),
        end: place(source, span.end),
        text: text.to_owned(),
    };
    DiagnosticJson {
        code: diagnostic.code.code().to_owned(),
        name: diagnostic.code.name().to_owned(),
        severity: severity.to_owned(),
        file: source.name().to_owned(),
        start: place(source, diagnostic.span.start),
        end: place(source, diagnostic.span.end),
        message: diagnostic.message.clone(),
        label: diagnostic.label.clone(),
        labels: diagnostic.secondary.iter().map(|it| label(it.span, &it.message)).collect(),
        help: diagnostic.help.clone(),
        fixes: diagnostic
            .fixes
            .iter()
            .map(|fix| FixJson {
                title: fix.title.clone(),
                safe: fix.safe,
                edits: fix.edits.iter().map(|it| edit(it.span, &it.text)).collect(),
            })
            .collect(),
    }
}

fn place(source: &Source, offset: usize) -> Place {
    let location = source.location(offset);
    Place { line: location.line, column: location.column, offset: location.offset }
}

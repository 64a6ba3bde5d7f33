//! Diagnostics in the shape that programs read.

use crate::{
    diagnostic::{Diagnostic, Severity},
    source::{Source, Span},
    wire::policy::{DiagnosticJson, EditJson, FixJson, LabelJson, Place},
};

impl DiagnosticJson {
    /// A finding with its places as lines, columns and offsets of the document.
    pub fn new(source: &Source, diagnostic: &Diagnostic) -> Self {
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
        Self {
            code: diagnostic.code.code().to_owned(),
            name: diagnostic.code.name().to_owned(),
            severity: severity(diagnostic.severity).to_owned(),
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
}

/// `error`, `warning` or `note`.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn place(source: &Source, offset: usize) -> Place {
    let location = source.location(offset);
    Place { line: location.line, column: location.column, offset: location.offset }
}

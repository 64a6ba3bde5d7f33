//! Diagnostics as a person reads them: the only file that knows ariadne.

use std::io;

use ariadne::{Config, IndexType, Label, Report, ReportKind};

use crate::{
    diagnostic::{Diagnostic, Severity},
    source::Source,
};

/// Whether a report carries terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Colours, for a terminal.
    Ansi,
    /// None, for a file, a pipe, or a test.
    Plain,
}

/// Writes one report per diagnostic, in the order given.
pub fn write(out: &mut impl io::Write, source: &Source, diagnostics: &[Diagnostic], color: Color) -> io::Result<()> {
    // Our spans count bytes; ariadne counts characters unless told otherwise.
    let config = Config::default().with_index_type(IndexType::Byte).with_color(color == Color::Ansi);
    for diagnostic in diagnostics {
        let kind = match diagnostic.code.severity() {
            Severity::Error => ReportKind::Error,
            Severity::Warning => ReportKind::Warning,
            Severity::Note => ReportKind::Advice,
        };
        let place = (source.name(), diagnostic.span.range());
        let mut report = Report::build(kind, place.clone())
            .with_config(config)
            .with_code(diagnostic.code)
            .with_message(&diagnostic.message)
            .with_label(Label::new(place).with_message(&diagnostic.label));
        if let Some(help) = &diagnostic.help {
            report = report.with_help(help);
        }
        let cache = (source.name(), ariadne::Source::from(source.text()));
        report.finish().write(cache, &mut *out)?;
    }
    Ok(())
}

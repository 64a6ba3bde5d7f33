//! Diagnostics as a person reads them: the only file that knows ariadne.

use std::{fmt::Write as _, io, ops::Range};

use ariadne::{Color as Ink, Config, IndexType, Label, Report, ReportKind};

use crate::{
    diagnostic::{Diagnostic, Severity, excerpt::Excerpt, printable::is_hidden},
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

/// Stands for name and place of the document until they are known better than ariadne can know them.
const PLACE: &str = "\u{F8FF}";

/// Writes one report per diagnostic, in the order given, with an empty line between two.
///
/// Whatever the document or its name holds, nothing but the colours of the report itself reaches the terminal as a
/// control sequence, and no line of it is long.
pub fn write(out: &mut impl io::Write, source: &Source, diagnostics: &[Diagnostic], color: Color) -> io::Result<()> {
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let drawn = draw(source, diagnostic, color)?;
        let start = source.location(diagnostic.span.start);
        let place = format!("{}:{}:{}", visible(source.name()), start.line, start.column);
        for line in drawn.lines() {
            writeln!(out, "{}", with_place(line, &place).trim_end())?;
        }
    }
    Ok(())
}

fn draw(source: &Source, diagnostic: &Diagnostic, color: Color) -> io::Result<String> {
    // Our spans count bytes; ariadne counts characters unless told otherwise.
    let config = Config::default().with_index_type(IndexType::Byte).with_color(color == Color::Ansi);
    let (kind, ink) = match diagnostic.severity {
        Severity::Error => (ReportKind::Error, Ink::Red),
        Severity::Warning => (ReportKind::Warning, Ink::Yellow),
        Severity::Note => (ReportKind::Advice, Ink::Fixed(147)),
    };
    let excerpt = Excerpt::new(source, diagnostic);
    let label = |range: Range<usize>, line: usize, message: &str, rank: usize, ink: Ink| {
        // ariadne begins another picture where a label stands on an earlier line than the one ordered before it.
        let order = i32::try_from(line.saturating_mul(2).saturating_add(rank)).unwrap_or(i32::MAX);
        Label::new((PLACE, range)).with_message(visible(message)).with_order(order).with_color(ink)
    };
    let line = source.line(diagnostic.span.start);
    let mut report = Report::build(kind, (PLACE, excerpt.primary()))
        .with_config(config)
        .with_code(diagnostic.code)
        .with_message(visible(&diagnostic.message))
        .with_label(label(excerpt.primary(), line, &diagnostic.label, 0, ink));
    for (range, line, message) in excerpt.secondary() {
        report = report.with_label(label(range, line, message, 1, Ink::Blue));
    }
    for (line, message) in excerpt.elsewhere() {
        report = report.with_note(format!("line {line}: {}", visible(message)));
    }
    if let Some(help) = &diagnostic.help {
        report = report.with_help(visible(help));
    }
    let mut drawn = Vec::new();
    let cache = (PLACE, ariadne::Source::from(excerpt.text()));
    report.finish().write(cache, &mut drawn)?;
    Ok(String::from_utf8_lossy(&drawn).into_owned())
}

/// Puts the place where ariadne wrote the one that it saw in the excerpt.
fn with_place(line: &str, place: &str) -> String {
    match line.split_once(PLACE) {
        Some((before, behind)) => {
            let rest = behind.trim_start_matches(|c: char| c == ':' || c == '?' || c.is_ascii_digit());
            format!("{before}{place}{rest}")
        }
        None => line.to_owned(),
    }
}

/// Text with what a terminal would obey or an eye would not see written as `\u{...}`.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) || c == PLACE.chars().next().unwrap_or(c) {
            // Writing to a string does not fail.
            let _written = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

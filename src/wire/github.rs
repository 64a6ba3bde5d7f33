//! Findings as annotations of a GitHub workflow (GitHub, "Workflow commands": `::error file=…::message`).

use std::fmt::Write as _;

use crate::{
    diagnostic::{Diagnostic, Severity, printable::Printable},
    source::Source,
};

/// One finding as one line.
///
/// ```
/// use gatehouse::{source::Source, syntax::parse, wire::github::annotation};
///
/// let source = Source::new("a.pol", b"jobs::/ { permit ssh }".to_vec())?;
/// let found = parse(&source).diagnostics;
/// assert!(annotation(&source, &found[0]).starts_with("::error file=a.pol,line=1,col=1,endLine=1,endColumn=4,title=E0201"));
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn annotation(source: &Source, diagnostic: &Diagnostic) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let (start, end) = (source.location(diagnostic.span.start), source.location(diagnostic.span.end));
    let mut place = format!("file={},line={},col={}", property(source.name()), start.line, start.column);
    // GitHub shows columns within one line only, and counts the last one in.
    if end.line == start.line {
        let last = end.column.saturating_sub(1).max(start.column);
        // Writing to a string does not fail.
        let _written = write!(place, ",endLine={},endColumn={last}", end.line);
    }
    let title = property(&format!("{} {}", diagnostic.code.code(), diagnostic.code.name()));
    let mut message = diagnostic.message.clone();
    for more in [Some(&diagnostic.label), diagnostic.help.as_ref()].into_iter().flatten() {
        message.push('\n');
        message.push_str(more);
    }
    format!("::{command} {place},title={title}::{}", data(&message))
}

/// A message: what would end the line, or begin an escape, is escaped.
fn data(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(|it| Printable(it).to_string().replace('%', "%25")).collect();
    lines.join("%0A")
}

/// The value of a property, which a `,` or `:` would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use crate::{
        diagnostic::{Code, Diagnostic},
        source::{Source, Span},
        wire::github::annotation,
    };

    #[test]
    fn no_text_of_a_document_begins_another_command() {
        let source = Source::new("a,b:c%\n::set-output.pol", b"x\ny".to_vec()).unwrap();
        let found = Diagnostic::new(Code::UnexpectedToken, Span::new(0, 3), "100 %\r::error::", "l\u{1b}")
            .with_help("two\nlines");
        let line = annotation(&source, &found);
        assert!(line.starts_with("::error file=a%2Cb%3Ac%25%0A%3A%3Aset-output.pol,line=1,col=1,title="), "{line}");
        assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line}");
        assert!(line.ends_with("%0Atwo%0Alines"), "{line}");
    }
}

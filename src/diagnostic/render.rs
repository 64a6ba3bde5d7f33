//! Diagnostics as a person reads them: the only file that knows ariadne.

use std::{fmt::Write as _, io};

use ariadne::{Config, IndexType, Label, Report, ReportKind};

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
    let kind = match diagnostic.code.severity() {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
        Severity::Note => ReportKind::Advice,
    };
    let excerpt = Excerpt::new(source, diagnostic);
    let mut report = Report::build(kind, (PLACE, excerpt.primary()))
        .with_config(config)
        .with_code(diagnostic.code)
        .with_message(visible(&diagnostic.message))
        .with_label(Label::new((PLACE, excerpt.primary())).with_message(visible(&diagnostic.label)));
    for (range, message) in excerpt.secondary() {
        report = report.with_label(Label::new((PLACE, range)).with_message(visible(message)).with_order(1));
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
pub(super) fn visible(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use crate::{
        diagnostic::render::{Color, write},
        source::Source,
        syntax::parse,
    };

    fn report(name: &str, text: &str, color: Color) -> String {
        let source = Source::new(name, text.into()).unwrap();
        let mut out = Vec::new();
        write(&mut out, &source, &parse(&source).diagnostics, color).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_of_the_document_controls_the_terminal() {
        let text = "job::/\u{1b}]0;owned\u{7} { permit \u{9b}31m \"\u{202e}x\" }\njobs::/\u{2028} { }";
        let plain = report("a\u{1b}[2J.pol", text, Color::Plain);
        assert!(plain.contains("a\\u{1b}[2J.pol:1:"), "{plain}");
        assert!(plain.chars().all(|c| c == '\n' || !super::is_hidden(c)), "{plain:?}");
    }

    #[test]
    fn no_line_has_trailing_blanks_and_places_are_those_of_the_document() {
        let plain = report("a.pol", "\tjob::/a { permit read create }\n\n  x y = z", Color::Plain);
        assert!(plain.lines().all(|line| line.trim_end() == line));
        assert!(plain.contains("a.pol:1:23"), "{plain}");
        assert!(plain.contains("a.pol:3:3"), "{plain}");
    }

    #[test]
    fn a_long_line_is_shown_around_the_mistake() {
        let text = format!("job::/{} {{ permit read create }}", "é".repeat(1_000));
        let plain = report("a.pol", &text, Color::Plain);
        assert!(plain.contains("a.pol:1:1021"), "{plain}");
        assert!(plain.contains("read create") && plain.len() < 4_000, "{plain}");
    }

    #[test]
    fn colour_is_there_when_wanted_and_only_then() {
        assert!(!report("a.pol", "x", Color::Plain).contains('\u{1b}'));
        assert!(report("a.pol", "x", Color::Ansi).contains('\u{1b}'));
    }
}

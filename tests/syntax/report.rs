//! Reports as a terminal gets them.

use gatehouse::{
    diagnostic::{
        printable::is_hidden,
        render::{self, Color},
    },
    source::Source,
    syntax::parse,
};

fn report(name: &str, text: &str, color: Color) -> String {
    let source = Source::new(name, text.into()).unwrap();
    let mut out = Vec::new();
    render::write(&mut out, &source, &parse(&source).diagnostics, color).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_of_the_document_controls_the_terminal() {
    let text = "job::/\u{1b}]0;owned\u{7} { permit \u{9b}31m \"\u{202e}x\" }\njobs::/\u{2028} { }";
    let plain = report("a\u{1b}[2J.pol", text, Color::Plain);
    assert!(plain.contains("a\\u{1b}[2J.pol:1:"), "{plain}");
    assert!(plain.chars().all(|c| c == '\n' || !is_hidden(c)), "{plain:?}");
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

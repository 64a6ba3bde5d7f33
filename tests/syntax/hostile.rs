//! Text made to hurt: nothing panics, hangs, overflows the stack or is read as something that it is not.

use std::time::{Duration, Instant};

use gatehouse::{
    diagnostic::render::{self, Color},
    limits::{DIAGNOSTICS_SHOWN_MAX, DOCUMENT_BYTES_MAX, NESTING_MAX},
    source::Source,
    syntax::{Parse, parse},
};
use proptest::prelude::*;

/// Reads a document, draws what was found, and checks what holds of any document.
fn survive(text: &str) -> Parse {
    let source = Source::new("hostile.pol", text.into()).unwrap();
    let parse = parse(&source);
    assert!(parse.diagnostics.len() <= DIAGNOSTICS_SHOWN_MAX);
    for diagnostic in &parse.diagnostics {
        let edits = diagnostic.fixes.iter().flat_map(|it| &it.edits).map(|it| it.span);
        let places = diagnostic.secondary.iter().map(|it| it.span);
        for span in edits.chain(places).chain([diagnostic.span]) {
            assert!(text.get(span.range()).is_some(), "{diagnostic:?}");
        }
        assert!(!diagnostic.message.ends_with('.') && diagnostic.message.len() < 1_000, "{diagnostic:?}");
    }
    let mut out = Vec::new();
    render::write(&mut out, &source, &parse.diagnostics, Color::Plain).unwrap();
    parse
}

/// What `before` and `behind` leave free of a document, filled with `unit`.
fn filled(before: &str, unit: &str, behind: &str) -> String {
    let free = DOCUMENT_BYTES_MAX - before.len() - behind.len();
    format!("{before}{}{behind}", unit.repeat(free / unit.len()))
}

#[test]
fn half_a_megabyte_of_anything_is_read_in_time() {
    let in_condition = "job::/ { if (";
    let cases = [
        ("", "{", ""),
        ("job::/ ", "{", ""),
        ("", "}", ""),
        (in_condition, "(", ""),
        ("", "[", ""),
        ("", "[a", ""),
        ("job::/ { label \"", "[", "\" }"),
        ("", "\"", ""),
        ("", "\"a\n", ""),
        ("", "//", ""),
        ("", "/* ", ""),
        ("", "a", ""),
        ("job::/ { label \"", "a", "\" }"),
        ("", "\n", ""),
        ("", "\r", ""),
        ("", "\rx", ""),
        ("", "\u{1} ", ""),
        ("", "\u{200b}", ""),
        ("", "\u{2028}x", ""),
        ("", "“a” ", ""),
        ("", "' ", ""),
        ("", "<a ", ""),
        ("", "{a", ""),
        ("", "; ", ""),
        ("", "#\n", ""),
        ("", "//\u{202e}\n", ""),
        ("", "e\u{301} ", ""),
        ("", "-> ", ""),
        ("", "on ", ""),
        ("", "else ", ""),
        ("", "https://x ", ""),
        ("", "$a ", ""),
        ("", "<continuum-policy ", ""),
        (in_condition, "!", ""),
        (in_condition, "not ", ""),
        (in_condition, "a==b||", "a==b) { permit read } }"),
        (in_condition, "a==b&&", "a==b) { permit read } }"),
        ("job::/ { if (a in (", "a,", "a)) { permit read } }"),
        ("job::/ { ", "if(a==b){", ""),
        ("job::/ { ", "if (a == b) { permit read }\n", "}"),
        ("job::/ { ", "\t{", ""),
        ("", "job::/ { { permit read } }\n", ""),
        ("", "job::/a {\n", ""),
        ("", "job::/ { if (a == ) { permit } }\n", ""),
        ("job::/ {", "{{{{{{{{}}}}}}}}\n", ""),
        ("job::/ { label ", "a,", "a }"),
        ("job::/ { label a", ",", ""),
        ("job::/ { permit a ", "create ", ""),
        ("job::/ { label \"", "\\n", "\" }"),
        ("job::/", "a/", "b { }"),
        ("job::/", "}\n{", ""),
    ];
    for (before, unit, behind) in cases {
        let text = filled(before, unit, behind);
        let start = Instant::now();
        survive(&text);
        // Quadratic time would be hours; this is what an unoptimised build on a busy machine takes, many times over.
        assert!(start.elapsed() < Duration::from_mins(1), "{before} {unit:?}");
    }
}

#[test]
fn more_text_takes_in_proportion_more_time() {
    // A unit for each place that looks ahead or back: indentation, quotes of a line, comments, braces.
    for unit in ["    }\n", "\"x ", "/* ", "job::/a b c d\n", "{ ", "if (a == \n", "[a ", "'x ", "<x y "] {
        let time = |count: usize| {
            let text = unit.repeat(count);
            (0..3)
                .map(|_| {
                    let start = Instant::now();
                    survive(&text);
                    start.elapsed()
                })
                .min()
                .unwrap()
        };
        let (few, many) = (time(500), time(32_000));
        // 64 times the text: linear is 64, quadratic 4,096; the rest is for a busy machine.
        assert!(many < few * 640 + Duration::from_millis(500), "{unit:?}: {few:?}, then {many:?}");
    }
}

#[test]
fn the_deepest_document_needs_little_stack() {
    // What a release build has to keep to; without optimisation each level takes several times as much.
    let stack = if cfg!(debug_assertions) { 512 * 1024 } else { 64 * 1024 };
    let rules = format!("job::/ {{ {} permit read {} }}", "if (a == b) {".repeat(NESTING_MAX), "}".repeat(NESTING_MAX));
    let groups =
        format!("job::/ {{ if ({}a == b{}) {{ permit read }} }}", "(".repeat(NESTING_MAX), ")".repeat(NESTING_MAX));
    let over = filled("job::/ { ", "{", "");
    for text in [rules, groups, over] {
        let reader = move || {
            let source = Source::new("deep.pol", text.into()).unwrap();
            let parse = parse(&source);
            // Copying, comparing and dropping walk the tree too.
            parse.clone() == parse
        };
        assert!(std::thread::Builder::new().stack_size(stack).spawn(reader).unwrap().join().unwrap());
    }
}

const GOOD: &str = "<continuum-policy description=\"x\">\n// c\non job::/sandbox/[name]::* {\n  if (auth_server@apcera.me->name == \
                    \"[name]\" && (role == a || x in (b, \"c\"))) {\n    permit read, create\n    label Google->email, \"\\\"é\"\n  \
                    } { role u }\n}\n";

#[test]
fn every_prefix_of_a_document_is_survived() {
    for end in (0..=GOOD.len()).filter(|&it| GOOD.is_char_boundary(it)) {
        survive(&GOOD[..end]);
    }
}

#[test]
fn every_byte_deleted_doubled_or_changed_is_survived() {
    for (at, c) in GOOD.char_indices() {
        let (before, behind) = (&GOOD[..at], &GOOD[at + c.len_utf8()..]);
        survive(&format!("{before}{behind}"));
        survive(&format!("{before}{c}{c}{behind}"));
        for other in ["{", "}", "(", ")", "\"", "[", ",", "/", "\\", "-", "<", "\n", "\r", "\0", "\u{202e}", "“", "é"]
        {
            survive(&format!("{before}{other}{behind}"));
        }
    }
}

#[test]
fn look_alikes_are_not_the_same_word() {
    // Cyrillic а, full-width letters: letters, so words, but other words; a realm of another type is none.
    assert!(!survive("jоb::/ { permit read }").is_usable());
    assert!(!survive("ｊｏｂ::/ { permit read }").is_usable());
    for text in
        ["job::/s\u{200d}andbox { permit read }", "job::/a { permit s\u{200b}sh }", "job::/a\u{2060} { permit ssh }"]
    {
        assert!(!survive(text).is_usable(), "{text:?}");
    }
    assert!(survive("job::/sаndbox { permit read }").is_usable());
}

#[test]
fn spaces_and_line_ends_of_other_kinds_are_told() {
    for c in [
        '\u{a0}', '\u{1680}', '\u{2003}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{3000}', '\u{b}', '\u{c}', '\u{85}',
        '\0', '\u{7f}',
    ] {
        assert!(!survive(&format!("job::/a {{{c}permit ssh }}")).is_usable(), "{c:?}");
    }
    for text in ["", "// only a comment", "job::/a { permit ssh }\r\n", "job::/a { permit ssh }"] {
        assert!(survive(text).is_usable());
    }
}

#[test]
fn bidi_controls_are_told_in_comments_too() {
    for c in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars() {
        assert!(!survive(&format!("job::/a {{ permit ssh }} // {c}")).is_usable(), "{c:?}");
        assert!(!survive(&format!("job::/a {{ label \"{c}\" }}")).is_usable(), "{c:?}");
    }
    assert!(survive("job::/a { permit ssh } // a\u{200b}b\u{a0}c “x” \u{1}").is_usable());
    assert!(!survive("// a\rjob::/a { permit ssh }").is_usable());
}

#[test]
fn names_that_mean_something_elsewhere_are_only_text() {
    for name in ["%2f", "root", "-1", "4294967295", "ROOT", "tom.", "...", "a.b"] {
        let usable = survive(&format!("job::/sandbox/{name} {{ permit ssh }}")).is_usable();
        assert_eq!(usable, !name.contains('%'), "{name}");
    }
    for realm in [
        "job::/.",
        "job::/..",
        "job::/a/../b",
        "job::/a//b",
        "job:::/a",
        "job::/*",
        "job::/a::*/b",
        "job::/[",
        "job::/]",
        "job::/a\\b",
    ] {
        assert!(!survive(&format!("{realm} {{ permit ssh }}")).is_usable(), "{realm}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "job::/",
        "on",
        "if",
        "else",
        "(",
        ")",
        "{",
        "}",
        ",",
        "->",
        "==",
        "=",
        "!",
        "!=",
        "&&",
        "&",
        "||",
        "and",
        "in",
        "permit",
        "role",
        "read",
        "create",
        "a",
        "\"",
        "\"a\"",
        "[n]",
        "[",
        "]",
        "\\",
        "“",
        "”",
        "'",
        "//",
        "/*",
        "*/",
        "#",
        ";",
        "\n",
        "\r",
        " ",
        "<USER>",
        "{x}",
        "<continuum-policy>",
        "é",
        "e\u{301}",
        "\u{200b}",
        "\u{a0}",
        "\u{202e}",
        "\0",
        "::",
        "/",
        "*",
        "fqnMatch",
        "inCidr",
        "<",
        "07",
        "job::/[n]/x",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn any_words_of_the_language_are_survived(text in pieces()) {
        let first = survive(&text);
        prop_assert_eq!(first, survive(&text));
    }
}

//! The list of hostile documents: each gets an answer, whatever it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use gatehouse::{
    limits::{DOCUMENT_BYTES_MAX, NESTING_MAX, SLIP_ERRORS_MAX, SLIP_TEXT_BYTES_MAX},
    source::SourceError,
};

use crate::pipeline::{Answer, answer, guarded, survive, within_bounds};

/// One document.
fn one(name: &str, text: impl Into<Vec<u8>>) -> Answer {
    survive(name, vec![text.into()]).0
}

/// `before`, as many `unit` as fit, `behind`.
fn filled(before: &str, unit: &str, behind: &str) -> String {
    let free = DOCUMENT_BYTES_MAX - before.len() - behind.len();
    format!("{before}{}{behind}", unit.repeat(free / unit.len()))
}

#[test]
fn nothing_and_nearly_nothing_are_sets() {
    for text in ["", "\n", " ", "// only a comment", "// with its end\n", "// one\n\n// two"] {
        assert_eq!(one("nothing", text), Answer::Set, "{text:?}");
    }
}

#[test]
fn half_a_megabyte_of_one_thing_is_answered() {
    for unit in ["{", "(", "[", "\"", "\\", "}", ")", "]", ",", "a b ", "if(", "|| ", "\u{202e}", "\0", "é"] {
        assert!(matches!(one(unit.trim(), filled("", unit, "")), Answer::Errors(_)), "{unit:?}");
    }
    // Each would look at the rest of its line, or at all blanks before it.
    for unit in ["in [", "x:// ", "a in [b "] {
        assert!(matches!(one(unit, filled("", unit, "")), Answer::Errors(_)), "{unit:?}");
    }
    let blanks = " ".repeat(DOCUMENT_BYTES_MAX / 2);
    for unit in ["job::/a { { ", "job::/a { }} ", "job::/a { x y } z w } "] {
        assert!(matches!(one(unit, filled(&blanks, unit, "")), Answer::Errors(_)), "{unit:?}");
    }
    assert_eq!(one("comments", filled("", "//", "")), Answer::Set);
    assert_eq!(one("comment lines", filled("", "//\n", "")), Answer::Set);
    assert_eq!(one("lines", filled("", "\n", "")), Answer::Set);
    assert!(matches!(one("identifier", filled("", "a", "")), Answer::Errors(_)));
    assert_eq!(one("string", filled("job::/ { { label \"", "a", "\" } }")), Answer::Set);
    assert_eq!(one("rules", filled("job::/ {\n", "if (a == b) { permit read }\n", "}")), Answer::Set);
    assert_eq!(one("policies", filled("", "job::/a { { permit read } }\n", "")), Answer::Set);
    let values = filled("job::/ { if (a == b) { permit ", "ssh, ", "read } }");
    assert!(matches!(one("values", values), Answer::Errors(_)));
}

/// As many as are looked for, in a document as large and as bad to look through as can be.
#[test]
fn slips_are_looked_for_in_bounded_time() {
    let slips = "job::/a { if a(b == c) { permit read } } ".repeat(SLIP_ERRORS_MAX / 2);
    for (name, unit) in [("one line", "job::/a { { permit read } } "), ("lines", "job::/a { { permit read } }\n")] {
        assert!(matches!(one(name, filled(&slips, unit, "")), Answer::Errors(_)));
        assert!(matches!(one(name, filled("", unit, &slips)), Answer::Errors(_)));
    }
    let long = format!("job::/a {{ if a(b == {}) {{ permit read }} }}", "c".repeat(SLIP_TEXT_BYTES_MAX));
    assert!(matches!(one("long", long.repeat(SLIP_ERRORS_MAX / 2)), Answer::Errors(_)));
}

#[test]
fn what_is_too_large_is_one_answer() {
    let bytes = 1_000_000;
    assert_eq!(one("a million", "(".repeat(bytes)), Answer::Refused(SourceError::TooLarge { bytes }));
}

#[test]
fn depth_is_counted_and_never_felt() {
    for depth in [1, 32, 63, 64, 65, 100, 10_000, 100_000] {
        let is_set = depth <= NESTING_MAX;
        let documents = [
            format!("job::/ {{ if ({}a == b{}) {{ permit read }} }}", "(".repeat(depth), ")".repeat(depth)),
            format!("job::/ {{ {} permit read {} }}", "{".repeat(depth), "}".repeat(depth)),
            format!("job::/ {{ {} permit read {} }}", "if(a==1){".repeat(depth), "}".repeat(depth)),
        ];
        for text in documents {
            if text.len() > DOCUMENT_BYTES_MAX {
                continue;
            }
            assert_eq!(one(&format!("depth {depth}"), text.clone()) == Answer::Set, is_set, "{depth} {}", &text[..40]);
        }
        // Never closed.
        for unit in ["{", "(", "[", "if(a==b){"] {
            let text = format!("job::/ {{ {}", unit.repeat(depth));
            if text.len() <= DOCUMENT_BYTES_MAX {
                assert!(matches!(one(&format!("open {depth}"), text), Answer::Errors(_)), "{depth} {unit}");
            }
        }
    }
}

#[test]
fn long_conditions_and_realms_are_refused_and_named() {
    for sign in ["||", "&&"] {
        let condition = format!("a==b{sign}").repeat(if sign == "||" { 80_000 } else { 1_100 });
        let text = format!("job::/ {{ if ({condition}a==b) {{ permit read }} }}");
        assert!(matches!(one(sign, text), Answer::Errors(_)), "{sign}");
        assert!(matches!(one(sign, format!("job::/ {{ if ({}", sign.repeat(100_000))), Answer::Errors(_)));
    }
    for (segment, count) in [("a", 10_000), ("[name]", 10_000), ("[name]", 65), ("a", 65)] {
        let realm = vec![segment; count].join("/");
        assert!(matches!(one("segments", format!("job::/{realm} {{ {{ permit read }} }}")), Answer::Errors(_)));
    }
    let deep: Vec<String> = (0..60).map(|at| format!("[v{at}]")).collect();
    let text = format!("job::/{} {{ if (name == \"[v0]\") {{ permit read }} }}", deep.join("/"));
    assert_eq!(one("template", text), Answer::Set);
    let segment = "s".repeat(64 * 1024);
    assert!(matches!(one("segment", format!("job::/{segment} {{ {{ permit read }} }}")), Answer::Errors(_)));
}

#[test]
fn many_rules_on_one_realm_are_a_set() {
    let count = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let rules: Vec<String> = (0..count).map(|at| format!("if (LDAP->group == g{at}) {{ permit read }}\n")).collect();
    // As many as one document holds need no bound of their own.
    let mut text = "job::/sandbox {\n".to_owned();
    text.extend(rules.iter().take(10_000).map(String::as_str));
    assert_eq!(one("rules of a document", text + "}\n"), Answer::Set);
    let documents = rules.chunks(10_000).map(|it| format!("job::/sandbox {{\n{}}}\n", it.concat()).into_bytes());
    let (answer, used) = survive_large("rules", documents.collect());
    assert_eq!(answer, Answer::Set);
    // A rule may cost so much of the memory while it is read, linted and compiled, and no more.
    assert!(used / count < 8 * 1024, "{} bytes a rule", used / count);
}

/// A set above one document, which may take in proportion more.
fn survive_large(name: &str, documents: Vec<Vec<u8>>) -> (Answer, usize) {
    let (answer, used) = guarded(name, move || crate::meter::measured(|| answer(documents)));
    (answer, used.peak)
}

#[test]
fn bytes_that_are_no_text_are_told_where_they_are() {
    // Overlong, surrogate, beyond Unicode, cut short, a lone continuation.
    for bytes in
        [&b"\xc0\xaf"[..], b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xff"]
    {
        let mut text = b"job::/a { { permit ssh } }\n".to_vec();
        let at = text.len();
        text.extend(bytes);
        let Answer::Refused(SourceError::NotUtf8 { valid_up_to, .. }) = one("bytes", text) else { panic!("{bytes:?}") };
        assert_eq!(valid_up_to, at);
    }
}

#[test]
fn characters_that_deceive_are_errors_wherever_they_stand() {
    let invisible =
        "\0\u{202a}\u{202b}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200b}\u{200d}\u{2028}\u{feff}\u{ad}";
    for c in invisible.chars() {
        for text in [
            format!("job::/a {{ {{ per{c}mit ssh }} }}"),
            format!("job::/a {{ {{ permit s{c}sh }} }}"),
            format!("job::/a{c}b {{ {{ permit ssh }} }}"),
        ] {
            assert!(matches!(one("invisible", text.clone()), Answer::Errors(_)), "{text:?}");
        }
    }
    for text in ["// a\rjob::/a { { permit ssh } }", "job::/a { { permit “ssh” } }", "job::/a { { permit ‘ssh’ } }"]
    {
        assert!(matches!(one("typography", text), Answer::Errors(_)), "{text:?}");
    }
    // Letters of other alphabets are letters, in either normal form an answer.
    for text in ["job::/sаndbox { { permit ssh } }", "job::/é { { permit ssh } }", "job::/e\u{301} { { permit ssh } }"]
    {
        one("letters", text);
    }
    assert_eq!(one("mark", "\u{feff}job::/a { { permit ssh } }"), Answer::Set);
}

/// Every document that the project has.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("policies"), root.join("tests/lint")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "pol" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    assert!(files.len() > 100, "where are the documents?");
    files.iter().map(|it| fs::read(it).unwrap()).collect()
}

/// Without optimisation one place in so many is tried, another one in each document.
const STEP: usize = if cfg!(debug_assertions) { 101 } else { 1 };

fn each_place(name: &'static str, change: impl Fn(&[u8], usize) -> Vec<Vec<u8>> + Send + Copy + 'static) {
    for (number, document) in corpus().into_iter().enumerate() {
        guarded(name, move || {
            for at in (number % STEP..document.len()).step_by(STEP) {
                for changed in change(&document, at) {
                    within_bounds(vec![changed]);
                }
            }
        });
    }
}

#[test]
fn every_prefix_of_every_document_is_answered() {
    each_place("prefix", |document, at| vec![document[..at].to_vec()]);
}

#[test]
fn every_document_with_one_byte_gone_twice_or_flipped_is_answered() {
    each_place("byte", |document, at| {
        let (before, behind) = (&document[..at], &document[at + 1..]);
        let byte = document[at];
        let with = |bytes: &[u8]| [before, bytes, behind].concat();
        // The bit that changes from place to place, and the one that leaves ASCII.
        vec![with(&[]), with(&[byte, byte]), with(&[byte ^ (1 << (at % 7))]), with(&[byte ^ 0x80])]
    });
}

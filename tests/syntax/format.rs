//! What the formatter promises: the same meaning, every comment, one form.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gatehouse::{
    format::{Refusal, format, print, same_meaning, without_layout, without_places},
    limits::{DOCUMENT_BYTES_MAX, NESTING_MAX},
    source::Source,
    syntax::{Parse, ast::Document, parse},
};
use proptest::prelude::*;

use crate::syntax::tree;

fn read(text: &str) -> (Source, Parse) {
    let source = Source::new("case.pol", text.as_bytes().to_vec()).unwrap();
    let parse = parse(&source);
    (source, parse)
}

fn formatted(text: &str) -> String {
    let (source, parse) = read(text);
    format(&source, &parse).unwrap_or_else(|refusal| panic!("{refusal}: {text}\n{:?}", parse.diagnostics))
}

/// Formats a good document and checks what holds of every one.
fn check(text: &str) -> String {
    let once = formatted(text);
    let again = formatted(&once);
    let first = once.lines().zip(again.lines()).position(|(one, other)| one != other);
    assert!(once == again, "not its own form: {text}\n--- first difference in line {first:?} of\n{once}---\n{again}");
    assert!(!once.contains('\r') && !once.contains("\n\n\n") && !once.contains(" \n"), "{once:?}");
    assert!(once.is_empty() || once.ends_with('\n') && !once.ends_with("\n\n"), "{once:?}");
    let ((_, before), (_, after)) = (read(text), read(&once));
    assert!(same_meaning(&before.document, &after.document), "{text}");
    once
}

/// A document with a comment at each of its gaps chosen by `choose`, which gets the number of the gap.
fn with_comments(text: &str, mut choose: impl FnMut(usize) -> Option<String>) -> String {
    let mut out = String::new();
    for (number, piece) in pieces(text).into_iter().enumerate() {
        out.push_str(piece);
        if let Some(comment) = choose(number) {
            out.push_str(&comment);
        }
    }
    out
}

/// The words and signs of a text without comments, with the white space behind each.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let blank = |from: usize| rest[from..].len() - rest[from..].trim_start().len();
        let word = |from: usize| {
            let is_part = |c: char| c.is_alphanumeric() || "._@*/:[]".contains(c) || c == '\u{301}';
            let mut end = from;
            while let Some(c) = rest[end..].chars().next() {
                if !is_part(c) && (c != '-' || rest[end..].starts_with("->")) {
                    break;
                }
                end += c.len_utf8();
            }
            end
        };
        let start = blank(0);
        let mut end = match rest[start..].chars().next() {
            None => start,
            Some('"') => {
                let mut escaped = false;
                let quote = rest[start + 1..].find(|c: char| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                start + 1 + quote.unwrap() + 1
            }
            Some('<') if rest[start..].starts_with("<continuum") => start + rest[start..].find('>').unwrap() + 1,
            Some(_) if word(start) > start => word(start),
            Some(_) if ["->", "&&", "||", "==", "!=", "<=", ">="].iter().any(|it| rest[start..].starts_with(it)) => {
                start + 2
            }
            Some(c) => start + c.len_utf8(),
        };
        end += blank(end);
        let (piece, behind) = rest.split_at(end);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Every good document of the project and those that people really wrote.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("policies"), root.join("tests"), root.join("../shared/policies-real")];
    let mut documents = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            eprintln!("SKIPPED: there is no folder {}", folder.display());
            continue;
        };
        for path in entries.map(|it| it.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "pol")
                && let Ok(text) = fs::read_to_string(&path)
                && text.len() <= DOCUMENT_BYTES_MAX
                && read(&text).1.is_usable()
            {
                documents.push((path, text));
            }
        }
    }
    assert!(documents.len() >= 25, "only {} documents", documents.len());
    documents
}

#[test]
fn every_document_of_the_project_keeps_its_meaning() {
    for (_, text) in documents() {
        check(&text);
    }
}

#[test]
fn a_comment_at_every_place_is_kept() {
    for (path, text) in documents() {
        // Comments of the document's own would swallow what is put behind them.
        let (source, parse) = read(text.trim_start_matches('\u{feff}'));
        let Ok(plain) = format(&source, &Parse { comments: Vec::new(), ..parse.clone() }).or_else(|_| {
            let text = print(&parse.document);
            let (source, parse) = read(&text);
            format(&source, &parse)
        }) else {
            panic!("{}", path.display())
        };
        let places = pieces(&plain).len();
        assert_eq!(pieces(&plain).concat(), plain);
        for place in (0..places).step_by(1 + places / 60) {
            for comment in ["// why\n", "\n// why\n", "// why\n// and more\n\n// what\n"] {
                check(&with_comments(&plain, |it| (it == place).then(|| format!(" {comment}"))));
            }
        }
        check(&with_comments(&plain, |place| Some(format!(" // {place}\n"))));
        check(&with_comments(&plain, |place| Some(format!("\n\n\n // {place}\n"))));
    }
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let (source, parse) = read("job::/ { permit }");
    assert_eq!(format(&source, &parse), Err(Refusal::Unusable));
    let deep = format!("job::/ {{ {}{}{} }}", "{".repeat(60), "a b ".repeat(100_000), "}".repeat(60));
    let (source, parse) = read(&deep);
    assert_eq!(format(&source, &parse), Err(Refusal::TooLarge));
}

#[test]
fn half_a_megabyte_is_formatted_in_time() {
    let groups = format!("if ({}", "(".repeat(NESTING_MAX - 1));
    let end = format!("{}) {{ permit read }}\n", ")".repeat(NESTING_MAX - 1));
    let many = format!("{groups}a == b{end}");
    let long = format!("{groups}a == \"{}\"{end}", "x".repeat(DOCUMENT_BYTES_MAX / 4));
    let wide = format!("if ({}a == b) {{ permit read }}\n", "(a == b && c == d) || ".repeat(600));
    let rules = "if (aaaaaaaa == bbbbbbbb) { permit read }\n".to_owned();
    let lists = format!("label {}a\n", "aaaaaaaaa, ".repeat(1_000));
    let comments = "permit a // x\n // y\n\n".to_owned();
    let blanks = format!("label a{}", " \n".repeat(2_000));
    let nested = format!("{}a b{}", "{".repeat(60), "}".repeat(60));
    for unit in [many, long, wide, rules, lists, comments, blanks, nested] {
        let text = format!("job::/ {{\n{}}}", unit.repeat(DOCUMENT_BYTES_MAX / 2 / unit.len().max(1)));
        let (source, parse) = read(&text);
        let start = Instant::now();
        let result = format(&source, &parse);
        // Quadratic time would be hours; this is what an unoptimised build on a busy machine takes, many times over.
        assert!(start.elapsed() < Duration::from_secs(30), "{:.60} {:?}", unit, start.elapsed());
        assert_ne!(result, Err(Refusal::Changed), "{unit:.60}");
        let start = Instant::now();
        let _is_same = same_meaning(&parse.document, &parse.document);
        assert!(start.elapsed() < Duration::from_secs(30), "{unit:.60} {:?}", start.elapsed());
    }
}

#[test]
fn the_deepest_document_needs_little_stack() {
    // What a release build has to keep to; without optimisation each level takes several times as much.
    let stack = if cfg!(debug_assertions) { 512 * 1024 } else { 64 * 1024 };
    let rules = format!("job::/ {{ {} permit read {} }}", "if (a == b) {".repeat(NESTING_MAX), "}".repeat(NESTING_MAX));
    let groups =
        format!("job::/ {{ if ({}a == b{}) {{ permit read }} }}", "(".repeat(NESTING_MAX), ")".repeat(NESTING_MAX));
    let broken = format!(
        "job::/ {{ if ({}a == b // c\n{}) {{ permit read }} }}",
        "(x == y && ".repeat(NESTING_MAX),
        ")".repeat(NESTING_MAX)
    );
    for text in [rules, groups, broken] {
        let work = move || {
            let (source, parse) = read(&text);
            let text = format(&source, &parse).unwrap();
            let (_, again) = read(&text);
            same_meaning(&parse.document, &again.document) && print(&again.document).len() <= text.len() + 8
        };
        assert!(std::thread::Builder::new().stack_size(stack).spawn(work).unwrap().join().unwrap());
    }
}

#[test]
fn same_meaning_sees_through_form_and_nothing_else() {
    let same = |one: &str, other: &str| same_meaning(&read(one).1.document, &read(other).1.document);
    let base = "job::/a { if (x == a && (y == b || z == c)) { permit ssh, read } }";
    for other in [
        "on job::/a/ { if (x equals \"a\") { if (z == c || y == b) { permit read { permit \"ssh\" } } } }",
        "job::/a { if ((z == c || y == b) && x == a) { permit ssh } }\njob::/a { if (x == a && (y == b || z == c)) { permit \
         read } }",
        "job::/a { if (x in (a, a) && (y == b || z == c) && x == a) { permit ssh, read, ssh } } job::/b { }",
    ] {
        assert!(same(base, other), "{other}");
    }
    for other in [
        "",
        "job::/a { if (x == a && (y == b || z == c)) { permit ssh } }",
        "job::/a { if (x == a && (y == b || z == c)) { role ssh, read } }",
        "job::/a:: { if (x == a && (y == b || z == c)) { permit ssh, read } }",
        "job::/a { if (x == a && y == b || z == c) { permit ssh, read } }",
        "job::/a { if (x == a && (y == b || z == d)) { permit ssh, read } }",
        "job::/a { if (x == a && (y == b || i->z == c)) { permit ssh, read } }",
        "job::/a { if (x beginsWith a && (y == b || z == c)) { permit ssh, read } }",
        "job::/a { if (x == a && (y == b || z == c)) { permit ssh } if (x == a) { permit read } }",
        "job::/a { if (x == a && (y == b || z == c)) { permit ssh, read, all } }",
    ] {
        assert!(!same(base, other), "{other}");
        assert!(!same(other, base), "{other}");
    }
    assert!(!same("job::/[a] { label \"[a]\" }", "job::/[a] { label \"\\[a]\" }"));
    assert!(!same("job::/ { label Google->email }", "job::/ { label \"Google->email\" }"));
    assert!(same("job::/ { if (a in (x, y)) { label b } }", "job::/ { if (a == y || a == x) { label b } }"));
}

/// A tree's text; the tree is what is read from it.
fn printed(document: &Document) -> Result<String, TestCaseError> {
    let text = print(document);
    let (_, parse) = read(&text);
    prop_assert!(parse.is_usable(), "{}\n{:?}", text, parse.diagnostics);
    prop_assert_eq!(&without_places(&parse.document), &without_places(document), "{}", text);
    Ok(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_is_read_back(document in tree::document()) {
        printed(&document)?;
    }

    #[test]
    fn formatting_keeps_meaning_and_comments(
        text in tree::document().prop_map(|it| print(&it)),
        seed in any::<Vec<u8>>(),
        is_windows in any::<bool>(),
    ) {
        let kinds = ["", "", "", " // c\n", "\n// c\n", "\n\n\n  // c \n\n", "\t//\n//c\n", "\n", "\n\n\n"];
        let mut number = 0;
        let text = with_comments(&text, |place| {
            let kind = kinds[usize::from(seed.get(place % seed.len().max(1)).copied().unwrap_or(0)) % kinds.len()];
            number += 1;
            Some(kind.replace('c', &number.to_string()))
        });
        let text = if is_windows { text.replace('\n', "\r\n") } else { text };
        // A comma at the end of a line before what looks like another claim is one too many, whatever the grammar says.
        prop_assume!(read(&text).1.is_usable());
        let once = check(&text);
        let (one, other) = (read(&text).1.document, read(&once).1.document);
        prop_assert_eq!(without_layout(&one), without_layout(&other));
    }
}

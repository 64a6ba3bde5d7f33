//! What the compiler cannot check about the source, checked as a test.
#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The pure half, lowest first: each may name itself and what stands before it, `session` aside.
const PURE: &[&str] =
    &["limits", "source", "diagnostic", "syntax", "format", "compile", "eval", "suite", "lint", "editor", "session"];

/// The platform: each layer and the platform layers it may name beside the pure half.
///
/// `gate` is what `auth` and `api` decide by, each for itself; `ssh` takes its `Grant`. `api` names `ssh` because it
/// dials by it; no other role names another: they speak over `link`.
const PLATFORM: &[(&str, &[&str])] = &[
    ("streams", &[]),
    ("wire", &[]),
    ("site", &["wire"]),
    ("lsp", &["wire", "site"]),
    ("store", &["wire"]),
    ("config", &["wire"]),
    ("audit", &["wire", "store"]),
    ("link", &["streams", "wire", "config"]),
    ("gate", &["wire", "store", "audit", "config", "link"]),
    ("ssh", &["streams", "wire", "gate"]),
    ("auth", &["wire", "store", "audit", "config", "link", "gate"]),
    ("api", &["wire", "store", "audit", "config", "link", "gate", "ssh"]),
    ("im", &["wire", "config", "link"]),
    ("router", &["wire", "config", "link"]),
    (
        "cli",
        &[
            "streams", "wire", "site", "lsp", "store", "audit", "config", "link", "gate", "ssh", "auth", "api", "im",
            "router",
        ],
    ),
];

/// What a layer may name; nothing for files that are no layer (`lib.rs`, `bin`).
fn lower(layer: &str) -> Option<Vec<&'static str>> {
    if let Some(at) = PURE.iter().position(|it| *it == layer) {
        return Some(PURE.iter().take(at).copied().collect());
    }
    let (_, named) = PLATFORM.iter().find(|(name, _)| *name == layer)?;
    Some(PURE.iter().chain(*named).copied().collect())
}

#[test]
fn layers_name_only_lower_layers() {
    let mut trespasses = Vec::new();
    for (path, text) in sources() {
        let layer = layer_of(&path);
        let Some(lower) = lower(&layer) else { continue };
        for named in named_layers(&text) {
            if named != layer && !lower.contains(&named) {
                trespasses.push(format!("{}: `{layer}` may not name `{named}`", path.display()));
            }
        }
        // `super::` can climb out of a layer unseen; `crate::` cannot.
        if text.replace("use super::*;", "").contains("super::") {
            trespasses.push(format!("{}: say `crate::`, not `super::`", path.display()));
        }
    }
    assert!(trespasses.is_empty(), "\n{}\n", trespasses.join("\n"));
}

#[test]
fn every_file_opens_with_its_purpose() {
    let bare: Vec<PathBuf> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert_eq!(bare, Vec::<PathBuf>::new(), "files without a `//!` line");
}

#[test]
fn no_file_is_long() {
    const LINES_MAX: usize = 500;
    let long: Vec<PathBuf> =
        sources().into_iter().filter(|(_, text)| LINES_MAX < text.lines().count()).map(|(path, _)| path).collect();
    assert_eq!(long, Vec::<PathBuf>::new(), "files of more than {LINES_MAX} lines");
}

/// The productions of the grammar and those in the parser's doc comments are
/// the same, word for word, and each stands above the function of its name.
#[test]
fn grammar_and_parser_agree() {
    let grammar = fs::read_to_string(root().join("grammar/policy.ebnf")).unwrap();
    let written: BTreeMap<String, String> = grammar
        .split("\n\n")
        .filter(|it| !it.starts_with("(*") && !it.contains("= ?")) // Comments and tokens.
        .map(|it| (left_side(it), it.trim().to_owned()))
        .collect();
    let mut parsed = BTreeMap::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for at in (0..lines.len()).filter(|&at| lines[at] == "/// ```ebnf") {
            let length = lines[at..].iter().position(|line| *line == "/// ```").unwrap();
            let block: Vec<&str> = lines[at + 1..at + length].iter().map(|it| it.trim_start_matches("/// ")).collect();
            let production = block.join("\n");
            let name = left_side(&production);
            let function = lines[at..].iter().find(|line| line.contains("fn ")).unwrap();
            assert!(function.contains(&format!("fn {name}(")), "{}: {name}", path.display());
            parsed.insert(name, production);
        }
    }
    assert_eq!(written, parsed);
}

fn left_side(production: &str) -> String {
    production.split_once('=').unwrap().0.trim().to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn layer_of(path: &Path) -> String {
    let first = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The first name behind every `crate::`, in groups too: `crate::{a::B, c}`
/// names `a` and `c`.
fn named_layers(text: &str) -> Vec<&str> {
    let mut res = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            res.push(first_word(rest));
            continue;
        };
        let mut depth = 1;
        let mut start = 0;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => {
                    res.push(first_word(&group[start..at]));
                    start = at + 1;
                }
                _ => (),
            }
            if depth == 0 {
                res.push(first_word(&group[start..at]));
                break;
            }
        }
    }
    res.retain(|it| !it.is_empty());
    res
}

fn first_word(text: &str) -> &str {
    text.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

#[test]
fn named_layers_sees_into_groups() {
    let text = "use crate::{a::{B, C}, d,\n    e::F};\nfn g() { crate::h::i() }";
    assert_eq!(named_layers(text), ["a", "d", "e", "h"]);
}

/// All Rust files under `src`, with paths from the root, in path order.
fn sources() -> BTreeMap<PathBuf, String> {
    let mut res = BTreeMap::new();
    let mut dirs = vec![root().join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                res.insert(path.strip_prefix(root()).unwrap().to_owned(), text);
            }
        }
    }
    res
}

/// A test that was renamed or taken away is still promised by the tables.
#[test]
fn every_test_that_the_security_tables_name_is_there() {
    let tables = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<(&str, &str)> = tables
        .split('`')
        .filter(|it| it.starts_with("tests/") || it.starts_with("src/"))
        .filter_map(|it| it.split_once("::"))
        .filter(|(path, name)| !path.contains("TOPIC") && !name.is_empty())
        .collect();
    assert!(named.len() > 50, "only {} tests are named", named.len());
    let lacking: Vec<String> = named
        .iter()
        .filter(|(path, name)| !has_test(path, name))
        .map(|(path, name)| format!("{path}::{name}"))
        .collect();
    assert_eq!(lacking, Vec::<String>::new(), "tests that SECURITY.md names and nobody wrote");
}

/// Whether the file has a function marked as a test, or a case, of that name.
fn has_test(path: &str, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(root().join(path)) else { return false };
    if Path::new(path).extension().is_some_and(|it| it == "toml") {
        return text.contains(&format!("name = \"{name}\""));
    }
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    before.rsplit('\n').skip(1).take_while(|it| it.trim().starts_with("#[")).any(|it| it.contains("test"))
}

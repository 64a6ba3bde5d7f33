//! The table of codes and the corpus that shows each rule.

use std::{collections::BTreeSet, fs, path::Path};

use gatehouse::{
    diagnostic::{Code, Severity},
    syntax::vocabulary::{CONTEXT_TYPES, RESOURCE_TYPES},
};

#[test]
fn every_rule_is_shown_by_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let shown: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().to_str().unwrap().split('-').next().unwrap().to_owned())
        .collect();
    // A document of half a megabyte is no file to keep; the limit has a test of its own.
    // Mistakes in files of tests are shown by `tests/eval/suites.rs`, where such files are read.
    // So are those in files of settings, by `src/wire/settings.rs`.
    let elsewhere =
        |it: &Code| *it == Code::DocumentTooLarge || it.code().starts_with("E07") || it.code().starts_with("E08");
    let unshown = Code::ALL.iter().filter(|it| !elsewhere(it) && !shown.contains(it.code()));
    assert_eq!(unshown.collect::<Vec<_>>(), Vec::<&Code>::new());
}

#[test]
fn codes_and_names_are_unique_and_tell_the_severity() {
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|it| it.code()).collect();
    let names: BTreeSet<&str> = Code::ALL.iter().map(|it| it.name()).collect();
    assert_eq!((codes.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
    for code in Code::ALL {
        assert_eq!(code.code().starts_with('E'), code.severity() == Severity::Error, "{code}");
        assert!(!code.summary().is_empty(), "{code}");
    }
}

#[test]
fn the_reference_lists_every_rule() {
    let page = include_str!("../../grammar/README.md");
    let lacking = |it: &&Code| !page.contains(&format!("| {} | {} | ", it.code(), it.name()));
    assert_eq!(Code::ALL.iter().filter(lacking).collect::<Vec<_>>(), Vec::<&Code>::new());
}

#[test]
fn the_reference_lists_every_permit_and_what_operations_bring() {
    let page = include_str!("../../grammar/README.md");
    let row = |on: &str| page.lines().find(|it| it.starts_with(&format!("| `{on}` | "))).unwrap_or_default();
    for on in RESOURCE_TYPES {
        let lacking = on.expanded.iter().chain(on.beside).filter(|it| !row(on.name).contains(&format!("`{it}`")));
        assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&&str>::new(), "{}", on.name);
    }
    let lacking = CONTEXT_TYPES.iter().filter(|it| !page.contains(&format!("`{it}`")));
    assert_eq!(lacking.collect::<Vec<_>>(), Vec::<&&str>::new());
}

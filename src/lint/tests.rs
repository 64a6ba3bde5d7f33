//! Each rule has a code, a manual that tells the truth, and a case; and none of them takes long.

use std::{collections::BTreeSet, fs, num::NonZeroUsize, path::Path};

use crate::{
    compile::{Finding, System},
    diagnostic::{Code, Diagnostic},
    lint::{RULES, Settings, lint_each, lint_on_threads, manual},
    source::Source,
    syntax::{Parse, parse},
};

/// What is found in documents, in their order.
fn findings(documents: &[(&str, &str)], settings: &Settings) -> Vec<Finding> {
    let sources: Vec<Source> =
        documents.iter().map(|(name, text)| Source::new(*name, text.as_bytes().to_vec()).unwrap()).collect();
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    let given: Vec<(&Source, &Parse)> = sources.iter().zip(&parsed).collect();
    lint_each(&given, System::Included, settings)
}

/// The codes of what is found in one document.
pub(super) fn codes(text: &str) -> Vec<Code> {
    findings(&[("a.pol", text)], &Settings::default()).iter().map(|it| it.diagnostic.code).collect()
}

/// The `policy` block behind a heading of a manual.
fn block<'a>(manual: &'a str, heading: &str) -> &'a str {
    let (_, behind) = manual.split_once(&format!("## {heading}\n\n```policy\n")).expect(heading);
    behind.split_once("```").expect(heading).0
}

#[test]
fn every_lint_has_one_rule_and_the_rules_stand_in_order() {
    let rules: Vec<Code> = RULES.iter().map(|it| it.lint.code()).collect();
    let lints: Vec<Code> = Code::ALL.iter().copied().filter(|it| it.is_lint()).collect();
    assert_eq!(rules, lints);
}

#[test]
fn every_rule_stands_in_the_file_of_its_name() {
    for rule in RULES {
        let code = rule.lint.code();
        let path = format!("{}/src/lint/{}.rs", env!("CARGO_MANIFEST_DIR"), code.name().replace('-', "_"));
        assert!(fs::read_to_string(path).is_ok_and(|it| it == rule.file), "{code}");
    }
}

#[test]
fn the_example_of_a_manual_shows_its_rule_alone_and_what_to_write_instead_shows_none() {
    for rule in RULES {
        let code = rule.lint.code();
        let manual = manual(code).unwrap();
        assert!(manual.contains("\n## Why it matters\n"), "{code}");
        for part in ["Example", "Instead"] {
            let source = Source::new("a.pol", block(&manual, part).as_bytes().to_vec()).unwrap();
            assert_eq!(parse(&source).diagnostics, Vec::<Diagnostic>::new(), "{code} {part}");
        }
        assert_eq!(codes(block(&manual, "Example")), [code], "{manual}");
        assert_eq!(codes(block(&manual, "Instead")), [], "{manual}");
    }
}

#[test]
fn as_much_is_found_by_several_threads_as_by_one() {
    let manuals: Vec<String> = RULES.iter().filter_map(|it| manual(it.lint.code())).collect();
    let read = |(at, it): (usize, &String)| {
        Source::new(format!("{at}.pol"), block(it, "Example").as_bytes().to_vec()).unwrap()
    };
    let sources: Vec<Source> = manuals.iter().enumerate().map(read).collect();
    let parsed: Vec<Parse> = sources.iter().map(parse).collect();
    let given: Vec<(&Source, &Parse)> = sources.iter().zip(&parsed).collect();
    let found = |threads| lint_on_threads(&given, System::Included, &Settings::default(), threads);
    let by_one = found(NonZeroUsize::MIN);
    assert!(by_one.len() > 10);
    assert_eq!(found(NonZeroUsize::new(4).unwrap()), by_one);
}

#[test]
fn every_lint_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint");
    let cases: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.join("case.pol").exists() && it.join("case.expected").exists())
        .map(|it| it.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned())
        .collect();
    let without: Vec<&Code> = Code::ALL.iter().filter(|it| it.is_lint() && !cases.contains(it.code())).collect();
    assert_eq!(without, Vec::<&Code>::new());
}

#[test]
fn the_reference_lists_every_lint() {
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar/README.md")).unwrap();
    let listed: Vec<&str> = reference.lines().filter(|it| it.starts_with("| W01")).collect();
    let row = |code: &Code| format!("| {code} | {} | {} |", code.name(), code.summary().concat().trim());
    let rows: Vec<String> = Code::ALL.iter().filter(|it| it.is_lint()).map(row).collect();
    assert_eq!(listed, rows, "the table of the section `Lint rules` is\n{}\n", rows.join("\n"));
}

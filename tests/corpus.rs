//! Golden corpora: every folder `tests/lint/CODE-slug` is a set of documents that shows a rule, and `case.expected` is
//! what the user sees of it.
//!
//! `UPDATE_EXPECT=1 cargo test --test corpus` rewrites the expectations; read the diff before you commit it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use datatest_stable::Result;
use expect_test::expect_file;
use gatehouse::{
    compile::{Finding, System, compile_parsed},
    diagnostic::{
        Diagnostic, of_source_error,
        render::{self, Color},
    },
    lint,
    source::Source,
    syntax::{Parse, parse},
};

fn case(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap();
    let code = folder.file_name().unwrap().to_str().unwrap().split('-').next().unwrap();
    let (sources, parsed) = documents(folder);
    let mut findings = findings(&sources, &parsed);
    findings.extend(lint::lint(&sources, &parsed, System::Included));
    assert!(findings.iter().any(|it| it.diagnostic.code.code() == code), "no {code} in {findings:?}");
    let mut actual = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let own: Vec<Diagnostic> =
            findings.iter().filter(|it| it.source == at).map(|it| it.diagnostic.clone()).collect();
        render::write(&mut actual, source, &own, Color::Plain)?;
    }
    let expected = std::env::current_dir()?.join(path.with_extension("expected"));
    expect_file![expected].assert_eq(&String::from_utf8(actual)?);
    Ok(())
}

/// The documents of a folder in order of name, and what reading them gave.
fn documents(folder: &Path) -> (Vec<Source>, Vec<Parse>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "pol"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        match Source::new(name, fs::read(path).unwrap()) {
            Ok(source) => {
                let parse = parse(&source);
                (source, parse)
            }
            Err(error) => {
                let (source, diagnostic) = of_source_error(name, error);
                (source.unwrap(), Parse { diagnostics: vec![diagnostic], ..Parse::default() })
            }
        }
    };
    paths.iter().map(read).unzip()
}

/// What reading and compiling found.
fn findings(sources: &[Source], parsed: &[Parse]) -> Vec<Finding> {
    match compile_parsed(sources, parsed, System::Included) {
        Err(findings) => findings,
        Ok(_) => {
            let warnings = parsed.iter().enumerate().flat_map(|(at, it)| it.diagnostics.iter().map(move |it| (at, it)));
            warnings.map(|(source, it)| Finding { source, diagnostic: it.clone() }).collect()
        }
    }
}

datatest_stable::harness! {
    { test = case, root = "tests/lint", pattern = r"/case\.pol$" },
}

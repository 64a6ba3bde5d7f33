//! Documents that people really wrote.

use std::{fs, path::Path};

use gatehouse::{
    diagnostic::Code,
    source::Source,
    syntax::{Parse, parse},
};

/// The real documents by number; none where the folder beside the project is not there.
fn documents() -> Vec<(u32, Parse)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/policies-real");
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("SKIPPED: there is no folder {}, so no real document was read", folder.display());
        return Vec::new();
    };
    let mut documents = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|it| it == "pol") {
            let source = Source::new(name.as_str(), fs::read(&path).unwrap()).unwrap();
            documents.push((name[..3].parse().unwrap(), parse(&source)));
        }
    }
    assert!(documents.len() >= 28, "only {} documents", documents.len());
    documents
}

#[test]
fn good_documents_are_accepted_and_the_others_refused_for_what_is_wrong_with_them() {
    for (number, parse) in documents() {
        let codes: Vec<Code> = parse.diagnostics.iter().map(|it| it.code).collect();
        match number {
            21 | 24..=29 => {
                assert!(!codes.is_empty() && codes.iter().all(|it| *it == Code::Placeholder), "{number}: {codes:?}");
                assert!(parse.diagnostics.iter().all(|it| it.message.contains("placeholder")));
            }
            31..=34 => {
                assert_eq!(codes, [Code::MissingRealm], "{number}");
                assert!(parse.diagnostics[0].message.contains("no realm"));
            }
            _ => assert_eq!(codes, [], "{number}"),
        }
    }
}

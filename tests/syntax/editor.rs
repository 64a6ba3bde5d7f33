//! What an editor asks: at every place of every document there is an answer, and renaming changes no grant.

use std::{fs, path::PathBuf};

use gatehouse::{
    compile::system::system_sources,
    diagnostic::{Fix, mend},
    editor::{RenameRefusal, complete, definitions, folds, highlights, hover, outline, references, rename, renameable},
    source::Source,
    syntax::{Parse, parse},
};

fn read(texts: &[(&str, &str)]) -> Vec<(Source, Parse)> {
    let one = |(name, text): &(&str, &str)| {
        let source = Source::new(*name, text.as_bytes().to_vec()).unwrap();
        let parsed = parse(&source);
        (source, parsed)
    };
    texts.iter().map(one).collect()
}

fn both(documents: &[(Source, Parse)]) -> Vec<(&Source, &Parse)> {
    documents.iter().map(|(source, parse)| (source, parse)).collect()
}

/// Renames what stands at the `nth` occurrence of a text in the first document; all texts afterwards.
fn renamed(texts: &[(&str, &str)], at: &str, name: &str) -> Result<Vec<String>, RenameRefusal> {
    let documents = read(texts);
    let system = system_sources();
    let system: Vec<(Source, Parse)> = system.into_iter().map(|it| (it.clone(), parse(&it))).collect();
    let offset = texts[0].1.find(at).unwrap();
    let edits = rename(&both(&documents), &both(&system), (0, offset), name)?;
    let each = texts.iter().enumerate().map(|(document, (_, text))| {
        let own = edits.iter().filter(|(it, _)| *it == document).map(|(_, edit)| edit.clone()).collect();
        mend::apply(text, &[&Fix { title: String::new(), safe: true, edits: own }]).text
    });
    Ok(each.collect())
}

const ASSERTS: &str = "job::/ { if (LDAP->group == \"ops\") { role sre } }\n";
const ASKS: &str = "job::/a { if (role == \"sre\" || approval->role == sre) { permit ssh } }\n";

#[test]
fn a_role_is_renamed_where_it_is_asserted_and_where_it_is_asked_for() {
    let texts = [("a.pol", ASSERTS), ("b.pol", ASKS)];
    let after = renamed(&texts, "sre", "on-call").unwrap();
    assert_eq!(after[0], ASSERTS.replace("sre", "on-call"));
    assert_eq!(after[1], ASKS.replace("sre", "on-call"));
    let after = renamed(&texts, "sre", "on call").unwrap();
    assert_eq!(after[0], ASSERTS.replace("sre", "\"on call\""));
    assert_eq!(after[1], ASKS.replace("\"sre\"", "\"on call\"").replace("sre)", "\"on call\")"));
}

#[test]
fn what_an_identity_provider_calls_a_role_is_another_matter() {
    let text = "job::/ { if (role == sre && LDAP->role == sre) { permit ssh } }\n";
    let after = renamed(&[("a.pol", text)], "sre", "x").unwrap();
    assert_eq!(after[0], "job::/ { if (role == x && LDAP->role == sre) { permit ssh } }\n");
}

#[test]
fn a_rename_that_would_change_a_grant_is_refused() {
    let in_use = format!("{ASSERTS}job::/b {{ if (LDAP->group == dev) {{ role dev }} }}\n");
    assert_eq!(renamed(&[("a.pol", &in_use)], "sre", "dev"), Err(RenameRefusal::InUse("dev".to_owned())));
    assert_eq!(renamed(&[("a.pol", ASSERTS)], "sre", "admin"), Err(RenameRefusal::InUse("admin".to_owned())));
    let admin = ASSERTS.replace("sre", "admin");
    let refused = renamed(&[("a.pol", &admin)], "admin }", "boss");
    assert_eq!(refused, Err(RenameRefusal::OfTheSystem("admin".to_owned())));
    let apart = "job::/a { if (role beginsWith \"sr\") { permit ssh } }\n";
    let refused = renamed(&[("a.pol", ASSERTS), ("b.pol", apart)], "sre", "ops");
    assert_eq!(refused, Err(RenameRefusal::ToldApart { document: "b".to_owned(), line: 1, name: "ops".to_owned() }));
    assert!(renamed(&[("a.pol", ASSERTS), ("b.pol", apart)], "sre", "sr2").is_ok());
    let template = "job::/a/[team] { if (role == \"[team]\") { permit ssh } }\n";
    let refused = renamed(&[("a.pol", ASSERTS), ("b.pol", template)], "sre", "ops");
    assert!(matches!(refused, Err(RenameRefusal::ToldApart { .. })), "{refused:?}");
    let broken = renamed(&[("a.pol", ASSERTS), ("b.pol", "job::/a { if (role == ")], "sre", "ops");
    assert_eq!(broken, Err(RenameRefusal::Unreadable("b".to_owned())));
    for name in ["", "a\nb", "e\u{301}", "a\u{202e}b"] {
        let refused = renamed(&[("a.pol", ASSERTS)], "sre", name);
        assert!(matches!(refused, Err(RenameRefusal::BadName(_))), "{name:?}: {refused:?}");
    }
    assert_eq!(renamed(&[("a.pol", ASSERTS)], "ops", "x"), Err(RenameRefusal::NothingHere));
}

#[test]
fn a_variable_is_renamed_within_its_policy() {
    let text = "job::/s/[name] { if (LDAP->uid == \"u-[name]\") { permit ssh } }\njob::/t/[name] { if (LDAP->uid == [name]) { permit ssh } }\n";
    let after = renamed(&[("a.pol", text)], "[name]", "user").unwrap();
    assert_eq!(after[0], text.replacen("[name]", "[user]", 2));
    assert!(matches!(renamed(&[("a.pol", text)], "[name]", "a b"), Err(RenameRefusal::BadName(_))));
    let two = "job::/s/[a]/[b] { if (LDAP->uid == [a]) { permit ssh } }\n";
    assert_eq!(renamed(&[("a.pol", two)], "[a]", "b"), Err(RenameRefusal::InUse("b".to_owned())));
}

#[test]
fn a_new_name_begins_with_the_old_one_without_its_quotes() {
    let documents = read(&[("a.pol", ASKS)]);
    let (span, text) = renameable(&both(&documents), 0, ASKS.find("sre").unwrap()).unwrap();
    assert_eq!((documents[0].0.slice(span), text.as_str()), ("sre", "sre"));
}

#[test]
fn uses_are_found_across_documents_and_definitions_on_the_same_type_first() {
    let package = ASSERTS.replace("job::", "package::");
    let documents = read(&[("a.pol", ASKS), ("b.pol", ASSERTS), ("c.pol", &package)]);
    let documents = both(&documents);
    let at = ASKS.find("sre").unwrap();
    let defined: Vec<usize> = definitions(&documents, 0, at).iter().map(|it| it.document).collect();
    assert_eq!(defined, [1]);
    assert_eq!(references(&documents, 0, at, false).len(), 2);
    assert_eq!(references(&documents, 0, at, true).len(), 4);
}

#[test]
fn completions_know_the_place() {
    let cases = [
        ("job::/ { permit ^", "ssh"),
        ("job::/ { role ^", "sre"),
        ("job::/ { if (^", "LDAP->"),
        ("job::/ { if (LDAP->^", "group"),
        ("job::/ { if (LDAP->group == ^", "ops"),
        ("job::/ { if (role == ^", "sre"),
        ("job::/ { if (role ^", "beginsWith"),
        ("job::/ { if (time.weekday == ^", "sun"),
        ("job::/a/[who] { if (LDAP->uid == ^", "[who]"),
        ("job::/ { ^", "ssh.require"),
        ("job::/ { ssh.record ^", "full"),
        ("^", "stagpipe::/"),
    ];
    for (text, label) in cases {
        let offset = text.find('^').unwrap();
        let documents = read(&[("a.pol", &text.replace('^', "")), ("b.pol", ASSERTS)]);
        let found = complete(&both(&documents), 0, offset);
        assert!(found.iter().any(|it| it.label == label), "{text}: {found:?}");
    }
}

#[test]
fn a_completion_replaces_the_whole_word_and_keeps_its_quotes() {
    let text = "job::/ { if (role == \"s\") { permit ssh } }";
    let documents = read(&[("a.pol", text), ("b.pol", ASSERTS)]);
    let found = complete(&both(&documents), 0, text.find("s\")").unwrap() + 1);
    let role = found.iter().find(|it| it.label == "sre").unwrap();
    assert_eq!((documents[0].0.slice(role.replaces), role.text.as_str()), ("\"s\"", "\"sre\""));
}

/// Every document that the project has, good and bad.
fn corpus() -> Vec<(Source, Parse)> {
    let mut folders = vec![PathBuf::from("policies"), PathBuf::from("tests/lint")];
    let mut documents = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "pol")
                && let Ok(source) = Source::new(path.display().to_string(), fs::read(&path).unwrap())
            {
                let parsed = parse(&source);
                documents.push((source, parsed));
            }
        }
    }
    assert!(documents.len() > 100);
    documents
}

#[test]
fn every_place_of_every_document_has_answers_within_it() {
    for document in corpus() {
        let documents = [(&document.0, &document.1)];
        let source = &document.0;
        // Of a long document not every place, but as many as of a short one.
        let step = source.text().len() / 300 + 1;
        let places = source.text().char_indices().chain([(source.text().len(), ' ')]);
        for (offset, _) in places.step_by(step) {
            if let Some(hover) = hover(&documents, 0, offset) {
                assert!(hover.span.start <= offset && offset <= hover.span.end, "{} {offset}", source.name());
            }
            for it in complete(&documents, 0, offset) {
                assert!(source.text().get(it.replaces.range()).is_some(), "{} {offset}", source.name());
                assert!(it.replaces.start <= offset && offset <= it.replaces.end, "{} {offset}", source.name());
            }
            let places = definitions(&documents, 0, offset).into_iter().chain(references(&documents, 0, offset, true));
            assert!(places.into_iter().all(|it| source.text().get(it.span.range()).is_some()));
        }
    }
}

#[test]
fn every_document_has_an_outline_folds_and_colours() {
    for (source, parsed) in corpus() {
        let mut entries = outline(&source, &parsed);
        while let Some(entry) = entries.pop() {
            assert!(entry.span.start <= entry.name_span.start && entry.name_span.end <= entry.span.end);
            assert!(source.text().get(entry.span.range()).is_some() && !entry.name.contains('\n'));
            entries.extend(entry.children);
        }
        assert!(folds(&source, &parsed).iter().all(|it| source.text().get(it.range()).is_some()));
        let words = highlights(&source, &parsed);
        assert!(words.is_sorted_by(|a, b| a.span.end <= b.span.start), "{}", source.name());
        assert!(words.iter().all(|it| source.text().get(it.span.range()).is_some_and(|it| !it.is_empty())));
    }
}

//! `--fix`: what is mended in files, what is left alone, and what is said of it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use gatehouse::{format::same_meaning, source::Source, syntax::parse};

use crate::tool::Folder;

/// An error, a lint with a safe fix, and one whose fix grants less.
const BROKEN: &str = "job::/sandbox/tom {\n  if (LDAP->group = \"ops\" and LDAP->team == 'web') { permit ssh }\n}\n";
const TRAILING: &str = "job::/sandbox/tom/ {\n  if (LDAP->group == \"ops\") { permit ssh }\n}\n";
const PREFIX: &str =
    "job::/sandbox/[name] {\n  if (auth_server@apcera.me->name beginsWith \"[name]\") { permit read }\n}\n";

#[test]
fn errors_are_mended_and_the_file_holds_them_no_more() {
    let folder = Folder::with(&[("a.pol", BROKEN)]);
    let outcome = folder.policy(&["check", "--fix", "a.pol"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, ""), "{}", outcome.err);
    assert_eq!(outcome.err, "mended 3 findings in 1 document\nnothing found in 1 document\n");
    let mended = "job::/sandbox/tom {\n  if (LDAP->group == \"ops\" && LDAP->team == \"web\") { permit ssh }\n}\n";
    assert_eq!(folder.read("a.pol"), mended);
}

#[test]
fn check_mends_no_lint_and_lint_mends_both() {
    let folder = Folder::with(&[("a.pol", TRAILING)]);
    assert_eq!(folder.policy(&["check", "--fix", "a.pol"]).code, 0);
    assert_eq!(folder.read("a.pol"), TRAILING);
    let outcome = folder.policy(&["lint", "--fix", "--json", "a.pol"]);
    assert_eq!((outcome.code, outcome.codes().len()), (0, 0), "{}", outcome.err);
    assert_eq!(folder.read("a.pol"), TRAILING.replace("tom/ {", "tom {"));
}

#[test]
fn a_fix_that_may_change_grants_is_applied_when_asked_for_only() {
    let folder = Folder::with(&[("a.pol", PREFIX)]);
    let kept = folder.policy(&["lint", "--fix", "--json", "a.pol"]);
    assert_eq!((kept.code, kept.codes()), (1, vec!["W0101".to_owned()]));
    assert_eq!(folder.read("a.pol"), PREFIX);
    let mended = folder.policy(&["lint", "--fix", "--unsafe-fixes", "--json", "a.pol"]);
    assert_eq!(mended.code, 0, "{}{}", mended.out, mended.err);
    assert!(folder.read("a.pol").contains("name == \"[name]\""), "{}", folder.read("a.pol"));
    assert_eq!(folder.policy(&["lint", "--unsafe-fixes", "a.pol"]).code, 2);
}

#[test]
fn what_cannot_be_written_is_told_as_it_is() {
    let folder = Folder::with(&[("a.pol", TRAILING), ("b.pol", &TRAILING.replace("tom", "mary"))]);
    fs::set_permissions(folder.path().join("a.pol"), fs::Permissions::from_mode(0o444)).unwrap();
    let outcome = folder.policy(&["lint", "--fix", "--json", "a.pol", "b.pol"]);
    assert_eq!((outcome.code, outcome.codes()), (2, vec!["W0124".to_owned()]));
    assert!(outcome.err.contains("a.pol") && outcome.err.contains("read-only"), "{}", outcome.err);
    assert_eq!(folder.read("a.pol"), TRAILING);
    assert!(folder.read("b.pol").contains("mary {"));
}

#[test]
fn bytes_that_are_no_document_are_left_alone() {
    let folder = Folder::with(&[]);
    folder.write("bytes.pol", b"job::/ { \xff }");
    let outcome = folder.policy(&["check", "--fix", "--json", "bytes.pol"]);
    assert_eq!((outcome.code, outcome.codes()), (1, vec!["E0002".to_owned()]));
    assert_eq!(fs::read(folder.path().join("bytes.pol")).unwrap(), b"job::/ { \xff }");
}

/// Every case of the corpus and every real document: a file without errors grants the same afterwards, and a second run
/// finds nothing more to do.
#[test]
fn no_fix_called_safe_changes_a_grant_or_needs_a_second_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = fs::read_dir(root.join("tests/lint")).unwrap().map(|it| it.unwrap().path().join("case.pol"));
    // Real documents of other projects, where they lie beside this one.
    let real = fs::read_dir(root.join("../shared/policies-real")).into_iter().flatten().map(|it| it.unwrap().path());
    let (mut documents, mut mended) = (0, 0);
    for path in cases.chain(real) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let folder = Folder::with(&[("case.pol", &text)]);
        folder.policy(&["lint", "--fix", "case.pol"]);
        let once = folder.read("case.pol");
        let again = folder.policy(&["lint", "--fix", "case.pol"]);
        assert_eq!(folder.read("case.pol"), once, "{}: {}", path.display(), again.err);
        let parsed = |text: &str| parse(&Source::new("case.pol", text.as_bytes().to_vec()).unwrap());
        let (old, new) = (parsed(&text), parsed(&once));
        if old.is_usable() {
            assert!(new.is_usable(), "{}", path.display());
            // Errors of the compiler are mended too; such a document granted nothing.
            let compiles = folder.policy(&["check", "case.pol"]).code == 0;
            let did = {
                folder.write("old.pol", text.as_bytes());
                folder.policy(&["check", "old.pol"]).code == 0
            };
            assert!(!did || (compiles && same_meaning(&old.document, &new.document)), "{}", path.display());
        }
        documents += 1;
        mended += usize::from(text != once);
    }
    assert!(documents >= 120 && mended >= 8, "{mended} of {documents}");
}

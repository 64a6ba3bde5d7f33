//! `check`, `lint` and `explain`: diagnostics, sets and exit codes.

use gatehouse::limits::DOCUMENT_BYTES_MAX;
use serde_json::json;

use crate::tool::Folder;

const CLEAN: &str = "job::/sandbox/tom {\n  if (LDAP->group == \"ops\") { permit ssh }\n}\n";
const BROKEN: &str = "job::/sandbox/tom {\n  if (LDAP->group = \"ops\") { permit ssh }\n}\n";
const REGRETTABLE: &str = "job::/sandbox/tom {\n  { permit read }\n}\n";

#[test]
fn exit_code_tells_clean_findings_and_unreadable() {
    let folder = Folder::with(&[("clean.pol", CLEAN), ("broken.pol", BROKEN), ("lint.pol", REGRETTABLE)]);
    for (verb, arguments, code) in [
        ("check", &["clean.pol"][..], 0),
        ("check", &["lint.pol"], 0),
        ("check", &["broken.pol"], 1),
        ("check", &["absent.pol"], 2),
        // The worst wins.
        ("check", &["broken.pol", "absent.pol"], 2),
        ("lint", &["clean.pol"], 0),
        ("lint", &["lint.pol"], 1),
        ("lint", &["broken.pol"], 1),
        ("lint", &["lint.pol", "absent.pol"], 2),
        ("lint", &["--deny", "warnings", "lint.pol"], 1),
        ("check", &[], 2),
        ("check", &["--no-such-flag", "clean.pol"], 2),
        ("check", &["--format", "yaml", "clean.pol"], 2),
    ] {
        let outcome = folder.policy(&[&[verb], arguments].concat());
        assert_eq!(outcome.code, code, "{verb} {arguments:?}\n{}{}", outcome.out, outcome.err);
    }
}

#[test]
fn json_stands_alone_on_standard_output() {
    let folder = Folder::with(&[("clean.pol", CLEAN), ("broken.pol", BROKEN)]);
    for flag in [&["--format", "json"][..], &["--json"]] {
        let clean = folder.policy(&[&["check"], flag, &["clean.pol"]].concat());
        assert_eq!((clean.code, clean.json()), (0, json!([])));
        let broken = folder.policy(&[&["check"], flag, &["broken.pol", "absent.pol"]].concat());
        assert_eq!(broken.codes(), ["E0402"]);
        assert!(broken.err.contains("absent.pol"), "{}", broken.err);
    }
}

#[test]
fn diagnostic_has_the_promised_keys_and_places() {
    // The é and the tab count one column each and two bytes and one.
    let text = "job::/é {\n\tif (LDAP->group = \"ops\") { permit ssh }\n}\n";
    let folder = Folder::with(&[("a/broken.pol", text)]);
    let outcome = folder.policy(&["check", "--json", "a/broken.pol"]);
    let found = &outcome.json()[0];
    let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let mut promised =
        ["code", "name", "severity", "file", "start", "end", "message", "label", "labels", "help", "fixes"];
    promised.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, promised);
    assert_eq!(found["name"], "misspelled-operator");
    assert_eq!(found["severity"], "error");
    assert_eq!(found["file"], "a/broken.pol");
    let offset = text.find(" = ").unwrap() + 1;
    assert_eq!(found["start"], json!({"line": 2, "column": 18, "offset": offset}));
    assert_eq!(found["end"], json!({"line": 2, "column": 19, "offset": offset + 1}));
    let fix = &found["fixes"][0];
    assert_eq!(fix["edits"][0]["text"], "==");
    assert_eq!(fix["edits"][0]["start"]["offset"], offset);
    assert!(fix["title"].is_string() && fix["safe"].is_boolean());
}

#[test]
fn arguments_form_one_set() {
    let tested = "job::/a { if (role == ops) { permit read } }\n";
    let asserted = "job::/b { if (LDAP->group == \"x\") { role ops } }\n";
    let folder = Folder::with(&[("tested.pol", tested), ("asserted.pol", asserted)]);
    assert_eq!(folder.policy(&["lint", "--json", "tested.pol"]).codes(), ["W0105"]);
    assert_eq!(folder.policy(&["lint", "--json", "tested.pol", "asserted.pol"]).code, 0);
    assert_eq!(folder.policy(&["lint", "--json", "."]).code, 0);
}

#[test]
fn documents_of_one_name_are_an_error_and_system_documents_have_theirs() {
    let folder = Folder::with(&[("a/web.pol", CLEAN), ("b/web.pol", CLEAN), ("clusterPermissions.pol", CLEAN)]);
    assert_eq!(folder.policy(&["check", "--json", "a/web.pol", "b/web.pol"]).codes(), ["E0602"]);
    assert_eq!(folder.policy(&["check", "--json", "clusterPermissions.pol"]).codes(), ["E0602"]);
    assert_eq!(folder.policy(&["check", "--no-system", "clusterPermissions.pol"]).code, 0);
}

#[test]
fn folder_means_its_policy_documents_and_an_empty_one_is_no_clean_one() {
    let folder =
        Folder::with(&[("a/web.pol", BROKEN), ("a/notes.txt", "x"), ("a/deep/other.pol", BROKEN), ("b/x", "")]);
    let found = folder.policy(&["check", "--json", "a"]);
    assert_eq!((found.code, found.codes().len()), (1, 1));
    assert_eq!(found.json()[0]["file"], "a/web.pol");
    let empty = folder.policy(&["check", "b"]);
    assert_eq!(empty.code, 2);
    assert!(empty.err.contains("there is no `*.pol`"), "{}", empty.err);
}

#[test]
fn bytes_that_are_no_document_are_one_diagnostic_each() {
    let folder = Folder::with(&[]);
    folder.write("bytes.pol", b"job::/ { \xff }");
    folder.write("large.pol", &vec![b'{'; DOCUMENT_BYTES_MAX + 1]);
    let found = folder.policy(&["check", "--json", "bytes.pol", "large.pol"]);
    assert_eq!((found.code, found.codes()), (1, vec!["E0002".to_owned(), "E0001".to_owned()]));
}

#[test]
fn check_tells_errors_alone_and_lint_tells_both() {
    let both = format!("{BROKEN}{REGRETTABLE}");
    let folder = Folder::with(&[("both.pol", &both)]);
    assert_eq!(folder.policy(&["check", "--json", "both.pol"]).codes(), ["E0402"]);
    assert_eq!(folder.policy(&["lint", "--json", "both.pol"]).codes(), ["E0402", "W0103"]);
}

#[test]
fn denied_warnings_are_called_errors() {
    let folder = Folder::with(&[("lint.pol", REGRETTABLE)]);
    let severity = |arguments: &[&str]| folder.policy(arguments).json()[0]["severity"].clone();
    assert_eq!(severity(&["lint", "--json", "lint.pol"]), "warning");
    assert_eq!(severity(&["lint", "--json", "--deny", "warnings", "lint.pol"]), "error");
}

#[test]
fn report_for_people_is_on_standard_output_and_its_count_beside_it() {
    let folder = Folder::with(&[("broken.pol", BROKEN)]);
    let outcome = folder.policy(&["check", "broken.pol"]);
    assert!(outcome.out.contains("broken.pol:2:19") && outcome.out.contains("E0402"), "{}", outcome.out);
    assert_eq!(outcome.err, "1 error in 1 document\n");
}

#[test]
fn hidden_characters_of_a_document_reach_nobody() {
    let folder = Folder::with(&[("evil.pol", "job::/\u{1b}]0;x\u{7} { permit \u{202e}read }\n")]);
    for arguments in [&["check", "evil.pol"][..], &["check", "--json", "evil.pol"]] {
        let outcome = folder.policy(arguments);
        assert_eq!(outcome.code, 1);
        assert!(outcome.out.chars().all(|it| it == '\n' || !it.is_control() && it != '\u{202e}'), "{:?}", outcome.out);
    }
}

#[test]
fn explain_prints_a_manual_by_code_or_name_and_lists_all_without() {
    let folder = Folder::with(&[]);
    let by_code = folder.policy(&["explain", "e0402"]);
    assert_eq!(by_code.code, 0);
    assert_eq!(by_code.out, folder.policy(&["explain", "misspelled-operator"]).out);
    assert!(by_code.out.contains("Why it matters") && by_code.out.contains("Instead"), "{}", by_code.out);
    let all = folder.policy(&["explain", "--json"]);
    assert_eq!(all.json().as_array().unwrap().len(), gatehouse::diagnostic::Code::ALL.len());
    let unknown = folder.policy(&["explain", "misspeled-operator"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
    assert!(unknown.err.contains("did you mean `misspelled-operator`?"), "{}", unknown.err);
}

//! `apc policy test`: exit codes, what is said of a failure, coverage, changes that no test notices, and watching.

use std::io::{BufRead, BufReader};

use crate::tool::{Folder, program};

const DOCUMENT: &str = "job::/prod {\n  if (LDAP->group == \"ops\" && mfa == \"totp\") { permit ssh }\n}\n";
const TESTS: &str = r#"[defaults]
target = "job::/prod::web"
want = "permit ssh"
[[test]]
name = "ops with a second factor get in"
facts = { "LDAP->group" = "ops" }
context = { mfa = "totp" }
allow = true
"#;
const STRANGER: &str = "[[test]]\nname = \"others do not\"\nmissing = \"permit ssh\"\nfacts = { \"LDAP->group\" = \"dev\" }\ncontext = { mfa = \"totp\" }\n";
const UNSAFE: &str =
    "[[test]]\nname = \"not without it\"\nmissing = \"permit ssh\"\nfacts = { \"LDAP->group\" = \"ops\" }\n";
const ABOVE: &str = "[[test]]\nname = \"nor elsewhere\"\nmissing = \"permit ssh\"\ntarget = \"job::/web\"\nfacts = { \"LDAP->group\" = \"ops\" }\ncontext = { mfa = \"totp\" }\n";

fn folder(tests: &[&str]) -> Folder {
    Folder::with(&[("prod.pol", DOCUMENT), ("decisions.toml", &tests.concat())])
}

#[test]
fn exit_code_tells_passed_failed_and_unreadable() {
    let passing = folder(&[TESTS]);
    assert_eq!(passing.policy(&["test", "."]).code, 0);
    assert_eq!(passing.policy(&["test", "absent"]).code, 2);
    assert_eq!(passing.policy(&["test", "--filter", "no such", "."]).code, 2);
    let failing = folder(&[&TESTS.replace("allow = true", "allow = false")]);
    assert_eq!(failing.policy(&["test", "."]).code, 1);
    assert_eq!(failing.policy(&["test", ".", "absent"]).code, 2);
    let broken = folder(&["[[test]]\nname = 1\n"]);
    assert_eq!(broken.policy(&["test", "."]).code, 1);
    let untested = Folder::with(&[("prod.pol", DOCUMENT)]);
    let outcome = untested.policy(&["test", "."]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.out.contains("there is no `decisions.toml`"), "{}{}", outcome.out, outcome.err);
}

#[test]
fn a_failure_says_what_came_instead_and_why() {
    let folder = folder(&[&TESTS.replace("\"totp\" }", "\"none\" }")]);
    let outcome = folder.policy(&["test", "."]);
    assert_eq!(outcome.code, 1);
    for part in ["failed: ops with a second factor get in", "expected to be allowed, but it is not", "mfa == \"totp\""]
    {
        assert!(outcome.out.contains(part), "{part}: {}", outcome.out);
    }
    let json = folder.policy(&["test", "--json", "."]).json();
    assert_eq!((&json[0]["passed"], &json[0]["tests"]), (&false.into(), &1.into()));
    assert_eq!(json[0]["failed"][0]["failures"][0]["key"], "allow");
}

#[test]
fn coverage_below_the_threshold_fails() {
    let half = folder(&[TESTS]);
    assert_eq!(half.policy(&["test", "--coverage", "."]).code, 0);
    assert_eq!(half.policy(&["test", "--coverage", "--threshold", "60", "."]).code, 0);
    let outcome = half.policy(&["test", "--coverage", "--threshold", "100", "."]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.out.contains("holds in every test"), "{}", outcome.out);
    let whole = folder(&[TESTS, STRANGER, UNSAFE]);
    assert_eq!(whole.policy(&["test", "--coverage", "--threshold", "100", "."]).code, 0);
    let lcov = whole.policy(&["test", "--coverage", "--format", "lcov", "."]).out;
    assert!(
        lcov.contains("SF:./prod.pol\n") && lcov.contains("BRF:4\nBRH:4\n") && lcov.ends_with("end_of_record\n"),
        "{lcov}"
    );
    assert_eq!(whole.policy(&["test", "--format", "lcov", "."]).code, 2);
    assert_eq!(whole.policy(&["test", "--threshold", "101", "."]).code, 2);
}

#[test]
fn a_change_that_no_test_notices_is_told_and_fails() {
    let weak = folder(&[TESTS, STRANGER]);
    let outcome = weak.policy(&["test", "--mutate", "."]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.out.contains("prod.pol:2:31 no test would notice: granted whether or not `mfa == \"totp\"`"),
        "{}",
        outcome.out
    );
    let json = weak.policy(&["test", "--mutate", "--json", "."]).json();
    let survived = json[0]["mutants"]["survived"].as_array().unwrap().len();
    assert!(survived > 0 && json[0]["mutants"]["complete"] == true);
    let strong = folder(&[TESTS, STRANGER, UNSAFE, ABOVE]);
    let outcome = strong.policy(&["test", "--mutate", "."]);
    assert_eq!(outcome.code, 0, "{}", outcome.out);
    assert!(outcome.out.contains("5 of 5 changes noticed"), "{}", outcome.out);
}

#[test]
fn watching_runs_again_after_each_change() {
    let folder = folder(&[TESTS]);
    let mut child = program(folder.path(), &["test", "--watch", "."]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut next = |what: &str| lines.find(|it| it.contains(what)).unwrap();
    next("1 test passed");
    folder.write("decisions.toml", TESTS.replace("allow = true", "allow = false").as_bytes());
    next("1 of 1 test failed");
    folder.write("notes.txt", b"nothing");
    folder.write("prod.pol", DOCUMENT.replace("ops", "dev").as_bytes());
    next("1 test passed");
    child.kill().unwrap();
    child.wait().unwrap();
}

//! `.gatehouse.toml`: where it is found, what it decides, and what a mistake in it leads to.

use std::fs;

use crate::tool::Folder;

const REGRETTABLE: &str = "job::/sandbox/tom {\n  { permit read }\n}\n";
const LONG: &str = "auth::/oauth2/http {\n  { tokenTimeout \"20h\" }\n}\n";
const ISSUER: &str = "job::/prod {\n  if (Okta->group == \"ops\") { permit read }\n}\n";

#[test]
fn levels_of_the_site_count() {
    let folder = Folder::with(&[("a.pol", REGRETTABLE), (".gatehouse.toml", "[lint.levels]\nW0103 = \"error\"\n")]);
    let outcome = folder.policy(&["lint", "--json", "a.pol"]);
    assert_eq!(outcome.json()[0]["severity"], "error");
    folder.write(".gatehouse.toml", b"[lint.levels]\nunconditional-grant = \"off\"\n");
    assert_eq!(folder.policy(&["lint", "a.pol"]).code, 0);
    assert_eq!(folder.policy(&["lint", "--no-config", "a.pol"]).code, 1);
    folder.write("strict.toml", b"[lint.levels]\nunconditional-grant = \"note\"\n");
    let strict = folder.policy(&["lint", "--config", "strict.toml", "a.pol"]);
    assert_eq!((strict.code, strict.err.as_str()), (1, "1 note in 1 document\n"));
    assert_eq!(folder.policy(&["lint", "--config", "strict.toml", "--no-config", "a.pol"]).code, 2);
}

#[test]
fn rules_go_by_what_the_site_says() {
    let folder = Folder::with(&[("a.pol", LONG), ("b.pol", ISSUER)]);
    assert_eq!(folder.policy(&["lint", "--json", "a.pol", "b.pol"]).codes(), Vec::<String>::new());
    let text = "[lint.long-token-timeout]\nmax = \"12h\"\n[lint.unknown-issuer]\nissuers = [\"LDAP\"]\n";
    folder.write(".gatehouse.toml", text.as_bytes());
    assert_eq!(folder.policy(&["lint", "--json", "a.pol", "b.pol"]).codes(), ["W0113", "W0115"]);
}

#[test]
fn settings_of_the_repository_hold_below_it_and_a_stranger_s_above_do_not() {
    let folder =
        Folder::with(&[("repo/deep/a.pol", REGRETTABLE), (".gatehouse.toml", "[lint.levels]\nW0103 = \"off\"\n")]);
    let deep = folder.below("repo/deep");
    assert_eq!(deep.policy(&["lint", "a.pol"]).code, 1);
    fs::create_dir(folder.path().join("repo/.git")).unwrap();
    assert_eq!(deep.policy(&["lint", "a.pol"]).code, 1);
    folder.write("repo/.gatehouse.toml", b"[lint.levels]\nW0103 = \"off\"\n");
    assert_eq!(deep.policy(&["lint", "a.pol"]).code, 0);
}

#[test]
fn settings_that_cannot_be_read_are_no_default_ones() {
    let folder =
        Folder::with(&[("a.pol", REGRETTABLE), (".gatehouse.toml", "[lint.levels]\nunconditional-grnt = \"off\"\n")]);
    let outcome = folder.policy(&["lint", "--json", "a.pol"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""));
    assert!(
        outcome.err.contains("E0802") && outcome.err.contains("did you mean `unconditional-grant`?"),
        "{}",
        outcome.err
    );
    assert_eq!(folder.policy(&["lint", "--config", "absent.toml", "a.pol"]).code, 2);
    folder.write(".gatehouse.toml", b"\xff");
    assert_eq!(folder.policy(&["lint", "a.pol"]).code, 2);
    // Errors are errors whatever a site thinks.
    assert_eq!(folder.policy(&["check", "a.pol"]).code, 0);
}

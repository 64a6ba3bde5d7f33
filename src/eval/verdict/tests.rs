//! What is looked up, and what is decided as usual. That both say the same is the matter of `tests/eval`.

use std::fmt::Write as _;

use crate::{
    compile::{PolicySet, System, compile},
    eval::{
        Claim, Fact, Place, Principal, Verdict,
        verdict::{known, verdict_for},
    },
    source::Source,
    syntax::fqn::FqnRef,
};

fn set(text: &str) -> PolicySet {
    compile(&[Source::new("a.pol", text.as_bytes().to_vec()).unwrap()], System::Included).unwrap()
}

fn named(name: &str) -> Principal {
    Principal::new(vec![Fact::new("auth_server@apcera.me", "name", name)], None).unwrap()
}

/// What looking up tells; nothing where it cannot.
fn looked_up(set: &PolicySet, principal: &Principal, target: &str, want: &str) -> Option<Verdict> {
    known(set, principal.facts(), FqnRef::parse(target).unwrap(), &[Claim::permit(want)])
}

#[test]
fn a_verdict_names_the_rule() {
    let set = set("job::/sandbox/tom {\n  if (auth_server@apcera.me->name == \"tom\") { permit ssh }\n}");
    let Some(Verdict::Allowed(reason)) = looked_up(&set, &named("tom"), "job::/sandbox/tom::web", "ssh") else {
        panic!("not looked up");
    };
    assert_eq!(reason.place(&set), Some(Place { document: "a".to_owned(), line: 2, column: 3 }));
}

#[test]
fn what_is_common_is_looked_up() {
    let text = r#"
        job::/sandbox/[name] { if (auth_server@apcera.me->name == "[name]") { role admin } }
        job::/prod { if (LDAP->group == "sre" && time.hour >= 8) { role oncall } }
        job::/prod::web { if (role == oncall || role == lead) { permit ssh } }
        job::/[team]/[team] { if (LDAP->group beginsWith "x-") { permit read } }
    "#;
    let set = set(text);
    let allowed =
        |principal: &Principal, target, want| looked_up(&set, principal, target, want).map(Verdict::is_allowed);
    let (tom, mary) = (named("tom"), named("mary"));
    for permit in ["ssh", "exec", "shell", "create"] {
        assert_eq!(allowed(&tom, "job::/sandbox/tom::web", permit), Some(true), "{permit}");
        assert_eq!(allowed(&tom, "job::/sandbox/tom/lab::web", permit), Some(true), "{permit}");
        assert_eq!(allowed(&mary, "job::/sandbox/tom::web", permit), Some(false), "{permit}");
    }
    assert_eq!(allowed(&tom, "job::/sandbox/tom::web", "join"), Some(false));
    assert_eq!(allowed(&tom, "package::/sandbox/tom::web", "read"), Some(false));
    let sre = |hour: &str, group: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::context("time.hour", hour)];
        Principal::new(facts, None).unwrap()
    };
    assert_eq!(allowed(&sre("9", "sre"), "job::/prod::web/1", "ssh"), Some(true));
    assert_eq!(allowed(&sre("7", "sre"), "job::/prod::web", "ssh"), Some(false));
    assert_eq!(allowed(&sre("9", "sre"), "job::/prod::db", "ssh"), Some(false));
    assert_eq!(allowed(&sre("9", "x-1"), "job::/a/a::db", "read"), Some(true));
    assert_eq!(allowed(&sre("9", "x-1"), "job::/a/b::db", "read"), Some(false));
}

#[test]
fn what_looking_up_cannot_tell_is_decided() {
    let text = r#"
        job::/circle {
            if (role == a) { role b }
            if (role == b) { role a, permit ssh }
            if (LDAP->group == "sre") { role b }
        }
        job::/limited { if (LDAP->group == "sre") { permit ssh, ssh.require mfa } }
        job::/[a]/[b]/[c]/[d]/[e]/[f]/[g]/[h]/[i] { if (LDAP->group == "sre") { permit ssh } }
    "#;
    let set =
        set(&text.replace("role a, permit ssh", "role a permit ssh").replace("ssh, ssh.require", "ssh ssh.require"));
    let principal = |group| Principal::new(vec![Fact::new("LDAP", "group", group)], None).unwrap();
    let verdict = |group, target: &str| verdict_for(&set, &principal(group), target, &[Claim::permit("ssh")]).unwrap();
    assert_eq!(looked_up(&set, &principal("dba"), "job::/circle", "ssh"), None);
    assert_eq!(verdict("dba", "job::/circle"), Verdict::Missing(0));
    assert!(looked_up(&set, &principal("sre"), "job::/circle", "ssh").is_some_and(Verdict::is_allowed));
    assert_eq!(looked_up(&set, &principal("sre"), "job::/limited", "ssh"), None);
    assert_eq!(verdict("sre", "job::/limited"), Verdict::Refused);
    assert_eq!(looked_up(&set, &principal("dba"), "job::/limited", "ssh"), Some(Verdict::Missing(0)));
    assert_eq!(looked_up(&set, &principal("sre"), "job::/1/2/3/4/5/6/7/8/9", "ssh"), None);
    assert!(verdict("sre", "job::/1/2/3/4/5/6/7/8/9").is_allowed());
}

#[test]
fn of_many_rules_on_one_realm_only_those_that_can_hold_are_tried() {
    let mut rules = String::new();
    for at in 0..1_000 {
        writeln!(rules, "  if (LDAP->group == \"g{at}\" && time.hour < 12) {{ role r{} }}", at % 7).unwrap();
    }
    let set = set(&format!("job::/prod {{\n{rules}  if (role == r3) {{ permit ssh }}\n}}"));
    let allowed = |group: &str, hour: &str| {
        let facts = vec![Fact::new("LDAP", "group", group), Fact::context("time.hour", hour)];
        looked_up(&set, &Principal::new(facts, None).unwrap(), "job::/prod::web", "ssh").map(Verdict::is_allowed)
    };
    assert_eq!(allowed("g10", "9"), Some(true));
    assert_eq!(allowed("g10", "13"), Some(false));
    assert_eq!(allowed("g11", "9"), Some(false));
    assert_eq!(allowed("g1000", "9"), Some(false));
}

//! What `why` says, word for word: someone who was woken by a refusal reads it.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::tool::Folder;

/// The answer for people, and the sentence for programs, which is its first line.
fn check(documents: &[(&str, &str)], request: &Value, answer: &Expect) {
    let folder = Folder::with(documents);
    let names: Vec<&str> = documents.iter().map(|(name, _)| *name).collect();
    let ask = |flags: &[&str]| folder.policy_with_input(&[&["why"], flags, &names].concat(), &request.to_string());
    let text = ask(&[]);
    answer.assert_eq(&text.out);
    let json = ask(&["--json"]);
    assert_eq!(text.code, json.code);
    let first = text.out.lines().next().unwrap();
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(told.get("sentence").unwrap().as_str().unwrap(), first);
}

fn ssh(target: &str, facts: &[(&str, &str, &str)]) -> Value {
    let fact = |(issuer, kind, value): &(&str, &str, &str)| json!({ "issuer": issuer, "type": kind, "value": value });
    let facts: Vec<Value> = facts.iter().map(fact).collect();
    json!({ "target": target, "facts": facts, "want": [{ "type": "permit", "value": "ssh" }] })
}

const NAME: &str = "auth_server@apcera.me";

const ONCALL: &str = r#"job::/prod {
  if (LDAP->group == "oncall" && approval->LDAP.group == "sre-leads") { permit ssh }
  if (LDAP->group == "dba") {
    if (time.weekday in (sat, sun) || mfa == "totp") { role db }
  }
}
job::/prod/db { if (role == db) { permit ssh } }
"#;

#[test]
fn a_grant_is_a_chain_from_the_fact_to_the_permit() {
    let sandbox = "job::/sandbox/[name] {\n  if (auth_server@apcera.me->name == \"[name]\") { role admin }\n}\n";
    let request = ssh("job::/sandbox/tom::web", &[(NAME, "name", "tom")]);
    check(
        &[("sandbox.pol", sandbox)],
        &request,
        &expect![[r#"
        allowed: "permit ssh" on "job::/sandbox/tom::web"

          sandbox:2:3              role admin  because auth_server@apcera.me->name is "tom"
          rolePermissions:21:3     permit all  because role admin
          clusterPermissions:20:3  permit ssh  because permit all
    "#]],
    );
}

#[test]
fn a_denial_names_the_condition_that_was_nearest() {
    let request = ssh("job::/prod::web", &[(NAME, "name", "tom"), ("LDAP", "group", "oncall")]);
    check(
        &[("prod.pol", ONCALL)],
        &request,
        &expect![[r#"
        denied: missing claim "permit ssh" on "job::/prod::web"; the nearest rule, prod:2:3, needs `approval->LDAP.group == "sre-leads"`

        what comes nearest:

          prod:2:3 would give permit ssh
            ✓ LDAP->group == "oncall"
            ✗ approval->LDAP.group == "sre-leads"   (the request has no such fact)
    "#]],
    );
}

#[test]
fn a_denial_through_a_role_names_what_the_role_needs() {
    let request = ssh("job::/prod/db::main", &[(NAME, "name", "eve"), ("LDAP", "group", "dba")]);
    check(
        &[("prod.pol", ONCALL)],
        &request,
        &expect![[r#"
        denied: missing claim "permit ssh" on "job::/prod/db::main"; the nearest rule, prod:4:5, needs 1 of `time.weekday in (sat, sun)`, `mfa == "totp"`

        what comes nearest:

          prod:4:5 would give role db, and with it permit ssh
            ✓ LDAP->group == "dba"
            ✗ time.weekday in (sat, sun)   (the request has no such fact)
            ✗ mfa == "totp"   (the request has no such fact)

          prod:2:3 would give permit ssh
            ✗ LDAP->group == "oncall"   (it is "dba")
            ✗ approval->LDAP.group == "sre-leads"   (the request has no such fact)
    "#]],
    );
}

#[test]
fn a_denial_where_no_rule_helps_says_so() {
    let request = ssh("job::/elsewhere::web", &[(NAME, "name", "tom")]);
    check(
        &[("prod.pol", "job::/prod { { permit read } }\n")],
        &request,
        &expect![[r#"
        denied: missing claim "permit ssh" on "job::/elsewhere::web"; the nearest rule, clusterPermissions:20:3, needs `permit == all`

        what comes nearest:

          clusterPermissions:20:3 would give permit ssh
            ✗ permit == all   (no rule has given it)

          rolePermissions:21:3 would give permit all, and with it permit ssh
            ✗ role == admin   (no rule has given it)
    "#]],
    );
}

#[test]
fn a_fact_of_another_issuer_is_pointed_out() {
    let request = ssh("job::/prod::web", &[("Google", "group", "oncall"), ("approval", "LDAP.group", "sre-leads")]);
    check(
        &[("prod.pol", ONCALL)],
        &request,
        &expect![[r#"
        denied: missing claim "permit ssh" on "job::/prod::web"; the nearest rule, prod:2:3, needs `LDAP->group == "oncall"`

        what comes nearest:

          prod:2:3 would give permit ssh
            ✗ LDAP->group == "oncall"   (the request has no such fact; the request has `Google->group oncall`, which is of another issuer)
            ✓ approval->LDAP.group == "sre-leads"
    "#]],
    );
}

#[test]
fn a_guardrail_refuses_what_was_granted() {
    let guarded = "job::/prod {\n  { ssh.require mfa }\n  if (LDAP->group == ops) { permit ssh }\n}\n";
    let request = ssh("job::/prod::web", &[("LDAP", "group", "ops")]);
    check(
        &[("guarded.pol", guarded)],
        &request,
        &expect![[r#"
        refused on "job::/prod::web": `ssh.require` asks for `mfa`, which the request does not bring

          guarded:3:3  permit ssh  because LDAP->group is "ops"

        in force: ssh.require mfa
    "#]],
    );
}

#[test]
fn a_time_window_tells_when_it_turns() {
    let window = "job::/prod {\n  if (time.hour >= 8 && time.hour < 18) { permit ssh }\n}\n";
    let mut request = ssh("job::/prod::web", &[(NAME, "name", "tom")]);
    request.as_object_mut().unwrap().insert("now".to_owned(), json!("2026-11-26T03:00:00+01:00"));
    check(
        &[("window.pol", window)],
        &request,
        &expect![[r#"
        denied: missing claim "permit ssh" on "job::/prod::web"; the nearest rule, window:2:3, needs `time.hour >= 8`

        what comes nearest:

          window:2:3 would give permit ssh
            ✗ time.hour >= 8   (it is "3")
            ✓ time.hour < 18

        a time condition turns at 2026-11-26T08:00:00+01:00
    "#]],
    );
}

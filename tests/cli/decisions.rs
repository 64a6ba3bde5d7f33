//! `decide` and `why`: one answer for each request, whatever stands on its line.

use serde_json::{Value, json};

use crate::tool::{Folder, Outcome};

const SANDBOX: &str = "job::/sandbox/[name] {\n  if (auth_server@apcera.me->name == \"[name]\") { role admin }\n}\n";

fn request(target: &str, name: &str, want: &str) -> Value {
    json!({
        "target": target,
        "facts": [{"issuer": "auth_server@apcera.me", "type": "name", "value": name}],
        "want": [{"type": "permit", "value": want}],
    })
}

fn decide(arguments: &[&str], input: &str) -> Outcome {
    let folder = Folder::with(&[("sandbox.pol", SANDBOX)]);
    folder.policy_with_input(&[&["decide"], arguments, &["sandbox.pol"]].concat(), input)
}

#[test]
fn answer_has_the_promised_keys_in_order() {
    let outcome = decide(&[], &format!("{}\n", request("job::/sandbox/tom::web", "tom", "ssh")));
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    let keys = ["\"allowed\"", "\"missing\"", "\"claims\"", "\"because\"", "\"effective\""];
    let places: Vec<usize> = keys.iter().map(|it| outcome.out.find(it).unwrap()).collect();
    assert!(places.is_sorted(), "{}", outcome.out);
    let answer = &outcome.lines()[0];
    assert_eq!(answer["allowed"], true);
    assert_eq!(answer["missing"], json!([]));
    assert_eq!(answer["effective"], json!({}));
    let claims = answer["claims"].as_array().unwrap();
    assert!(claims.contains(&json!({"type": "role", "value": "admin"})));
    let texts: Vec<(&str, &str)> =
        claims.iter().map(|it| (it["type"].as_str().unwrap(), it["value"].as_str().unwrap())).collect();
    assert!(texts.is_sorted_by(|a, b| a < b), "unique and sorted: {texts:?}");
    let because = answer["because"].as_array().unwrap();
    assert!(because.contains(&json!({"document": "sandbox", "line": 2, "column": 3})), "{because:?}");
    assert!(because.iter().any(|it| it["document"] == "rolePermissions"), "system rules are included");
}

#[test]
fn denial_names_what_is_missing_in_the_order_of_the_request() {
    let mut asked = request("job::/sandbox/tom::web", "mary", "ssh");
    asked["want"] = json!([
        {"type": "permit", "value": "ssh"}, {"type": "permit", "value": "read"}, {"type": "permit", "value": "ssh"}
    ]);
    let outcome = decide(&[], &asked.to_string());
    assert_eq!(outcome.code, 1);
    let answer = &outcome.lines()[0];
    let missing = json!([{"type": "permit", "value": "ssh"}, {"type": "permit", "value": "read"}]);
    assert_eq!((&answer["allowed"], &answer["missing"]), (&json!(false), &missing));
    assert_eq!(answer["because"], json!([]));
}

#[test]
fn bad_line_is_answered_in_its_place_and_the_worst_wins() {
    let yes = request("job::/sandbox/tom::web", "tom", "ssh").to_string();
    let no = request("job::/sandbox/tom::web", "mary", "ssh").to_string();
    let outcome = decide(&[], &format!("{yes}\n\n  \nnonsense\n{no}\n"));
    assert_eq!(outcome.code, 2);
    let lines = outcome.lines();
    assert_eq!(lines.len(), 3, "blank lines are skipped");
    assert_eq!((&lines[0]["allowed"], &lines[2]["allowed"]), (&json!(true), &json!(false)));
    assert!(lines[1]["error"].is_string());
    assert_eq!(decide(&[], &format!("{yes}\n{no}\n")).code, 1);
}

#[test]
fn malformed_request_is_an_error() {
    let good = request("job::/sandbox/tom::web", "tom", "ssh").to_string();
    assert_eq!(decide(&[], &good).code, 0);
    for (from, to) in [
        ("\"target\":", "\"aim\":"),
        ("\"target\":", "\"target\":\"job::/\",\"target\":"),
        ("\"facts\":", "\"colour\":1,\"facts\":"),
        ("\"value\":\"tom\"", "\"value\":7"),
        ("\"value\":\"tom\"", "\"value\":null"),
        ("\"value\":\"tom\"", "\"value\":\"to\\u0000m\""),
        ("\"issuer\":\"auth_server@apcera.me\"", "\"issuer\":\"\""),
        ("[{\"type\":\"permit\",\"value\":\"ssh\"}]", "[]"),
        ("job::/sandbox/tom::web", "job::/sandbox/tom/"),
        ("job::/sandbox/tom::web", "job::/sandbox//tom"),
        ("job::/sandbox/tom::web", "job::/sandbox/../tom"),
        ("job::/sandbox/tom::web", "job::/sandbox/tom::*"),
        ("job::/sandbox/tom::web", "jobs::/sandbox"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        let outcome = decide(&[], &bad);
        assert_eq!(outcome.code, 2, "{bad}\n{}", outcome.out);
        assert!(outcome.lines()[0]["error"].is_string(), "{bad}");
    }
}

#[test]
fn facts_may_be_absent_and_now_supplies_the_time() {
    let folder = Folder::with(&[("hours.pol", "job::/ { if (time.hour >= 8 && time.hour < 18) { permit read } }\n")]);
    let ask = |now: &str| {
        let asked = json!({"target": "job::/a::b", "want": [{"type": "permit", "value": "read"}], "now": now});
        folder.policy_with_input(&["decide", "hours.pol"], &asked.to_string())
    };
    assert_eq!(ask("2026-11-25T09:00:00+01:00").code, 0);
    assert_eq!(ask("2026-11-25T20:00:00+01:00").code, 1);
    assert_eq!(ask("2026-11-25T09:00:00").code, 2, "an instant has an offset");
    let without = r#"{"target":"job::/a::b","want":[{"type":"permit","value":"read"}]}"#;
    assert_eq!(folder.policy_with_input(&["decide", "hours.pol"], without).code, 1);
}

#[test]
fn no_request_and_no_set_are_exit_two() {
    let yes = request("job::/sandbox/tom::web", "tom", "ssh").to_string();
    assert_eq!(decide(&[], "").code, 2);
    assert_eq!(decide(&[], "\n \n").code, 2);
    let folder = Folder::with(&[("broken.pol", "job::/ { permit read create }")]);
    let outcome = folder.policy_with_input(&["decide", "broken.pol"], &format!("{yes}\n{yes}\n"));
    assert_eq!((outcome.code, outcome.lines().len()), (2, 2));
    assert!(outcome.lines().iter().all(|it| it["error"].as_str().unwrap().contains("does not compile")));
}

#[test]
fn system_documents_can_be_left_out() {
    let yes = request("job::/sandbox/tom::web", "tom", "ssh").to_string();
    let outcome = decide(&["--no-system"], &yes);
    assert_eq!(outcome.code, 1);
    assert_eq!(outcome.lines()[0]["claims"], json!([{"type": "role", "value": "admin"}]));
}

#[test]
fn restricting_claims_in_force_are_told() {
    let text = "job::/prod { { ssh.maxSession 4h } { ssh.maxSession 1h } if (LDAP->group == ops) { permit ssh } }\n";
    let folder = Folder::with(&[("prod.pol", text)]);
    let asked = json!({
        "target": "job::/prod::db",
        "facts": [{"issuer": "LDAP", "type": "group", "value": "ops"}],
        "want": [{"type": "permit", "value": "ssh"}],
    });
    let outcome = folder.policy_with_input(&["decide", "prod.pol"], &asked.to_string());
    assert_eq!(outcome.lines()[0]["effective"], json!({"ssh.maxSession": ["1h"]}));
}

#[test]
fn why_says_which_rule_granted_and_which_condition_failed() {
    let folder = Folder::with(&[("web.pol", "job::/a {\n  if (LDAP->group == \"ops\") { permit ssh }\n}\n")]);
    let ask = |group: &str, arguments: &[&str]| {
        let asked = json!({
            "target": "job::/a::b",
            "facts": [{"issuer": "LDAP", "type": "group", "value": group}],
            "want": [{"type": "permit", "value": "ssh"}],
        });
        folder.policy_with_input(&[&["why"], arguments, &["web.pol"]].concat(), &asked.to_string())
    };
    let granted = ask("ops", &[]);
    assert_eq!(granted.code, 0);
    assert!(granted.out.contains("web:2:3") && granted.out.contains("ops"), "{}", granted.out);
    let denied = ask("dev", &[]);
    assert_eq!(denied.code, 1);
    assert!(denied.out.contains("permit ssh") && denied.out.contains("LDAP->group == \"ops\""), "{}", denied.out);
    let json = ask("dev", &["--json"]).lines()[0].clone();
    assert_eq!(json["allowed"], false);
    assert_eq!(json["nearest"][0]["place"], json!({"document": "web", "line": 2, "column": 3}));
}

//! Broken documents as people write them: each holds one mistake, and one error tells it.

use gatehouse::{
    diagnostic::{Diagnostic, Fix, mend::apply},
    source::Source,
    syntax::parse,
};

/// The code of the one error, and the document.
const WRITTEN: &[(&str, &str)] = &[
    ("E0116", "permissions:\n  ssh:\n    - tom\n    - mary\n"),
    ("E0116", "---\nname: tom\npermits: [ssh, read]\n"),
    ("E0116", "job::/sandbox/tom:\n  permit: ssh\n  when: LDAP.group == ops\n"),
    ("E0116", "{ \"Version\": \"1\", \"Statement\": [{ \"Effect\": \"Allow\", \"Action\": \"ssh\" }] }\n"),
    ("E0116", "[{ \"realm\": \"job::/prod\", \"permit\": [\"read\"] }]\n"),
    ("E0116", "permit (\n  principal in Group::\"ops\",\n  action == Action::\"ssh\",\n  resource\n);\n"),
    ("E0116", "forbid(principal, action, resource) unless { context.mfa };\n"),
    ("E0116", "package ssh\n\nimport rego.v1\n\nallow if input.user == \"tom\"\n"),
    ("E0116", "default allow := false\nallow { input.role == \"admin\" }\n"),
    ("E0117", "job::/a {\n<<<<<<< HEAD\n  permit read\n=======\n  permit create\n>>>>>>> feature\n}\n"),
    (
        "E0117",
        "job::/a {\n<<<<<<< ours\n  permit read\n||||||| base\n  permit update\n=======\n  permit create\n>>>>>>> theirs\n}\n",
    ),
    ("E0117", "job::/a {\n  permit read\n<<<<<<< HEAD\n}\n"),
    (
        "E0117",
        "<<<<<<< HEAD\njob::/a { permit read }\n=======\njob::/b { permit read }\n>>>>>>> b\njob::/c { permit read }\n",
    ),
    ("E0301", "job::/prod {\n  IF (LDAP->group == \"ops\") { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (LDAP->group == \"ops\" AND time.hour >= 8) { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (LDAP->group == \"ops\" OR LDAP->group == \"sre\") { permit ssh }\n}\n"),
    ("E0301", "ON job::/prod {\n  if (LDAP->group == \"ops\") { permit ssh }\n}\n"),
    ("E0301", "On job::/prod { permit read }\n"),
    ("E0301", "no job::/prod { permit read }\n"),
    ("E0401", "job::/prod {\n  if (NOT role == admin) { permit read }\n}\n"),
    ("E0306", "job::/prod {\n  if (role == admin) { permit read } ELSE { permit update }\n}\n"),
    ("E0401", "job::/prod {\n  unless (role == guest) { permit read }\n}\n"),
    ("E0301", "job::/prod {\n  when (role == admin) { permit read }\n}\n"),
    ("E0301", "job::/prod {\n  if (LDAP->group == \"ops\" time.hour >= 8) { permit ssh }\n}\n"),
    ("E0301", "job::/prod {\n  if (LDAP->group == \"ops\"\n      LDAP->team == \"web\") { permit ssh }\n}\n"),
    ("E0301", "job::/prod {\n  if (LDAP->group == \"ops\" { permit ssh }\n}\n"),
    ("E0301", "job::/prod {\n  if LDAP->group == \"ops\" { permit ssh }\n}\n"),
    ("E0104", "job::/prod {\n  if (LDAP->group == \"ops) { permit ssh }\n}\n"),
    ("E0104", "job::/prod {\n  if (LDAP->group == ops\") { permit ssh }\n}\n"),
    ("E0103", "job::/prod {\n  if (LDAP->group == 'ops') { permit ssh }\n}\n"),
    ("E0102", "job::/prod {\n  if (LDAP->group == “ops”) { permit ssh }\n}\n"),
    ("E0303", "job::/prod {\n  if (LDAP->group == \"ops\") { permit ssh\n}\n"),
    ("E0301", "job::/prod {\n  if (LDAP->group == \"ops\") permit ssh\n}\n"),
    ("E0301", "job::/prod\n  if (LDAP->group == \"ops\") { permit ssh }\n}\n"),
    ("E0303", "job::/prod {\n  if (LDAP->group == \"ops\") { permit ssh }\n"),
    ("E0304", "job::/prod {\n  if (LDAP->group == \"ops\") { permit ssh } }\n}\n"),
    ("E0301", "job::/prod {\n  if (LDAP->group == \"ops\")) { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (LDAP.group = \"ops\") { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (LDAP=>group == \"ops\") { permit ssh }\n}\n"),
    ("E0211", "job::/prod {\n  if (auth_server@apcera.me.name == \"tom\") { permit ssh }\n}\n"),
    ("E0211", "job::/prod {\n  if (auth_server@apcera.me::name == \"tom\") { permit ssh }\n}\n"),
    ("E0412", "job::/prod {\n  if (->name == \"tom\") { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (role === admin) { permit ssh }\n}\n"),
    ("E0403", "job::/prod {\n  if (role is admin) { permit ssh }\n}\n"),
    ("E0403", "job::/prod {\n  if (LDAP->mail startsWith \"tom\") { permit ssh }\n}\n"),
    ("E0403", "job::/prod {\n  if (LDAP->mail like \"tom*\") { permit ssh }\n}\n"),
    ("E0404", "job::/prod {\n  if (admin) { permit ssh }\n}\n"),
    ("E0404", "job::/prod {\n  if () { permit ssh }\n}\n"),
    ("E0211", "job::/prod {\n  permit: ssh\n}\n"),
    ("E0301", "job::/prod {\n  permit = ssh\n}\n"),
    ("E0114", "job::/prod {\n  permit ssh;\n}\n"),
    ("E0501", "job::/prod {\n  permit read create\n}\n"),
    ("E0502", "job::/prod {\n  permit read,\n}\n"),
    ("E0502", "job::/prod {\n  permit\n}\n"),
    ("E0502", "job::/prod {\n  permit read,, create\n}\n"),
    ("E0201", "jobs::/prod {\n  permit read\n}\n"),
    ("E0202", "job:/prod {\n  permit read\n}\n"),
    ("E0202", "job::prod {\n  permit read\n}\n"),
    ("E0202", "\"job::/prod\" {\n  permit read\n}\n"),
    ("E0101", "job::/sandbox/[name {\n  permit read\n}\n"),
    ("E0101", "job::/sandbox/name] {\n  permit read\n}\n"),
    ("E0209", "job::/sandbox/<user> {\n  permit read\n}\n"),
    ("E0209", "job::/sandbox/$USER {\n  permit read\n}\n"),
    ("E0208", "job::/sand box {\n  permit read\n}\n"),
    ("E0112", "# who may read\njob::/prod {\n  permit read\n}\n"),
    ("E0112", "/* who may read */\njob::/prod {\n  permit read\n}\n"),
    ("E0302", "{\n  permit read\n}\n"),
    ("E0302", "if (role == admin) { permit read }\n"),
    ("E0302", "policy job::/qa {\n  if (role == admin) { permit read }\n}\n"),
    ("E0208", "job::/prod and job::/dev {\n  if (role == admin) { permit read }\n}\n"),
    ("E0301", "job::/prod {\n  permit ssh if (role == admin)\n}\n"),
    ("E0101", "job::/prod {\n  if (LDAP->group in [\"sre\", \"dba\"]) { permit ssh }\n}\n"),
    ("E0101", "job::/prod {\n  if (LDAP->group in [sre, dba] && role == admin) { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (time.hour > 8 & LDAP->group == \"sre\") { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (time.hour => 8) { permit ssh }\n}\n"),
    ("E0101", "job::/prod {\n  if (LDAP–>group == \"sre\") { permit ssh }\n}\n"),
    ("E0101", "job::/prod {\n  if (LDAP→group == \"sre\") { permit ssh }\n}\n"),
    ("E0402", "job::/prod {\n  if (LDAP->group =~ \"web.*\") { permit ssh }\n}\n"),
];

/// What people write who want to take something away, or who put a condition where it does not count.
const TAKING_AWAY: &[&str] = &[
    "job::/prod {\n  forbid (LDAP->group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  unless (LDAP->group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  deny (LDAP->group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  whoever (LDAP->group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  if (!(LDAP->group == \"interns\")) { permit ssh }\n}\n",
    "job::/prod {\n  if (not LDAP->group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  if (LDAP->group == \"sre\") { permit not exec }\n}\n",
    "job::/prod {\n  if (!(LDAP->nam e== \"interns\")) {p ermit ssh }\n}\n",
    "job::/prod {\n  unless (LDAP->>group == \"interns\") { permit ssh }\n}\n",
    "job::/prod {\n  permit ssh if (LDAP->group == \"sre\")\n}\n",
    "job::/prod {\n  permit ssh when (LDAP->group == \"sre\")\n}\n",
];

#[test]
fn what_takes_away_is_never_mended_into_a_grant() {
    for text in TAKING_AWAY {
        let mut text = (*text).to_owned();
        // As `--fix --unsafe-fixes` goes on until nothing is left to mend.
        for _ in 0..10 {
            let source = Source::new("case.pol", text.clone().into_bytes()).unwrap();
            let parse = parse(&source);
            let is_error = parse.diagnostics.iter().any(Diagnostic::is_error);
            assert!(is_error, "{text}");
            let fixes: Vec<&Fix> = parse.diagnostics.iter().filter_map(|it| it.fixes.first()).collect();
            text = apply(&text, &fixes).text;
        }
    }
}

#[test]
fn one_mistake_is_one_error() {
    let mut wrong = Vec::new();
    for (code, text) in WRITTEN {
        let source = Source::new("case.pol", text.as_bytes().to_vec()).unwrap();
        let parse = parse(&source);
        let told: Vec<&str> = parse.diagnostics.iter().filter(|it| it.is_error()).map(|it| it.code.code()).collect();
        if told != [*code] {
            wrong.push(format!("{told:?} {text:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! Other documents by which the same questions have the same answers: roles that lead to roles, and a template.

use gatehouse::source::Source;

use crate::{
    sandboxes::{ROLE_EVERY, documents},
    texts,
};

/// Three documents to one permit: a sandbox gives its owner a role, the realm above turns that into another, and for that one
/// the realm of all jobs gives the permit. Two policies more than there are sandboxes.
pub(crate) fn role_chain(policies: usize) -> Vec<Source> {
    let mut sources = documents((0..policies).map(|at| policy("sandbox", at, "role owner")));
    sources.push(document("operators", "job::/sandbox { if (role == owner) { role operator } }"));
    sources.push(document("entry", "job::/ { if (role == operator) { permit ssh } }"));
    sources
}

/// One template for all sandboxes, beside as many policies on realms that nobody asks about. One policy more.
pub(crate) fn template(policies: usize) -> Vec<Source> {
    let mut sources = documents((0..policies).map(|at| policy("elsewhere", at, "permit ssh")));
    let name = "auth_server@apcera.me->name";
    sources
        .push(document("template", &format!("job::/sandbox/[name] {{ if ({name} == \"[name]\") {{ permit ssh }} }}")));
    sources
}

fn policy(namespace: &str, at: usize, claim: &str) -> String {
    let owner = texts::owner(at);
    let rule = if at.is_multiple_of(ROLE_EVERY) {
        format!("{{ if (LDAP->group == \"{owner}\") {{ role admin }} }}")
    } else {
        format!("{{ if (auth_server@apcera.me->name == \"{owner}\") {{ {claim} }} }}")
    };
    format!("job::/{namespace}/user-{at} {rule}")
}

fn document(name: &str, text: &str) -> Source {
    Source::new(format!("{name}.pol"), text.as_bytes().to_vec()).expect("documents are small")
}

//! What the benches of decisions ask about: sandboxes, as documents and as a map written by hand.

use std::{collections::HashMap, fmt::Write as _};

use gatehouse::source::Source;

/// Bytes of text that go into one document.
const DOCUMENT_BYTES: usize = 400_000;

/// Of this many policies one grants by a role.
pub(crate) const ROLE_EVERY: usize = 100;

/// Each user may enter their own sandbox; one policy in a hundred grants by a role.
pub(crate) fn sources(policies: usize) -> Vec<Source> {
    documents((0..policies).map(|at| {
        let rule = if at % ROLE_EVERY == 0 {
            format!("{{ if (LDAP->group == \"team-{at}\") {{ role admin }} }}")
        } else {
            format!("{{ if (auth_server@apcera.me->name == \"user-{at}\") {{ permit ssh }} }}")
        };
        format!("job::/sandbox/user-{at} {rule}")
    }))
}

/// Policies, a line each, in as many documents as they need.
pub(crate) fn documents(policies: impl Iterator<Item = String>) -> Vec<Source> {
    let mut texts = vec![String::new()];
    for policy in policies {
        if texts.last().unwrap().len() > DOCUMENT_BYTES {
            texts.push(String::new());
        }
        writeln!(texts.last_mut().unwrap(), "{policy}").unwrap();
    }
    let name = |at| format!("sandboxes-{at:03}.pol");
    texts.into_iter().enumerate().map(|(at, text)| Source::new(name(at), text.into_bytes()).unwrap()).collect()
}

/// The same documents as someone would write them in Rust who has no language.
pub(crate) struct ByHand {
    owner: HashMap<String, String>,
}

impl ByHand {
    pub(crate) fn new(policies: usize) -> Self {
        let owners = (0..policies).filter(|it| it % ROLE_EVERY != 0);
        Self { owner: owners.map(|it| (format!("/sandbox/user-{it}"), format!("user-{it}"))).collect() }
    }

    pub(crate) fn allows(&self, target: &str, name: &str) -> bool {
        let namespace = target.strip_prefix("job::").and_then(|it| it.split("::").next());
        namespace.and_then(|it| self.owner.get(it)).is_some_and(|owner| owner == name)
    }
}

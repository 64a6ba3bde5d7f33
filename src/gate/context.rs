//! Context facts: what the engine knows about an operation without any issuer (`language.md` section 5).

use std::net::IpAddr;

use crate::{
    eval::Fact,
    gate::{GateError, Principal},
    wire::{job::Job, sign::Open},
};

/// A fact without issuer.
pub(in crate::gate) fn fact(claim_type: &str, value: &str) -> Fact {
    Fact::context(claim_type, value)
}

/// Of every operation that a client asks for.
pub(in crate::gate) fn of_client(client: Option<IpAddr>) -> Vec<Fact> {
    // An IPv4 client of a dual-stack listener counts as IPv4.
    client.map(|address| fact("client.address", &address.to_canonical().to_string())).into_iter().collect()
}

/// Of an operation on a job.
pub(in crate::gate) fn of_job(job: &Job, client: Option<IpAddr>) -> Vec<Fact> {
    let mut facts = of_client(client);
    facts.push(fact("owner", &job.owner));
    facts.extend(job.tags.iter().map(|(name, value)| fact(&format!("tag.{name}"), value)));
    facts
}

/// Of the principal and its login.
pub(in crate::gate) fn of_principal(principal: &Principal, now: i64) -> [Fact; 2] {
    let age = now.saturating_sub(principal.issued()).max(0);
    [fact("principal.kind", principal.kind()), fact("auth.age", &format!("{age}s"))]
}

/// The permit that an SSH request wants, and what policy may ask about it.
pub(in crate::gate) fn of_open(open: &Open) -> Result<(&'static str, Vec<Fact>), GateError> {
    match open {
        Open::Shell { .. } => Ok(("shell", Vec::new())),
        Open::Exec { command, .. } => Ok(("exec", vec![fact("command", command)])),
        Open::Subsystem { name } if name == "sftp" => Ok(("sftp", vec![fact("subsystem", name)])),
        Open::Subsystem { name } => Err(GateError::Unsupported(format!("there is no subsystem `{name}`"))),
        Open::Forward { host, port } => {
            Ok(("forward", vec![fact("forward.host", host), fact("forward.port", &port.to_string())]))
        }
    }
}

//! What the audit log says of a session: that it was opened, each request, its end and why.

use crate::{
    api::sessions::{Live, Request, Subject, describe},
    gate::{Gate, GateError, record},
    session::core::Over,
    wire::audit::AuditItem,
};

/// `ssh.session.opened`: durable before the first byte, else there is no session.
pub(crate) async fn opened(gate: &Gate, live: &Live, first: &Request) -> Result<(), GateError> {
    let mut item = item(gate, &live.subject, "ssh.session.opened");
    note(&mut item, "instance", live.subject.instance.to_string());
    note(&mut item, "sid", live.subject.principal.sid().to_owned());
    note_request(&mut item, first);
    if let Some(address) = live.subject.client {
        note(&mut item, "client.address", address.to_string());
    }
    if let Some(source) = live.subject.source {
        note(&mut item, "source", source.to_string());
    }
    gate.record(item).await?;
    request(gate, live, first).await
}

/// `ssh.session.request`: durable before the instance is asked.
pub(crate) async fn request(gate: &Gate, live: &Live, request: &Request) -> Result<(), GateError> {
    let mut item = item(gate, &live.subject, "ssh.session.request");
    note_request(&mut item, request);
    gate.record(item).await
}

/// `ssh.session.revoked` where policy ended it, and `ssh.session.closed` always. The session is over already: that it
/// cannot be written down stops nothing but what comes after.
pub(crate) async fn closed(gate: &Gate, subject: &Subject, over: &Over) {
    let mut items = Vec::new();
    if let Over::Policy(reason) = over {
        let mut revoked = item(gate, subject, "ssh.session.revoked");
        note(&mut revoked, "reason", reason.clone());
        items.push(revoked);
    }
    let mut closed = item(gate, subject, "ssh.session.closed");
    note(&mut closed, "reason", reason(over));
    items.push(closed);
    for item in items {
        if let Err(error) = gate.record(item).await {
            tracing::error!(%error, session = subject.id, "the end of a session was not recorded");
        }
    }
}

fn reason(over: &Over) -> String {
    match over {
        Over::Finished => "finished".to_owned(),
        Over::ClientGone => "the client went away".to_owned(),
        Over::Policy(why) => format!("policy: {why}"),
        Over::Lost(why) | Over::Protocol(why) => why.clone(),
    }
}

fn item(gate: &Gate, subject: &Subject, event_type: &str) -> AuditItem {
    let mut item = record::item(event_type, &subject.fqn, subject.principal.name(), gate.clock().unix_ms());
    item.session = Some(subject.id.clone());
    item
}

fn note_request(item: &mut AuditItem, request: &Request) {
    note(item, "request", describe(&request.open));
    note(item, "decision", request.grant.decision().to_string());
    note(item, "revision", request.grant.revision().to_string());
}

fn note(item: &mut AuditItem, name: &str, value: String) {
    item.payload.insert(name.to_owned(), value);
}

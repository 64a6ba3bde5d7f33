//! Decisions as audit items.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    audit::{self, Event},
    eval::Decision,
    gate::Ruling,
    wire::audit::{AuditDecision, AuditItem},
};

/// Bytes of a client's text that an audit item carries; a longer command is cut.
const PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// RFC 3339, UTC, milliseconds.
pub fn timestamp(unix_ms: i64) -> String {
    audit::timestamp(Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::MAX))
}

/// An item of an event (`audit::Event::as_str`) at a moment of the gate's clock.
pub fn item(event_type: &str, fqn: &str, principal_name: &str, unix_ms: i64) -> AuditItem {
    AuditItem {
        uuid: Uuid::now_v7().to_string(),
        timestamp: timestamp(unix_ms),
        event_type: event_type.to_owned(),
        fqn: fqn.to_owned(),
        principal_name: principal_name.to_owned(),
        on_behalf_of: None,
        session: None,
        decision: None,
        payload: BTreeMap::new(),
    }
}

/// What an audit item says of a decision.
pub fn decision(decision: &Decision, wanted: &[crate::eval::Claim], revision: u64) -> AuditDecision {
    let because = decision.because().iter().map(|it| format!("{}:{}:{}", it.document, it.line, it.column));
    AuditDecision {
        allowed: decision.is_allowed(),
        wanted: wanted.iter().map(ToString::to_string).collect(),
        missing: decision.missing().iter().map(ToString::to_string).collect(),
        because: because.collect(),
        revision,
    }
}

pub(in crate::gate) fn of_ruling(ruling: &Ruling, unix_ms: i64) -> AuditItem {
    let operation = ruling.operation();
    let event = if ruling.is_allowed() { Event::AccessAllowed } else { Event::AccessDenied };
    let mut item = item(event.as_str(), &operation.target, ruling.principal().name(), unix_ms);
    item.uuid = ruling.id().to_string();
    item.session.clone_from(&operation.session);
    item.decision = Some(decision(ruling.decision(), &operation.want, ruling.revision()));
    for fact in operation.context.iter().filter(|it| !it.claim_type.starts_with("tag.")) {
        item.payload.insert(fact.claim_type.to_string(), cut(&fact.value));
    }
    if let Some(refusal) = ruling.decision().refusals().first() {
        item.payload.insert("refused".to_owned(), refusal.to_string());
    }
    item.payload.insert("sid".to_owned(), ruling.principal().sid().to_owned());
    item
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(PAYLOAD_BYTES_MAX);
    text.get(..end).unwrap_or_default().to_owned()
}

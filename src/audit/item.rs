//! How items are made.

use uuid::Uuid;

use crate::wire::audit::{AuditDecision, AuditItem};

/// What can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A decision allowed.
    AccessAllowed,
    /// A decision refused.
    AccessDenied,
    /// A policy document was written or deleted.
    PolicyChanged,
    /// A session is about to open.
    SessionOpened,
    /// A request inside a session.
    SessionRequest,
    /// A session has ended.
    SessionClosed,
    /// A session was ended because the grant is gone.
    SessionRevoked,
    /// A clone was made for a console.
    ConsoleCreated,
    /// It was deleted.
    ConsoleDeleted,
    /// A login.
    TokenIssued,
    /// A login that was refused.
    TokenRefused,
    /// A job.
    JobCreated,
    /// A job's change.
    JobUpdated,
    /// A job's end.
    JobDeleted,
}

impl Event {
    /// The event type as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessAllowed => "policy.access.allowed",
            Self::AccessDenied => "policy.access.denied",
            Self::PolicyChanged => "policy.changed",
            Self::SessionOpened => "ssh.session.opened",
            Self::SessionRequest => "ssh.session.request",
            Self::SessionClosed => "ssh.session.closed",
            Self::SessionRevoked => "ssh.session.revoked",
            Self::ConsoleCreated => "console.created",
            Self::ConsoleDeleted => "console.deleted",
            Self::TokenIssued => "token.issued",
            Self::TokenRefused => "token.refused",
            Self::JobCreated => "job.created",
            Self::JobUpdated => "job.updated",
            Self::JobDeleted => "job.deleted",
        }
    }
}

/// An item of now: what happened, to what, by whom.
pub fn item(event: Event, fqn: &str, principal: &str) -> AuditItem {
    AuditItem {
        uuid: Uuid::now_v7().to_string(),
        timestamp: timestamp(jiff::Timestamp::now()),
        event_type: event.as_str().to_owned(),
        fqn: fqn.to_owned(),
        principal_name: principal.to_owned(),
        on_behalf_of: None,
        session: None,
        decision: None,
        payload: std::collections::BTreeMap::new(),
    }
}

/// RFC 3339, UTC, milliseconds: always 24 characters, so that text sorts as time does.
pub fn timestamp(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl AuditItem {
    /// For whom a component acted.
    #[must_use]
    pub fn on_behalf_of(mut self, principal: &str) -> Self {
        self.on_behalf_of = Some(principal.to_owned());
        self
    }

    /// In which session.
    #[must_use]
    pub fn in_session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// What decided.
    #[must_use]
    pub fn decided(mut self, decision: AuditDecision) -> Self {
        self.decision = Some(decision);
        self
    }

    /// One thing more. Never a secret.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.payload.insert(name.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_one_width_and_sort_as_time_does() {
        for (at, expected) in [
            ("2026-11-23T04:05:06Z", "2026-11-23T04:05:06.000Z"),
            ("2026-11-23T04:05:06.789999Z", "2026-11-23T04:05:06.789Z"),
            ("2026-11-23T04:05:06.1+02:00", "2026-11-23T02:05:06.100Z"),
        ] {
            assert_eq!(timestamp(at.parse().unwrap()), expected);
        }
    }
}

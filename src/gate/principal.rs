//! Who is asking.

use crate::eval::Fact;

/// The issuer of tokens and of the facts that Gatehouse itself states about a principal.
pub const ISSUER: &str = "auth_server@apcera.me";

/// Someone whose token was verified. Made only by [`crate::gate::Authenticator`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    // INVARIANT (verified): every field comes from one token whose signature, audience and expiry were checked.
    name: String,
    sid: String,
    jti: String,
    facts: Vec<Fact>,
    issued: i64,
    expires: i64,
}

impl Principal {
    pub(in crate::gate) fn verified(
        name: String,
        (sid, jti): (String, String),
        facts: Vec<Fact>,
        (issued, expires): (i64, i64),
    ) -> Self {
        Self { name, sid, jti, facts, issued, expires }
    }

    /// The name that policy gave.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The login that the token belongs to.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The token.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// All facts of the token, each with an issuer.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Unix second at which the token was issued.
    pub fn issued(&self) -> i64 {
        self.issued
    }

    /// Unix second from which the token is worthless.
    pub fn expires(&self) -> i64 {
        self.expires
    }

    /// `job` where the name is a job's FQN, which only the engine can have issued; else `user`.
    pub fn kind(&self) -> &'static str {
        if self.name.starts_with("job::/") { "job" } else { "user" }
    }
}

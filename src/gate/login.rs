//! Whether someone whose password was right is issued a token, and under which name.

use std::{net::IpAddr, time::Duration};

use uuid::Uuid;

use crate::{
    eval::{Decision, Fact},
    gate::{Gate, GateError, Operation, Principal, context, record},
    wire::audit::AuditDecision,
};

/// The answer of policy to a login. The caller writes it down as `token.issued` or `token.refused`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRuling {
    /// Identity of the decision.
    pub id: Uuid,
    /// What policy asserted, or why there is no token.
    pub outcome: Result<Login, String>,
    /// For the audit log.
    pub decision: AuditDecision,
}

/// What policy gives a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The one name that was asserted.
    pub name: String,
    /// The least token timeout; none was asserted.
    pub token_timeout: Option<Duration>,
    /// Namespace that short names stand in.
    pub default_namespace: Option<String>,
}

impl Gate {
    /// Decides `permit issue` on `target` (`auth::/oauth2/http`) by what an identity provider says of the subject.
    pub fn decide_login(
        &self,
        target: &str,
        facts: Vec<Fact>,
        client: Option<IpAddr>,
    ) -> Result<LoginRuling, GateError> {
        let snapshot = self.policy().current()?;
        let operation = Operation::issue(target, client);
        let mut all = facts;
        all.push(context::fact("principal.kind", "user"));
        all.extend(operation.context.iter().cloned());
        let decision = self.evaluate(&snapshot, &operation, all)?;
        let outcome = if decision.is_allowed() { login(&decision) } else { Err(why_not(&decision, target)) };
        let decision = record::decision(&decision, &operation.want, snapshot.revision);
        Ok(LoginRuling { id: Uuid::now_v7(), outcome, decision })
    }

    /// The namespace that policy gives a principal's short names: `defaultNamespace`, else `defaultNamespacePrefix` with
    /// the name behind it.
    pub fn default_namespace(&self, principal: &Principal, target: &str) -> Result<Option<String>, GateError> {
        let snapshot = self.policy().current()?;
        let operation = Operation::issue(target, None);
        let facts = self.facts(principal, &operation);
        let decision = self.evaluate(&snapshot, &operation, facts)?;
        Ok(default_namespace(&decision, principal.name()))
    }
}

fn default_namespace(decision: &Decision, name: &str) -> Option<String> {
    let effective = decision.effective();
    let prefixed = || effective.one("defaultNamespacePrefix").map(|it| format!("{}/{name}", it.trim_end_matches('/')));
    effective.one("defaultNamespace").map(ToOwned::to_owned).or_else(prefixed)
}

fn login(decision: &Decision) -> Result<Login, String> {
    let effective = decision.effective();
    let names: Vec<&str> = decision.values("name").collect();
    let [name] = names.as_slice() else {
        return Err(format!("policy asserts {} names for the token, exactly one is needed", names.len()));
    };
    let token_timeout = match (effective.one("tokenTimeout"), effective.seconds("tokenTimeout")) {
        (None, _) => None,
        (Some(_), Some(seconds)) => Some(Duration::from_secs(seconds)),
        (Some(value), None) => return Err(format!("`{value}` is no token timeout")),
    };
    Ok(Login { name: (*name).to_owned(), token_timeout, default_namespace: default_namespace(decision, name) })
}

fn why_not(decision: &Decision, target: &str) -> String {
    if let Some(refusal) = decision.refusals().first() {
        return refusal.to_string();
    }
    let missing: Vec<String> = decision.missing().iter().map(|it| format!("\"{it}\"")).collect();
    format!("missing claim {} on \"{target}\"", missing.join(", "))
}

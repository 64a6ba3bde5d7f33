//! What the cluster is, who one is in it, and whether this server is well.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use crate::{
    api::{Api, Caller, error::Failure},
    wire::token::{Fact, Info},
};

/// `GET /v1/info`.
pub(crate) async fn info(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Info>, Failure> {
    let facts = caller.principal.facts().iter().map(|it| Fact {
        issuer: it.issuer.to_string(),
        claim_type: it.claim_type.to_string(),
        value: it.value.to_string(),
    });
    Ok(Json(Info {
        cluster: api.cluster.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy_revision: api.gate.policy().revision(),
        principal: caller.principal.name().to_owned(),
        default_namespace: api.default_namespace(&caller.principal)?,
        facts: facts.collect(),
        token_expires: caller.principal.expires(),
    }))
}

/// `GET /v1/version`.
pub(crate) async fn version() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /v1/namespace/default`.
pub(crate) async fn default_namespace(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({ "namespace": api.default_namespace(&caller.principal)? })))
}

/// `GET /healthz`: this process answers.
pub(crate) async fn healthz() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// `GET /readyz`: it can decide and knows its jobs. Routers send clients only to servers that are ready.
pub(crate) async fn readyz(State(api): State<Arc<Api>>) -> StatusCode {
    let ready = api.registry.is_caught_up() && api.gate.policy().current().is_ok();
    if ready { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

//! `/v1/policy`: reading from the set in force here; changes go to the auth role with the user's own token.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{Method, Request, header},
};
use serde::Deserialize;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, invalid, not_found},
        rest::{JsonText, Strict},
    },
    compile::system::system_sources,
    eval,
    gate::{GateError, Operation, PolicyPermit, Snapshot, read_tests},
    link::{self, CallError},
    wire::{
        decide::{DecideAnswer, DecideRequest, WhyAnswer},
        error::ApiError,
        policy::{PolicyDocument, PolicyEntry, PolicyList, PutPolicy},
    },
};

/// Header by which the auth role is told the client's address.
const CLIENT_ADDRESS: &str = "apc-client-address";

/// Bytes of its answer.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The place of all policy.
const ALL: &str = "policy::/";

/// `GET /v1/policy`: the documents of the set in force, without texts. Wants `read` on `policy::/`.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<PolicyList>, Failure> {
    let snapshot = readable(&api, &caller).await?;
    let documents = documents(&snapshot).map(|it| PolicyDocument { text: None, ..it }).collect();
    let tests = snapshot.tests.iter().map(|it| of_entry(it, None)).collect();
    Ok(Json(PolicyList { revision: snapshot.revision, documents, tests }))
}

/// `GET /v1/policy/tests/{name}`: tests kept beside the documents.
pub(crate) async fn tests(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<PolicyDocument>, Failure> {
    let snapshot = readable(&api, &caller).await?;
    let entry = snapshot.tests.iter().find(|it| it.name == name).ok_or_else(|| not_found(&name))?;
    let source = read_tests(api.store.as_ref(), entry).await.map_err(GateError::from)?;
    Ok(Json(of_entry(entry, Some(source.text().to_owned()))))
}

/// Which version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    version: Option<u64>,
}

/// `GET /v1/policy/{document}?version=`: only what is in force is kept; another version is not found.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<Version>,
) -> Result<Json<PolicyDocument>, Failure> {
    let snapshot = readable(&api, &caller).await?;
    let mut found = documents(&snapshot).filter(|it| it.name == name);
    let document = found.find(|it| query.version.is_none_or(|version| version == it.version));
    Ok(Json(document.ok_or_else(|| not_found(&name))?))
}

/// `PUT /v1/policy`. The auth role decides, by the user's token, and writes.
pub(crate) async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Strict(put): Strict<PutPolicy>,
) -> Result<Json<PolicyList>, Failure> {
    let body = serde_json::to_vec(&put).map_err(|error| invalid(error.to_string()))?;
    Ok(Json(passed_on(&api, &caller, Method::PUT, "/internal/policy", Body::from(body)).await?))
}

/// Which version may be deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForVersion {
    for_version: Option<u64>,
}

/// `DELETE /v1/policy/{document}?for_version=`.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<ForVersion>,
) -> Result<Json<PolicyList>, Failure> {
    let version = query.for_version.map(|it| format!("?for_version={it}")).unwrap_or_default();
    let path = format!("/internal/policy/{}{version}", percent_encoded(&name));
    Ok(Json(passed_on(&api, &caller, Method::DELETE, &path, Body::empty()).await?))
}

/// Asks the auth role in the caller's name: with their token, and with their address as the router saw it.
async fn passed_on(api: &Api, caller: &Caller, method: Method, path: &str, body: Body) -> Result<PolicyList, Failure> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", caller.token.expose()));
    if let Some(client) = caller.client {
        request = request.header(CLIENT_ADDRESS, client.to_string());
    }
    let request = request.body(body).map_err(|error| invalid(error.to_string()))?;
    let answer = api.auth.request(request).await?;
    let is_success = answer.status().is_success();
    let bytes = link::read_body(answer.into_body(), ANSWER_BYTES_MAX).await?;
    if is_success {
        return Ok(serde_json::from_slice(&bytes).map_err(CallError::from)?);
    }
    Err(serde_json::from_slice::<ApiError>(&bytes).map_err(CallError::from)?.into())
}

/// `POST /v1/policy/decide`: what the set in force would answer; nothing is done by it. Wants `read` on `policy::/`, since
/// the answer tells of every rule.
pub(crate) async fn decide(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: JsonText,
) -> Result<Json<DecideAnswer>, Failure> {
    let snapshot = readable(&api, &caller).await?;
    let request = request_of(&body)?;
    Ok(Json(DecideAnswer::from(&eval::decide(&snapshot.set, &request))))
}

/// `POST /v1/policy/explain`: the same with its reasons.
pub(crate) async fn explain(
    State(api): State<Arc<Api>>,
    caller: Caller,
    body: JsonText,
) -> Result<Json<WhyAnswer>, Failure> {
    let snapshot = readable(&api, &caller).await?;
    let request = request_of(&body)?;
    let decision = eval::decide(&snapshot.set, &request);
    let denial = eval::denial(&snapshot.set, &request);
    Ok(Json(WhyAnswer::new(&request, &decision, &denial)))
}

fn request_of(body: &JsonText) -> Result<eval::Request, Failure> {
    let request = DecideRequest::parse(&body.0).map_err(|error| invalid(format!("the body: {error}")))?;
    Ok(request.into_request().map_err(|error| invalid(error.to_string()))?)
}

async fn readable(api: &Api, caller: &Caller) -> Result<Arc<Snapshot>, Failure> {
    let wanted = Operation::policy(PolicyPermit::Read, ALL, None, caller.client);
    api.require(&caller.principal, wanted).await?;
    Ok(api.gate.policy().current().map_err(GateError::from)?)
}

/// System documents first, then the editable ones.
fn documents(snapshot: &Snapshot) -> impl Iterator<Item = PolicyDocument> {
    let system = system_sources().into_iter().map(|source| PolicyDocument {
        name: source.document().to_owned(),
        version: 0,
        system: true,
        author: String::new(),
        text: Some(source.text().to_owned()),
    });
    let editable = snapshot.entries.iter().zip(&snapshot.sources);
    system.chain(editable.map(|(entry, source)| of_entry(entry, Some(source.text().to_owned()))))
}

fn of_entry(entry: &PolicyEntry, text: Option<String>) -> PolicyDocument {
    let PolicyEntry { name, version, author, .. } = entry.clone();
    PolicyDocument { name, version, system: false, author, text }
}

/// Keeps a document's name in its place in a path, whatever is in it.
fn percent_encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded
}

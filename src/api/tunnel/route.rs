//! The HTTP side: who asks for what, and the upgrade.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{
        FromRequestParts, Path, Request, State,
        ws::{WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, header, request::Parts},
    response::Response,
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    api::tunnel::{
        Tunnel,
        choose::error,
        judge::{SessionJudge, opened},
        open::{Asked, Established},
        probe::{Step, reached},
        relay::Relay,
        socket::{PROTOCOL, Socket, configure},
    },
    link::{self, Peer, Role},
    session::core::Over,
    wire::{error::ApiError, sign::Open},
};

/// Header that names the first request: base64url (no padding) of JSON.
pub(crate) const OPEN_HEADER: &str = "apc-open";

/// Bytes of that header; a command line longer than this is a script, and belongs on standard input.
const OPEN_BYTES_MAX: usize = 32 * 1024;

/// `GET /v1/jobs/{uuid}/tunnel` and `GET /v1/jobs/{uuid}/tunnel/{instance}`.
pub fn routes(tunnel: Arc<Tunnel>) -> Router {
    Router::new()
        .route("/v1/jobs/{uuid}/tunnel", get(any_instance))
        .route("/v1/jobs/{uuid}/tunnel/{instance}", get(one_instance))
        .with_state(tunnel)
}

async fn any_instance(
    State(tunnel): State<Arc<Tunnel>>,
    Path(job): Path<String>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    answer(&tunnel, &job, None, peer, request).await
}

async fn one_instance(
    State(tunnel): State<Arc<Tunnel>>,
    Path((job, instance)): Path<(String, String)>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    answer(&tunnel, &job, Some(&instance), peer, request).await
}

async fn answer(
    tunnel: &Arc<Tunnel>,
    job: &str,
    instance: Option<&str>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map(|Extension(it)| it).unwrap_or_default();
    let (mut parts, _) = request.into_parts();
    match establish(tunnel, job, instance, &peer, &mut parts).await {
        Ok((upgrade, established, first)) => {
            let tunnel = Arc::clone(tunnel);
            upgrade.on_upgrade(move |socket| run(tunnel, established, first, socket))
        }
        Err(error) => link::refusal(*error),
    }
}

async fn establish(
    tunnel: &Tunnel,
    job: &str,
    instance: Option<&str>,
    peer: &Peer,
    parts: &mut Parts,
) -> Result<(WebSocketUpgrade, Established, Open), Box<ApiError>> {
    link::require(peer, Role::Router)?;
    let token = bearer(&parts.headers);
    let principal = tunnel.parts.gate.authenticate(token).map_err(|it| it.to_api())?;
    let token = token.unwrap_or_default().to_owned();
    let open = open_header(&parts.headers)?;
    let client = peer.client_address(&parts.headers);
    let upgrade = upgrade(parts).await?;
    let asked =
        Asked { principal, token, client, job: id(job)?, instance: instance.map(id).transpose()?, open: open.clone() };
    Ok((upgrade, tunnel.open(asked).await?, open))
}

/// After 101.
async fn run(tunnel: Arc<Tunnel>, established: Established, first: Open, socket: WebSocket) {
    let Established { connection, closing, place } = established;
    let live = Arc::clone(place.live());
    reached(tunnel.parts.probe.as_ref(), Step::Upgraded, &live.subject.id).await;
    let Some(request) = live.request(0) else { return };
    let judge =
        SessionJudge { guard: Arc::clone(&tunnel.guard), live: Arc::clone(&live), probe: tunnel.parts.probe.clone() };
    let mut socket = Socket::new(socket);
    let relay = Relay::new(connection.into(), Arc::new(judge), first, opened(&request.grant));
    let over: Over = relay.run(&mut socket, live.control()).await;
    // The record before the farewell's last byte: whoever has seen the session end finds it in the log.
    closing.record(&over).await;
    socket.finish().await;
    drop(place);
}

async fn upgrade(parts: &mut Parts) -> Result<WebSocketUpgrade, ApiError> {
    let refused = |_| error("invalid", "a tunnel is a WebSocket: ask for an upgrade");
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await.map_err(refused)?;
    let upgrade = configure(upgrade);
    if upgrade.selected_protocol().is_none() {
        return Err(error("unsupported", format!("the subprotocol served here is `{PROTOCOL}`")));
    }
    Ok(upgrade)
}

fn open_header(headers: &HeaderMap) -> Result<Open, ApiError> {
    let malformed = || error("invalid", "the header `Apc-Open` does not name a request");
    let mut all = headers.get_all(OPEN_HEADER).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return Err(malformed()) };
    if OPEN_BYTES_MAX < one.len() {
        return Err(error("too_large", "the command is too long; give a script on standard input"));
    }
    let json = URL_SAFE_NO_PAD.decode(one.as_bytes()).map_err(|_| malformed())?;
    serde_json::from_slice(&json).map_err(|_| malformed())
}

fn id(text: &str) -> Result<Uuid, ApiError> {
    // Only the form that the platform itself writes: an id has one spelling.
    let parsed = Uuid::try_parse(text).ok().filter(|it| it.to_string() == text);
    parsed.ok_or_else(|| error("invalid", "a job or an instance is named by its uuid"))
}

/// The token of `Authorization: Bearer ...`, if there is exactly one such header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

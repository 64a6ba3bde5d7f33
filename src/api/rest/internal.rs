//! `/internal/im`: what instance managers ask for. Each sees only what it holds a lease on.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{
        Path, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{Method, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{SinkExt, StreamExt, sink, stream};
use tokio::time::timeout;
use tokio_util::{io::ReaderStream, sync::CancellationToken};
use uuid::Uuid;

use crate::{
    api::{
        Api,
        error::{Failure, coded, not_found},
        fleet::link::Greeting,
        rest::Strict,
    },
    link::{Peer, Role, require},
    wire::{
        im::{FromIm, ToIm},
        join::{Authorities, ComponentCertificate, JoinRequest, RenewRequest},
    },
};

/// Bytes of one message: ten thousand instances with room to spare.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How often a silent manager is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/link", get(open_link))
        .route("/layers/{digest}", get(layer))
        .route("/join", post(join))
        .route("/renew", post(renew))
}

/// `GET /internal/im/link`: the manager's WebSocket.
async fn open_link(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let im = manager(&peer)?;
    let greeting = greeting(&api).await?;
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let end = converse(&api, im, greeting, socket).await;
        tracing::info!(%im, %end, "an instance manager's link is over");
    }))
}

/// What a manager is told; the authorities are the auth role's word.
async fn greeting(api: &Api) -> Result<Greeting, Failure> {
    let authorities: Authorities = api.auth.json(Method::GET, "/internal/authorities", None, None::<&()>).await?;
    Ok(Greeting { user_authorities: authorities.instance_users, api_addresses: api.config.api.addresses.clone() })
}

async fn converse(api: &Arc<Api>, im: Uuid, greeting: Greeting, socket: WebSocket) -> impl std::fmt::Display + use<> {
    let (outgoing, incoming) = socket.split();
    let silence = Duration::from_millis(api.config.api.im_silent_ms);
    let incoming = stream::unfold(incoming, move |mut incoming| async move {
        loop {
            let message = match timeout(silence, incoming.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    serde_json::from_str::<FromIm>(&text).map_err(|error| format!("a message of no meaning: {error}"))
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(Some(Ok(Message::Binary(_)))) => Err("a binary message".to_owned()),
                Ok(Some(Ok(Message::Close(_))) | None) => return None,
                Ok(Some(Err(error))) => Err(error.to_string()),
                Err(_) => Err("nothing came in time".to_owned()),
            };
            return Some((message, incoming));
        }
    });
    // One task writes, so that a ping can go between two messages.
    let (sender, queue) = tokio::sync::mpsc::channel::<ToIm>(1);
    let ended = CancellationToken::new();
    let writer = tokio::spawn(write(outgoing, queue, ended.clone()));
    let outgoing = sink::unfold(sender, |sender, message: ToIm| async move {
        sender.send(message).await.map_err(|_| "the link broke".to_owned())?;
        Ok::<_, String>(sender)
    });
    let end = api.fleet.serve(im, greeting, incoming, outgoing, api.stop.clone()).await;
    ended.cancel();
    let _joined = writer.await;
    end
}

/// Writes messages, and pings in between; ends with the link.
async fn write(
    mut outgoing: stream::SplitSink<WebSocket, Message>,
    mut queue: tokio::sync::mpsc::Receiver<ToIm>,
    ended: CancellationToken,
) {
    let mut ping = tokio::time::interval(PING);
    loop {
        let message = tokio::select! {
            () = ended.cancelled() => break,
            message = queue.recv() => match message {
                Some(message) => match serde_json::to_string(&message) {
                    Ok(text) => Message::Text(text.into()),
                    Err(_) => break,
                },
                None => break,
            },
            _ = ping.tick() => Message::Ping(Vec::new().into()),
        };
        if outgoing.send(message).await.is_err() {
            break;
        }
    }
    let _closed = timeout(PING, outgoing.close()).await;
}

/// `GET /internal/im/layers/{digest}`: a stored layer, for who holds an instance made of it.
async fn layer(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    Path(digest): Path<String>,
) -> Result<Response, Failure> {
    let im = manager(&peer)?;
    if !api.fleet.may_read_layer(im, &digest) {
        return Err(not_found(&digest).into());
    }
    let blob = api.store.open_blob(&digest).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(blob, 256 * 1024));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}

/// `POST /internal/im/join`: the only call without a certificate; the auth role knows whether its token is good.
async fn join(
    State(api): State<Arc<Api>>,
    Strict(request): Strict<JoinRequest>,
) -> Result<Json<ComponentCertificate>, Failure> {
    Ok(Json(api.auth.json(Method::POST, "/internal/join", None, Some(&request)).await?))
}

/// `POST /internal/im/renew`: a new certificate for the identity that asks, whatever the request says.
async fn renew(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    Strict(request): Strict<RenewRequest>,
) -> Result<Json<ComponentCertificate>, Failure> {
    let request = RenewRequest { identity: require(&peer, Role::Im)?.uri(), ..request };
    Ok(Json(api.auth.json(Method::POST, "/internal/renew", None, Some(&request)).await?))
}

/// The manager that a peer is.
fn manager(peer: &Peer) -> Result<Uuid, Failure> {
    let identity = require(peer, Role::Im)?;
    let uuid = Uuid::try_parse(&identity.id);
    Ok(uuid.map_err(|_| coded("unauthorized", "an instance manager's identity is a UUID"))?)
}

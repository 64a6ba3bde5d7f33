//! The uplink over mutual TLS: a WebSocket for messages, an ordinary request for a layer.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncRead, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};
use tokio_util::io::StreamReader;

use crate::{
    im::{
        ImError,
        uplink::{Incoming, Outgoing, Uplink, UplinkFuture},
    },
    link::Client,
    wire::im::{FromIm, ToIm},
};

/// Bytes of one message: what an API server may send for ten thousand instances.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The API server asks every five seconds whether we are there; four times missed is a dead link.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// API servers, of which one at a time is asked; the next one after a failure.
#[derive(Debug)]
pub struct Linked {
    servers: Vec<Client>,
    turn: AtomicUsize,
}

impl Linked {
    /// Reaches any of these.
    pub fn new(servers: Vec<Client>) -> Self {
        Self { servers, turn: AtomicUsize::new(0) }
    }

    async fn ask(&self, request: Request<Body>, wanted: StatusCode) -> Result<Response<Body>, ImError> {
        let turn = self.turn.load(Ordering::Relaxed);
        let server = turn.checked_rem(self.servers.len()).and_then(|it| self.servers.get(it));
        let server = server.ok_or_else(|| ImError::Uplink("no API server is configured".to_owned()))?;
        let answer = server.request(request).await.map_err(broken).and_then(|response| {
            let status = response.status();
            if status == wanted {
                Ok(response)
            } else {
                Err(ImError::Uplink(format!("the API server answered {status}")))
            }
        });
        if answer.is_err() {
            self.turn.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Opens the WebSocket (RFC 6455 section 4.1).
    async fn handshake(&self) -> Result<(Outgoing, Incoming), ImError> {
        let key = generate_key();
        let request = Request::builder()
            .uri("/internal/im/link")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .body(Body::empty())
            .map_err(broken)?;
        let response = self.ask(request, StatusCode::SWITCHING_PROTOCOLS).await?;
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).and_then(|it| it.to_str().ok());
        if accepted != Some(derive_accept_key(key.as_bytes()).as_str()) {
            return Err(ImError::Uplink("the API server does not speak WebSocket".to_owned()));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(broken)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await;
        let (outgoing, incoming) = socket.split();
        let outgoing = outgoing.sink_map_err(broken).with(|message: FromIm| async move {
            Ok::<_, ImError>(Message::text(serde_json::to_string(&message).map_err(broken)?))
        });
        Ok((Box::pin(outgoing), messages(incoming)))
    }
}

/// Messages out of frames; a silence that is too long is an error and the end.
fn messages<S>(incoming: S) -> Incoming
where
    S: StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Send + Unpin + 'static,
{
    Box::pin(stream::unfold(Some(incoming), |incoming| async move {
        let mut incoming = incoming?;
        loop {
            let message = match timeout(SILENCE_MAX, incoming.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str::<ToIm>(&text).map_err(broken),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
                Ok(Some(Ok(Message::Close(_))) | None) => return None,
                Ok(Some(Ok(Message::Binary(_) | Message::Frame(_)))) => {
                    Err(ImError::Uplink("the API server sent what is no message".to_owned()))
                }
                Ok(Some(Err(error))) => Err(broken(error)),
                Err(_) => Err(ImError::Uplink("the API server is silent".to_owned())),
            };
            let rest = message.is_ok().then_some(incoming);
            return Some((message, rest));
        }
    }))
}

impl Uplink for Linked {
    fn open(&self) -> UplinkFuture<'_, (Outgoing, Incoming)> {
        Box::pin(self.handshake())
    }

    fn layer<'a>(&'a self, digest: &'a str) -> UplinkFuture<'a, std::pin::Pin<Box<dyn AsyncRead + Send>>> {
        Box::pin(async move {
            let path = format!("/internal/im/layers/{digest}");
            let request = Request::builder().uri(path).body(Body::empty()).map_err(broken)?;
            let body = self.ask(request, StatusCode::OK).await?.into_body().into_data_stream();
            let reader = StreamReader::new(body.map_err(std::io::Error::other));
            Ok(Box::pin(reader) as std::pin::Pin<Box<dyn AsyncRead + Send>>)
        })
    }
}

fn broken(error: impl std::fmt::Display) -> ImError {
    ImError::Uplink(error.to_string())
}

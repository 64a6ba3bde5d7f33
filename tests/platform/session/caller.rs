//! A client of the tunnel: the HTTP request, and on top of it the real client core.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use gatehouse::{
    cli::connect::{Input, Local, Signals, Streams, drive},
    session::frame::Frame,
    wire::{error::ApiError, sign::Open},
};
use http_body_util::BodyExt;
use hyper::{Request, StatusCode, client::conn::http1, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWrite,
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::session::world::{SOON, World};

pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(crate) fn exec(command: &str) -> Open {
    Open::Exec { command: command.to_owned(), pty: None }
}

pub(crate) fn shell() -> Open {
    Open::Shell { pty: None }
}

pub(crate) fn header(open: &Open) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(open).unwrap())
}

/// The request of a well-behaved client.
pub(crate) fn request(world: &World, token: &str, open: &Open) -> Request<Body> {
    Request::builder()
        .uri(format!("/v1/jobs/{}/tunnel", world.job.uuid))
        .header("host", "router")
        .header("authorization", format!("Bearer {token}"))
        .header("apc-open", header(open))
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "apc.terminal.v1")
        .header("x-forwarded-for", "192.0.2.9")
        .body(Body::empty())
        .unwrap()
}

/// Sends it: a socket after 101, else the error.
pub(crate) async fn send(world: &World, request: Request<Body>) -> Result<Socket, (StatusCode, ApiError)> {
    timeout(SOON, send_unbounded(world, request)).await.expect("the tunnel does not answer")
}

async fn send_unbounded(world: &World, request: Request<Body>) -> Result<Socket, (StatusCode, ApiError)> {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let error = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{status}: {body:?}"));
        return Err((status, error));
    }
    assert_eq!(response.headers()["sec-websocket-protocol"], "apc.terminal.v1");
    assert!(!response.headers().contains_key("sec-websocket-extensions"), "no compression");
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

pub(crate) async fn open(world: &World, token: &str, open: &Open) -> Result<Socket, (StatusCode, ApiError)> {
    send(world, request(world, token, open)).await
}

/// What a stream of a running client has received.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    bytes: Arc<Mutex<Vec<u8>>>,
    told: watch::Sender<usize>,
}

impl Sink {
    fn new() -> Self {
        Self { bytes: Arc::default(), told: watch::Sender::new(0) }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Waits until so many bytes were written.
    pub(crate) async fn has(&self, count: usize) {
        let mut told = self.told.subscribe();
        let reached = timeout(SOON, told.wait_for(|it| count <= *it)).await;
        assert!(reached.is_ok(), "only {} of {count} bytes came", self.bytes().len());
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.bytes.lock().unwrap().extend(bytes);
        self.told.send_modify(|count| *count += bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A client that runs: keyboard, signals, screen.
pub(crate) struct Running {
    pub(crate) input: Option<mpsc::Sender<Vec<u8>>>,
    pub(crate) signals: mpsc::Sender<Signals>,
    pub(crate) output: Sink,
    pub(crate) errors: Sink,
    task: JoinHandle<u8>,
}

impl Running {
    pub(crate) fn start(socket: Socket) -> Self {
        let (input, keyboard) = mpsc::channel(1);
        let (signals, received) = mpsc::channel(1);
        let (output, errors) = (Sink::new(), Sink::new());
        let streams = Streams { output: Box::new(output.clone()), errors: Box::new(errors.clone()) };
        let local = Local::new(Input(keyboard), received, streams);
        Self { input: Some(input), signals, output, errors, task: tokio::spawn(drive(socket, local)) }
    }

    pub(crate) async fn types(&self, bytes: &[u8]) {
        self.input.as_ref().unwrap().send(bytes.to_vec()).await.unwrap();
    }

    pub(crate) async fn status(self) -> u8 {
        timeout(SOON, self.task).await.expect("the client does not end").unwrap()
    }

    /// As a client that is killed.
    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

/// The next frame as it is on the wire; none at the end of the connection.
pub(crate) async fn next_frame(socket: &mut Socket) -> Option<Frame> {
    loop {
        match timeout(SOON, socket.next()).await.expect("no frame came") {
            Some(Ok(Message::Binary(message))) => return Frame::decode(&message).unwrap(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => (),
        }
    }
}

pub(crate) async fn send_frame(socket: &mut Socket, frame: &Frame) {
    socket.send(Message::Binary(frame.encode().unwrap().into())).await.unwrap();
}

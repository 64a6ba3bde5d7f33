//! The door: what gets through it, what does not, and in which form.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use gatehouse::{
    config,
    link::{Accepted, Client, Dial, Listen, MemoryDialer, MemoryListener, Peer, Role, memory, serve},
    router::{run, server_config},
    wire::error::ApiError,
};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use rcgen::SanType;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;

const JOB: &str = "/v1/jobs/0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a/tunnel";
const CLIENT: &str = "192.0.2.77";

/// What a server behind the router saw, and how it behaves.
#[derive(Debug, Default)]
struct Behind {
    seen: Mutex<Vec<(String, HeaderMap, Bytes)>>,
    unready: AtomicBool,
    checks: AtomicUsize,
}

async fn behind(State(behind): State<Arc<Behind>>, mut request: Request) -> Response {
    let peer = request.extensions().get::<Peer>().cloned().unwrap();
    assert_eq!(peer.identity.as_ref().map(|it| it.role), Some(Role::Router));
    let path = request.uri().to_string();
    if path == "/readyz" {
        behind.checks.fetch_add(1, Ordering::SeqCst);
        let unready = behind.unready.load(Ordering::SeqCst);
        return if unready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }.into_response();
    }
    let line = format!("{} {path}", request.method());
    let headers = request.headers().clone();
    if path.starts_with(JOB) && headers.contains_key(header::UPGRADE) {
        behind.seen.lock().unwrap().push((line, headers, Bytes::new()));
        return tunnel(&mut request);
    }
    let wait = path == "/v1/wait";
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    behind.seen.lock().unwrap().push((line.clone(), headers.clone(), body.clone()));
    if wait {
        std::future::pending::<()>().await;
    }
    let address = peer.client_address(&headers).map(|it| it.to_string()).unwrap_or_default();
    let hop = [("connection", "x-hop"), ("x-hop", "1"), ("x-kept", "1"), ("x-address", &*address)];
    (hop.map(|(name, value)| (name.to_owned(), value.to_owned())), format!("{line} {}", body.len())).into_response()
}

/// Greets, echoes in upper case, and takes its leave when the client has.
fn tunnel(request: &mut Request) -> Response {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        stream.write_all(b"hello ").await.unwrap();
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            stream.write_all(&bytes[..count].to_ascii_uppercase()).await.unwrap();
        }
        drop(stream.write_all(b" bye").await);
        drop(stream.shutdown().await);
    });
    let headers =
        [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, "x")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Everything comes from one address.
#[derive(Debug)]
struct FromClient(MemoryListener);

impl Listen for FromClient {
    fn accept(&mut self) -> Pin<Box<dyn Future<Output = std::io::Result<Accepted>> + Send + '_>> {
        Box::pin(async {
            let address: SocketAddr = format!("{CLIENT}:40000").parse().unwrap();
            self.0.accept().await.map(|it| Accepted { address: Some(address), ..it })
        })
    }
}

/// A router with servers behind it.
struct Gate {
    dialer: MemoryDialer,
    tls: Arc<ClientConfig>,
    api: Vec<(Arc<Behind>, CancellationToken, JoinHandle<()>)>,
    auth: Arc<Behind>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Gate {
    fn new(servers: usize) -> Self {
        Self::with(servers, config::Router { check_ms: 100, ..config::Router::default() })
    }

    fn with(servers: usize, config: config::Router) -> Self {
        let components = Authority::new("components");
        let clients = Authority::new("clients");
        let router = components.credentials(Role::Router, "router");
        let served = |role: Role| {
            let (dialer, listener) = memory();
            let state = Arc::new(Behind::default());
            let answers = Router::new().fallback(behind).with_state(Arc::clone(&state));
            let shutdown = CancellationToken::new();
            let task = tokio::spawn(serve(listener, components.credentials(role, "1"), answers, shutdown.clone()));
            (Client::new(dialer, router.clone(), role), (state, shutdown, task))
        };
        let (api_clients, api): (Vec<_>, Vec<_>) = (0..servers).map(|_| served(Role::Api)).unzip();
        let (auth_client, (auth, ..)) = served(Role::Auth);
        let (chain, key) = clients.certificate(vec![SanType::DnsName("gate".try_into().unwrap())], 4000);
        let tls = Arc::new(ArcSwap::from_pointee(server_config(&chain, &key).unwrap()));
        let (dialer, listener) = memory();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move {
            run(&config, api_clients, auth_client, FromClient(listener), tls, stop).await;
        });
        Self { dialer, tls: trusting(&clients), api, auth, shutdown, task }
    }

    async fn connect(&self) -> TlsStream<gatehouse::link::BoxStream> {
        let stream = self.dialer.dial().await.unwrap();
        let name = ServerName::try_from("gate").unwrap();
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.unwrap()
    }

    /// Sends bytes as they are and reads until the router closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        drop(timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("the router closes"));
        String::from_utf8_lossy(&said).into_owned()
    }

    async fn get(&self, path: &str) -> (u16, String) {
        status_and_body(&self.raw(&format!("GET {path} HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n")).await)
    }

    /// What the first API server saw.
    fn seen(&self) -> Vec<(String, HeaderMap, Bytes)> {
        self.api[0].0.seen.lock().unwrap().clone()
    }
}

fn trusting(authority: &Authority) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn status_and_body(said: &str) -> (u16, String) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((said, ""));
    (head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0), body.to_owned())
}

fn error(body: &str) -> ApiError {
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no error: {body}"))
}

#[tokio::test]
async fn paths_lead_where_they_belong() {
    let gate = Gate::new(1);
    let (status, body) = gate.get("/v1/jobs?fqn=job::/sandbox/tom::web").await;
    assert_eq!((status, &*body), (200, "GET /v1/jobs?fqn=job::/sandbox/tom::web 0"));
    assert_eq!(gate.get("/oauth2/keys").await.0, 200);
    assert_eq!(gate.auth.seen.lock().unwrap().len(), 1);
    assert_eq!(gate.seen().len(), 1);
    for path in ["/internal/im/join", "/internal/sign", "/metrics"] {
        let (status, body) = gate.get(path).await;
        assert_eq!((status, error(&body).code.as_str()), (404, "not_found"), "{path}");
    }
    for path in ["/v1/../internal/join", "/v1//jobs", "/v1/a%2fb", "/v1/%2e%2e/x", "http://gate/v1/jobs", "*"] {
        let (status, body) = gate.get(path).await;
        assert_eq!(status, 400, "{path}: {body}");
    }
    let (status, _) = gate.get("/v1/\u{e9}").await;
    assert_eq!(status, 400);
    assert_eq!((gate.seen().len(), gate.auth.seen.lock().unwrap().len()), (1, 1), "nothing of it got through");
}

#[tokio::test]
async fn the_servers_see_the_socket_s_address_and_no_other() {
    let gate = Gate::new(1);
    let said = gate
        .raw(
            "POST /v1/jobs HTTP/1.1\r\nHost: gate\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n\
             X-Forwarded-Proto: http\r\nForwarded: for=10.0.0.3\r\nX-Real-IP: 10.0.0.4\r\nConnection: close, x-secret\r\n\
             X-Secret: 1\r\nTE: trailers\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\n\r\nhello",
        )
        .await;
    assert!(said.contains(&format!("x-address: {CLIENT}\r\n")), "{said}");
    assert!(said.contains("x-kept: 1") && !said.contains("x-hop"), "{said}");
    let (line, headers, body) = gate.seen().remove(0);
    assert_eq!((&*line, &*body), ("POST /v1/jobs", &b"hello"[..]));
    let names: Vec<&HeaderName> = headers.keys().collect();
    assert_eq!(headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(), [CLIENT]);
    assert_eq!(headers["authorization"], "Bearer t");
    for gone in ["x-forwarded-proto", "forwarded", "x-real-ip", "x-secret", "te", "connection"] {
        assert!(!headers.contains_key(gone), "{gone}: {names:?}");
    }
}

#[tokio::test]
async fn a_body_has_one_end_or_is_refused() {
    let gate = Gate::new(1);
    let post = |path: &str, rest: &str| format!("POST {path} HTTP/1.1\r\nhost: gate\r\n{rest}");
    let smuggled = "GET /v1/smuggled HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n";
    for rest in [
        format!("content-length: 5\r\ncontent-length: 6\r\n\r\nhello{smuggled}"),
        format!("content-length: 5, 6\r\n\r\nhello{smuggled}"),
        format!("content-length: +5\r\n\r\nhello{smuggled}"),
        format!("content-length: -1\r\n\r\n{smuggled}"),
        format!("transfer-encoding: gzip\r\n\r\n{smuggled}"),
        format!("transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("content-length : 5\r\n\r\nhello{smuggled}"),
    ] {
        let said = gate.raw(&post("/v1/jobs", &rest)).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{rest}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{rest}: {said}");
    }
    for order in ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let said = gate.raw(&post("/v1/jobs", &format!("{order}\r\n\r\n0\r\n\r\n{smuggled}"))).await;
        assert!(said.starts_with("HTTP/1.1 411 "), "{order}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{order}: {said}");
    }
    assert_eq!(gate.seen().len(), 0, "{:?}", gate.seen());
    // A package may be chunked; what it pretends besides is dropped, and the connection with it.
    let said = gate
        .raw(&post(
            "/v1/packages",
            &format!("content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}"),
        ))
        .await;
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    let seen = gate.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((&*seen[0].2, seen[0].1.get("content-length")), (&b"hello"[..], None));
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_or_broken_off() {
    let config = config::Router { body_bytes_max: 1_000, package_bytes_max: 3_000, ..config::Router::default() };
    let gate = Gate::with(1, config);
    let post = |path: &str, bytes: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: gate\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n{}",
            "x".repeat(bytes)
        )
    };
    for (path, bytes, expected) in [
        ("/v1/jobs", 1_000, 200),
        ("/v1/jobs", 1_001, 413),
        ("/oauth2/token", 1_001, 413),
        ("/v1/packages", 3_000, 200),
        ("/v1/packages", 3_001, 413),
    ] {
        let said = gate.raw(&post(path, bytes)).await;
        assert_eq!(status_and_body(&said).0, expected, "{path} {bytes}: {said}");
    }
    let chunk = format!("{:x}\r\n{}\r\n", 1_000, "x".repeat(1_000));
    let said = gate
        .raw(&format!(
            "POST /v1/packages HTTP/1.1\r\nhost: gate\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(5)
        ))
        .await;
    let (status, body) = status_and_body(&said);
    assert_eq!((status, error(&body).code.as_str()), (413, "too_large"), "{said}");
    assert_eq!(gate.seen().len(), 2, "the server saw no whole body of the others");
}

async fn opened(gate: &Gate) -> TlsStream<gatehouse::link::BoxStream> {
    let mut stream = gate.connect().await;
    let request = format!(
        "GET {JOB} HTTP/1.1\r\nhost: gate\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: k\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: apc.terminal.v1\r\napc-open: e30\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
    assert!(head.contains("sec-websocket-accept: x"), "{head}");
    stream
}

async fn head(stream: &mut TlsStream<gatehouse::link::BoxStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    head
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_each_side_s_end() {
    let gate = Gate::new(1);
    let mut stream = opened(&gate).await;
    let (_, headers, _) = gate.seen().remove(0);
    assert_eq!(
        (&headers["connection"], &headers["upgrade"]),
        (&"upgrade".parse().unwrap(), &"websocket".parse().unwrap())
    );
    assert_eq!(
        (&headers["apc-open"], &headers["sec-websocket-protocol"]),
        (&"e30".parse().unwrap(), &"apc.terminal.v1".parse().unwrap())
    );
    assert_eq!(headers["x-forwarded-for"], CLIENT);
    let mut said = [0; 6];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello ", "the server may speak first");
    stream.write_all(b"abc").await.unwrap();
    stream.read_exact(&mut said[..3]).await.unwrap();
    assert_eq!(&said[..3], b"ABC");
    // A million bytes both ways at once.
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            writer.write_all(&[b'a'; 10_000]).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        writer
    });
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b" bye"), "what the server says after our end is heard");
    assert_eq!(rest.split(|it| *it == b'A').count(), 1_000_001);
    sending.await.unwrap();
}

#[tokio::test]
async fn only_tunnels_are_upgraded_and_only_to_websockets() {
    let gate = Gate::new(1);
    let websocket = "connection: upgrade\r\nupgrade: websocket\r\n";
    for (method, path, lines) in [
        ("GET", "/v1/jobs", websocket),
        ("GET", "/oauth2/token", websocket),
        ("GET", "/internal/im/link", websocket),
        ("POST", JOB, websocket),
        ("GET", JOB, "connection: upgrade\r\nupgrade: h2c\r\n"),
        ("GET", JOB, "upgrade: websocket\r\n"),
        ("GET", JOB, "connection: upgrade\r\n"),
        ("GET", JOB, "connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n"),
        ("GET", JOB, "connection: upgrade\r\nupgrade: websocket, h2c\r\n"),
    ] {
        let mut stream = gate.connect().await;
        stream
            .write_all(format!("{method} {path} HTTP/1.1\r\nhost: gate\r\n{lines}\r\nhello").as_bytes())
            .await
            .unwrap();
        let said = head(&mut stream).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{method} {path} {lines}: {said}");
    }
    assert_eq!(gate.seen().len(), 0);
}

#[tokio::test]
async fn a_client_that_vanishes_from_a_tunnel_takes_the_server_s_side_with_it() {
    let gate = Gate::with(1, config::Router { drain_ms: 60_000, ..config::Router::default() });
    let stream = opened(&gate).await;
    drop(stream);
    // The router's clean stop waits for tunnels; that it is quick says that none is left.
    gate.shutdown.cancel();
    timeout(Duration::from_secs(10), gate.task).await.expect("the tunnel ended").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_slowly_is_cut_off() {
    let gate = Gate::new(1);
    let mut stream = gate.connect().await;
    let begun = Instant::now();
    let slow = async {
        for byte in b"GET /v1/jobs HTTP/1.1\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            let mut said = [0; 512];
            if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(500), stream.read(&mut said)).await {
                break;
            }
        }
    };
    timeout(Duration::from_mins(1), slow).await.expect("cut off");
    assert!((4..=6).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(gate.seen().len(), 0);
    // One who does not even begin TLS is gone as fast.
    let mut silent = gate.dialer.dial().await.unwrap();
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert!((4..=6).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let gate = Gate::new(1);
    let begun = Instant::now();
    let request = "POST /v1/packages HTTP/1.1\r\nhost: gate\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nhello";
    let mut stream = gate.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut said = String::new();
    drop(timeout(Duration::from_mins(5), stream.read_to_string(&mut said)).await.expect("given up"));
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!((29..=31).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gate = Gate::new(1);
    let said = gate.raw(&format!("GET /v1/jobs HTTP/1.1\r\nhost: gate\r\nx: {}\r\n\r\n", "a".repeat(64 * 1024))).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    let many = (0..200).map(|it| format!("x{it}: 1\r\n")).collect::<Vec<_>>().concat();
    let said = gate.raw(&format!("GET /v1/jobs HTTP/1.1\r\nhost: gate\r\n{many}\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    assert_eq!(gate.seen().len(), 0);
}

#[tokio::test]
async fn garbage_is_no_request() {
    let gate = Gate::new(1);
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /v1/jobs HTTP/1.1\r\nx y: 1\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
        "CONNECT db:5432 HTTP/1.1\r\nhost: db\r\n\r\n",
    ] {
        let said = gate.raw(garbage).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{garbage:?}: {said}");
    }
    assert_eq!(gate.seen().len(), 0);
}

#[tokio::test]
async fn an_unhealthy_server_gets_no_requests_until_it_is_well() {
    let gate = Gate::new(2);
    gate.api[0].0.unready.store(true, Ordering::SeqCst);
    let checks = gate.api[0].0.checks.load(Ordering::SeqCst);
    while gate.api[0].0.checks.load(Ordering::SeqCst) < checks + 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..6 {
        assert_eq!(gate.get("/v1/jobs").await.0, 200);
    }
    assert_eq!(gate.seen().len(), 0);
    gate.api[0].0.unready.store(false, Ordering::SeqCst);
    gate.api[1].0.unready.store(true, Ordering::SeqCst);
    let served = async {
        while gate.seen().is_empty() {
            gate.get("/v1/jobs").await;
        }
    };
    timeout(Duration::from_secs(10), served).await.expect("it is well again");
}

#[tokio::test]
async fn a_server_that_is_gone_is_passed_over_at_once() {
    let mut gate = Gate::with(2, config::Router { check_ms: 3_600_000, ..config::Router::default() });
    let (_, shutdown, task) = gate.api.remove(0);
    shutdown.cancel();
    task.await.unwrap();
    for _ in 0..4 {
        assert_eq!(gate.get("/v1/jobs").await.0, 200, "no client sees it");
    }
    let (_, shutdown, task) = gate.api.remove(0);
    shutdown.cancel();
    task.await.unwrap();
    let (status, body) = gate.get("/v1/jobs").await;
    let error = error(&body);
    assert_eq!((status, error.code.as_str(), error.retry), (503, "unavailable", true));
    assert!(!error.request_id.is_empty());
}

#[tokio::test]
async fn tunnels_go_to_the_server_with_least_to_do() {
    let gate = Gate::new(3);
    let mut tunnels = Vec::new();
    for _ in 0..6 {
        tunnels.push(opened(&gate).await);
    }
    let counts: Vec<usize> = gate.api.iter().map(|it| it.0.seen.lock().unwrap().len()).collect();
    assert_eq!(counts, [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_a_gateway_timeout() {
    let gate = Gate::with(1, config::Router { response_ms: 7_000, ..config::Router::default() });
    let begun = Instant::now();
    let (status, body) = gate.get("/v1/wait").await;
    assert_eq!((status, error(&body).retry), (504, true));
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn large_answers_are_streamed() {
    // Were it collected first, a follower of a log would see nothing.
    let components = Authority::new("components");
    let (dialer, listener) = memory();
    let (part, parts) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let parts = Arc::new(Mutex::new(Some(parts)));
    let routes = Router::new().fallback(move || {
        let parts = parts.lock().unwrap().take();
        async move {
            match parts {
                Some(mut parts) => {
                    Body::from_stream(futures_util::stream::poll_fn(move |context| parts.poll_recv(context)))
                        .into_response()
                }
                None => StatusCode::OK.into_response(),
            }
        }
    });
    tokio::spawn(serve(listener, components.credentials(Role::Auth, "1"), routes, CancellationToken::new()));
    let mut gate = Gate::new(0);
    let auth = Client::new(dialer, components.credentials(Role::Router, "router"), Role::Auth);
    let clients = Authority::new("clients");
    let (chain, key) = clients.certificate(vec![SanType::DnsName("gate".try_into().unwrap())], 4000);
    let (dialer, listener) = memory();
    let tls = Arc::new(ArcSwap::from_pointee(server_config(&chain, &key).unwrap()));
    tokio::spawn(async move {
        run(&config::Router::default(), vec![], auth, listener, tls, CancellationToken::new()).await;
    });
    (gate.dialer, gate.tls) = (dialer, trusting(&clients));
    let mut stream = gate.connect().await;
    stream.write_all(b"GET /oauth2/log HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n").await.unwrap();
    part.send(Ok(Bytes::from_static(b"first line"))).await.unwrap();
    let mut said = String::new();
    while !said.contains("first line") {
        said.push(char::from(timeout(Duration::from_secs(5), stream.read_u8()).await.expect("streamed").unwrap()));
    }
    part.send(Ok(Bytes::from_static(b"second line"))).await.unwrap();
    drop(part);
    stream.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("second line"));
}

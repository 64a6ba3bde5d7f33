//! Links between roles: who gets through, who does not, and what a slow or silent peer can do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use gatehouse::{
    link::{
        Accepted, Acceptor, Admission, BoxStream, CallError, Client, Credentials, Dial, LinkError, Listen,
        MemoryDialer, Peer, Role, ServeOptions, TcpDialer, TcpDoor, memory, read_body, refusal, require, serve,
        serve_with,
    },
    wire::error::ApiError,
};
use hyper_util::rt::TokioIo;
use rcgen::SanType;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, uri};

/// A role that says who asks, echoes after an upgrade, and refuses on demand.
fn router() -> Router {
    Router::new()
        .route(
            "/who",
            get(|Extension(peer): Extension<Peer>| async move {
                peer.identity.map_or_else(|| "stranger".to_owned(), |it| it.uri())
            }),
        )
        .route(
            "/only-im",
            get(|Extension(peer): Extension<Peer>| async move {
                match require(&peer, Role::Im) {
                    Ok(identity) => identity.id.clone().into_response(),
                    Err(error) => refusal(error),
                }
            }),
        )
        .route("/large", get(|| async { vec![7_u8; 100_000] }))
        .route("/twice", post(|body: String| async move { format!("{}", 2 * body.parse::<u32>().unwrap_or(0)) }))
        .route("/echo", get(echo))
        .route("/never", get(|| async { std::future::pending::<()>().await }))
}

async fn echo(request: Request) -> Response {
    tokio::spawn(async move {
        let mut stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        tokio::io::copy(&mut reader, &mut writer).await.ok();
        writer.shutdown().await.ok();
    });
    (StatusCode::SWITCHING_PROTOCOLS, [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")]).into_response()
}

/// A served role, and how to stop it.
struct Served {
    dialer: MemoryDialer,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn served(credentials: Credentials) -> Served {
    served_with(Acceptor::Components(credentials), ServeOptions::default())
}

fn served_with(acceptor: Acceptor, options: ServeOptions) -> Served {
    let (dialer, listener) = memory();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve_with(listener, acceptor, router(), options, shutdown.clone()));
    Served { dialer, shutdown, task }
}

fn ask(path: &str) -> axum::http::Request<Body> {
    axum::http::Request::get(path).body(Body::empty()).unwrap()
}

async fn text(client: &Client, path: &str) -> Result<String, LinkError> {
    let response = client.request(ask(path)).await?;
    Ok(String::from_utf8(read_body(response.into_body(), 1 << 20).await?.to_vec()).unwrap())
}

#[tokio::test]
async fn both_ends_know_each_other_in_memory_and_over_tcp() {
    let authority = Authority::new("a");
    let api = authority.credentials(Role::Api, "api-1");
    let im = authority.credentials(Role::Im, "7");
    let memory = served(api.clone());
    let door = TcpDoor::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = door.address().unwrap();
    let shutdown = CancellationToken::new();
    let tcp = tokio::spawn(serve(door, api, router(), shutdown.clone()));
    for client in [
        Client::new(memory.dialer.clone(), im.clone(), Role::Api),
        Client::new(TcpDialer::new(address.to_string()), im, Role::Api),
    ] {
        assert_eq!(text(&client, "/who").await.unwrap(), "gatehouse://demo/im/7");
        assert_eq!(text(&client, "/only-im").await.unwrap(), "7");
    }
    shutdown.cancel();
    tcp.await.unwrap();
}

#[tokio::test]
async fn json_calls_carry_errors_of_the_other_side() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Auth, "auth"));
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Api, "api-1"), Role::Auth);
    let answer: u32 = client.json(Method::POST, "/twice", Some("token"), Some(&21)).await.unwrap();
    assert_eq!(answer, 42);
    let refused = client.json::<u32>(Method::GET, "/only-im", None, None::<&()>).await.unwrap_err();
    let CallError::Refused { status, error } = refused else { panic!("{refused}") };
    assert_eq!((status, error.code.as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"));
    let missing = client.json::<u32>(Method::GET, "/none", None, None::<&()>).await.unwrap_err();
    assert!(matches!(missing, CallError::Refused { status: StatusCode::NOT_FOUND, .. }), "{missing}");
    let odd = client.json::<u32>(Method::GET, "/who", None, None::<&()>).await.unwrap_err();
    assert!(matches!(odd, CallError::Json(_)), "{odd}");
    let broken = client.json::<u32>(Method::GET, "/a b", None, None::<&()>).await.unwrap_err();
    assert!(matches!(broken, CallError::Link(_)), "{broken}");
}

#[tokio::test]
async fn a_body_larger_than_wanted_is_not_read() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "api-1"));
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Im, "7"), Role::Api);
    let response = client.request(ask("/large")).await.unwrap();
    assert!(matches!(read_body(response.into_body(), 99_999).await, Err(LinkError::TooLarge(99_999))));
    let response = client.request(ask("/large")).await.unwrap();
    assert_eq!(read_body(response.into_body(), 100_000).await.unwrap().len(), 100_000);
}

#[tokio::test]
async fn without_a_certificate_one_is_a_stranger_who_still_knows_the_server() {
    let (authority, other) = (Authority::new("a"), Authority::new("a"));
    let served = served(authority.credentials(Role::Api, "api-1"));
    let fingerprint = |of: &Authority| <[u8; 32]>::from(Sha256::digest(&of.der));
    let client = |credentials, role| Client::new(served.dialer.clone(), credentials, role);
    for good in [Credentials::anonymous("demo", &authority.pem), Credentials::pinned("demo", fingerprint(&authority))] {
        let good = good.unwrap();
        assert_eq!(text(&client(good.clone(), Role::Api), "/who").await.unwrap(), "stranger");
        let refused = client(good.clone(), Role::Api).json::<u32>(Method::GET, "/only-im", None, None::<&()>).await;
        assert!(matches!(refused, Err(CallError::Refused { status: StatusCode::UNAUTHORIZED, .. })));
        assert!(matches!(text(&client(good, Role::Auth), "/who").await, Err(LinkError::Tls(_))), "another role");
    }
    for bad in [
        Credentials::anonymous("demo", &other.pem),
        Credentials::anonymous("other", &authority.pem),
        Credentials::pinned("demo", fingerprint(&other)),
        Credentials::pinned("other", fingerprint(&authority)),
    ] {
        assert!(matches!(text(&client(bad.unwrap(), Role::Api), "/who").await, Err(LinkError::Tls(_))));
    }
}

#[tokio::test]
async fn a_component_that_is_not_one_of_ours_gets_nowhere() {
    let (authority, other) = (Authority::new("a"), Authority::new("a"));
    let good = |role| authority.credentials(role, "1");
    let with = |authority: &Authority, names: Vec<SanType>, until| {
        let (chain, key) = authority.certificate(names, until);
        Credentials::from_pem(&chain, &key, &authority.pem)
    };
    // As clients of a good server.
    let served_good = served(good(Role::Api));
    let foreign = {
        let (chain, key) = other.certificate(vec![uri("gatehouse://demo/im/1")], 4000);
        Credentials::from_pem(&chain, &key, &authority.pem).unwrap()
    };
    let old = with(&authority, vec![uri("gatehouse://demo/im/1")], 2001).unwrap();
    let elsewhere = {
        let (chain, key) = authority.certificate(vec![uri("gatehouse://other/im/1")], 4000);
        Credentials::from_pem(&chain, &key, &authority.pem).unwrap()
    };
    for (name, bad) in [("foreign", &foreign), ("old", &old), ("elsewhere", &elsewhere)] {
        let client = Client::new(served_good.dialer.clone(), bad.clone(), Role::Api);
        let said = text(&client, "/who").await;
        assert!(said.is_err(), "{name}: {said:?}");
    }
    // As servers towards a good client.
    for (name, bad) in [("foreign", foreign), ("old", old), ("elsewhere", elsewhere), ("role", good(Role::Im))] {
        let served = served(bad);
        let client = Client::new(served.dialer.clone(), good(Role::Router), Role::Api);
        let said = text(&client, "/who").await;
        assert!(matches!(said, Err(LinkError::Tls(_))), "{name}: {said:?}");
    }
    // What cannot even be loaded.
    let dns = || SanType::DnsName("demo".try_into().unwrap());
    for (name, names) in [
        ("none", vec![]),
        ("two", vec![uri("gatehouse://demo/im/1"), uri("gatehouse://demo/api/1")]),
        ("with a host name", vec![uri("gatehouse://demo/im/1"), dns()]),
        ("host name", vec![dns()]),
        ("another scheme", vec![uri("spiffe://demo/im/1")]),
    ] {
        assert!(matches!(with(&authority, names, 4000), Err(LinkError::Credentials(_))), "{name}");
    }
    let (chain, key) = authority.certificate(vec![uri("gatehouse://demo/im/1")], 4000);
    let (_, other_key) = authority.certificate(vec![uri("gatehouse://demo/im/1")], 4000);
    for (chain, key, trust) in [
        (&*chain, &*other_key, &*authority.pem),
        ("", &key, &authority.pem),
        (&chain, "", &authority.pem),
        (&chain, &key, ""),
    ] {
        assert!(matches!(Credentials::from_pem(chain, key, trust), Err(LinkError::Credentials(_))));
    }
}

/// A TLS client that shows any certificate, or speaks an older version.
async fn raw(
    dialer: &MemoryDialer,
    authority: &Authority,
    names: Vec<SanType>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<String, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.der.clone())).unwrap();
    let (chain, key) = authority.certificate(names, 4000);
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.dangerous().set_certificate_verifier(Arc::new(any_server::AnyServer));
    let name = ServerName::try_from("api").unwrap();
    let stream = dialer.dial().await?;
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET /who HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n").await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

mod any_server {
    //! Believes every server: the tests of its users are about what the server does.

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub(crate) struct AnyServer;

    impl ServerCertVerifier for AnyServer {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}

#[tokio::test]
async fn a_server_takes_no_older_tls_and_no_certificate_of_doubtful_name() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "api-1"));
    let (new, old) = ([&rustls::version::TLS13], [&rustls::version::TLS12]);
    let name = || uri("gatehouse://demo/im/1");
    let said = raw(&served.dialer, &authority, vec![name()], &new).await.unwrap();
    assert!(said.ends_with("gatehouse://demo/im/1"), "{said}");
    raw(&served.dialer, &authority, vec![name()], &old).await.unwrap_err();
    for names in [
        vec![],
        vec![name(), uri("gatehouse://demo/api/1")],
        vec![name(), name()],
        vec![uri("gatehouse://demo/im/1/x")],
        vec![uri("gatehouse://other/im/1")],
        vec![SanType::DnsName("demo".try_into().unwrap())],
    ] {
        let said = raw(&served.dialer, &authority, names.clone(), &new).await;
        assert!(said.is_err(), "{names:?}: {said:?}");
    }
}

#[tokio::test]
async fn new_credentials_count_from_the_next_connection_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let issued = |by: &Authority, name: &str| by.certificate(vec![uri(name)], 4000);
    let api = old.credentials(Role::Api, "1");
    let im = old.credentials(Role::Im, "1");
    let served = served(api.clone());
    let client = Client::new(served.dialer.clone(), im.clone(), Role::Api);
    text(&client, "/who").await.unwrap();
    // The server believes only the new authority: ours, on a connection that is open, still counts; on a new one not.
    let (chain, key) = issued(&old, "gatehouse://demo/api/1");
    api.replace(&chain, &key, &new.pem).unwrap();
    let late = Client::new(served.dialer.clone(), im.clone(), Role::Api);
    assert!(text(&late, "/who").await.is_err(), "the authority was removed");
    // We show a certificate of the new one and believe both: all is well again.
    let (chain, key) = issued(&new, "gatehouse://demo/im/1");
    im.replace(&chain, &key, &format!("{}{}", old.pem, new.pem)).unwrap();
    assert_eq!(text(&client, "/who").await.unwrap(), "gatehouse://demo/im/1");
    // Now we stop believing the old one, by which the server is still signed; the kept connection must not be used.
    let (chain, key) = issued(&new, "gatehouse://demo/im/1");
    im.replace(&chain, &key, &new.pem).unwrap();
    assert!(matches!(text(&client, "/who").await, Err(LinkError::Tls(_))));
    let (chain, key) = issued(&new, "gatehouse://demo/im/2");
    assert!(im.replace(&chain, &key, &new.pem).is_err(), "another component");
    assert!(im.replace("", &key, &new.pem).is_err());
    assert_eq!(im.identity().unwrap().id, "1");
}

/// Counts connections.
#[derive(Debug)]
struct Counted<D>(D, Arc<AtomicUsize>);

impl<D: Dial> Dial for Counted<D> {
    fn dial(&self) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<BoxStream>> + Send + '_>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.dial()
    }
}

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_was_read() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "1"));
    let dialled = Arc::<AtomicUsize>::default();
    let dial = Counted(served.dialer.clone(), Arc::clone(&dialled));
    let client = Client::new(dial, authority.credentials(Role::Im, "1"), Role::Api);
    for _ in 0..10 {
        text(&client, "/who").await.unwrap();
    }
    assert_eq!(dialled.load(Ordering::SeqCst), 1);
    let unread = client.request(ask("/large")).await.unwrap();
    text(&client, "/who").await.unwrap();
    assert_eq!(dialled.load(Ordering::SeqCst), 2, "the first is busy with an answer");
    drop(unread);
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_closed_goes_to_a_new_one() {
    let authority = Authority::new("a");
    // Idle connections are closed at once: the head of the next request does not come in time.
    let options = ServeOptions { head_timeout: Duration::from_millis(20), ..ServeOptions::default() };
    let served = served_with(Acceptor::Components(authority.credentials(Role::Api, "1")), options);
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Im, "1"), Role::Api);
    for pause_ms in [0, 5, 15, 18, 19, 20, 21, 22, 25, 40] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        assert_eq!(text(&client, "/who").await.unwrap(), "gatehouse://demo/im/1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_in_time() {
    let authority = Authority::new("a");
    let (dialer, mut silent) = memory();
    let client = Client::new(dialer, authority.credentials(Role::Im, "1"), Role::Api);
    let begun = Instant::now();
    let error = text(&client, "/who").await.unwrap_err();
    assert!(matches!(error, LinkError::Unreachable(_)) && error.is_unsent(), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 5);
    drop(silent.accept().await);

    let served = served(authority.credentials(Role::Api, "1"));
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Im, "1"), Role::Api)
        .with_response_timeout(Duration::from_secs(3));
    let begun = Instant::now();
    assert!(matches!(text(&client, "/never").await, Err(LinkError::Deadline(_))));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_is_slow_in_the_doorway_is_shut_out_and_nobody_waits_for_him() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "1"));
    let begun = Instant::now();
    let mut silent = served.dialer.dial().await.unwrap();
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Im, "1"), Role::Api);
    text(&client, "/who").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "the silent one stands in nobody's way");
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    assert_eq!(begun.elapsed().as_secs(), 5);
}

/// Comes from an address.
#[derive(Debug)]
struct From(gatehouse::link::MemoryListener, SocketAddr);

impl Listen for From {
    fn accept(&mut self) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<Accepted>> + Send + '_>> {
        Box::pin(async { self.0.accept().await.map(|it| Accepted { address: Some(self.1), ..it }) })
    }
}

#[tokio::test(start_paused = true)]
async fn one_source_may_stand_in_the_doorway_only_so_often() {
    let authority = Authority::new("a");
    let (dialer, listener) = memory();
    let options = ServeOptions { half_open: Admission::new(100, 3), ..ServeOptions::default() };
    let acceptor = Acceptor::Components(authority.credentials(Role::Api, "1"));
    let listener = From(listener, "192.0.2.1:5".parse().unwrap());
    tokio::spawn(serve_with(listener, acceptor, router(), options, CancellationToken::new()));
    let im = authority.credentials(Role::Im, "1");
    // Whoever is through does not count.
    let inside = Client::new(dialer.clone(), im.clone(), Role::Api);
    text(&inside, "/who").await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(dialer.dial().await.unwrap());
    }
    let mut fourth = dialer.dial().await.unwrap();
    assert_eq!(fourth.read(&mut [0; 16]).await.unwrap_or(0), 0, "shut at once");
    text(&inside, "/who").await.unwrap();
    assert!(text(&Client::new(dialer.clone(), im.clone(), Role::Api), "/who").await.is_err());
    drop(silent.pop());
    // The place is free as soon as the server has seen it.
    let served = async {
        while text(&Client::new(dialer.clone(), im.clone(), Role::Api), "/who").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(3), served).await.expect("a place came free");
}

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_and_a_half_close() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "1"));
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Router, "1"), Role::Api);
    let mut stream = upgraded(&client).await;
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    stream.write_all(b", world").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, ", world", "the other direction goes on after ours was closed");
}

async fn upgraded(client: &Client) -> TokioIo<hyper::upgrade::Upgraded> {
    let mut request = ask("/echo");
    request.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
    request.headers_mut().insert(header::UPGRADE, "echo".parse().unwrap());
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    TokioIo::new(hyper::upgrade::on(response).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_upgraded_connections_only_as_long_as_asked() {
    let authority = Authority::new("a");
    let options = ServeOptions { drain: Duration::from_secs(30), ..ServeOptions::default() };
    let served = served_with(Acceptor::Components(authority.credentials(Role::Api, "1")), options);
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Router, "1"), Role::Api);
    let mut stream = upgraded(&client).await;
    let begun = Instant::now();
    served.shutdown.cancel();
    stream.write_all(b"still").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    let refused = text(&client, "/who").await;
    assert!(refused.is_err(), "nobody new is let in: {refused:?}");
    assert!(!served.task.is_finished());
    assert_eq!(stream.read(&mut back).await.unwrap_or(0), 0, "cut in the end");
    timeout(Duration::from_secs(1), served.task).await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn shutdown_with_nobody_inside_is_immediate() {
    let authority = Authority::new("a");
    let served = served(authority.credentials(Role::Api, "1"));
    let client = Client::new(served.dialer.clone(), authority.credentials(Role::Im, "1"), Role::Api);
    text(&client, "/who").await.unwrap();
    let begun = Instant::now();
    served.shutdown.cancel();
    served.task.await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn errors_have_the_status_of_their_code() {
    for (code, status) in
        [("unauthorized", 401), ("missing_claim", 403), ("not_found", 404), ("too_large", 413), ("x", 500)]
    {
        let error = ApiError { code: code.to_owned(), ..ApiError::default() };
        assert_eq!(refusal(error).status().as_u16(), status);
    }
}

//! The tunnel by SSH, against a server that writes down every byte that a client sends it in the clear.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering},
};

use gatehouse::{api::tunnel::SshDialer, wire::sign::SESSION_OPTION};
use hyper::StatusCode;
use russh::{
    Channel, ChannelId,
    keys::{Algorithm, Certificate, PrivateKey, key::safe_rng},
    server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    net::TcpListener,
};

use crate::session::{
    caller::{Running, exec, open},
    world::{FQN, World},
};

/// SSH message numbers (RFC 4250 section 4.1.2) of a key exchange and its end; authentication begins at 5, encrypted.
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const KEX_ECDH_INIT: u8 = 30;

/// An SSH server in an instance's place.
struct Peer {
    address: SocketAddr,
    host_key: String,
    authentications: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<u8>>>,
    certificates: Arc<Mutex<Vec<Certificate>>>,
}

impl Peer {
    async fn start() -> Self {
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let host_key = key.public_key().to_openssh().unwrap();
        let config = Arc::new(Config {
            keys: vec![key],
            auth_rejection_time_initial: Some(std::time::Duration::ZERO),
            ..Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            host_key,
            authentications: Arc::default(),
            received: Arc::default(),
            certificates: Arc::default(),
        };
        let (authentications, received) = (Arc::clone(&peer.authentications), Arc::clone(&peer.received));
        let certificates = Arc::clone(&peer.certificates);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ours, theirs) = duplex(1024 * 1024);
                let handler =
                    Server { authentications: Arc::clone(&authentications), certificates: Arc::clone(&certificates) };
                tokio::spawn(copy(stream, ours, Arc::clone(&received)));
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = run_stream(config, theirs, handler).await {
                        let _client_may_break_off = session.await;
                    }
                });
            }
        });
        peer
    }

    /// The numbers of the messages that came in the clear, and what came encrypted after them.
    fn messages(&self) -> (Vec<u8>, Vec<u8>) {
        let received = self.received.lock().unwrap().clone();
        assert!(received.starts_with(b"SSH-2.0-"));
        let line = received.iter().position(|it| *it == b'\n').unwrap();
        let (mut rest, mut numbers) = (&received[line + 1..], Vec::new());
        while numbers.last() != Some(&NEWKEYS)
            && let Some((length, packet)) = rest.split_first_chunk::<4>()
        {
            numbers.push(packet[1]);
            rest = &packet[u32::from_be_bytes(*length) as usize..];
        }
        (numbers, rest.to_vec())
    }
}

async fn copy(stream: tokio::net::TcpStream, ours: tokio::io::DuplexStream, received: Arc<Mutex<Vec<u8>>>) {
    let (mut from_client, mut to_client) = stream.into_split();
    let (mut from_server, mut to_server) = split(ours);
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
        received.lock().unwrap().extend(&buffer[..count]);
        if to_server.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    back.abort();
}

#[derive(Debug)]
struct Server {
    authentications: Arc<AtomicUsize>,
    certificates: Arc<Mutex<Vec<Certificate>>>,
}

impl Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        self.authentications.fetch_add(1, Ordering::SeqCst);
        Ok(Auth::reject())
    }

    async fn auth_openssh_certificate(&mut self, _: &str, certificate: &Certificate) -> Result<Auth, Self::Error> {
        self.authentications.fetch_add(1, Ordering::SeqCst);
        self.certificates.lock().unwrap().push(certificate.clone());
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        session.data(id, command.to_vec())?;
        session.extended_data(id, 1, b"to err".to_vec())?;
        session.exit_status_request(id, 7)?;
        session.eof(id)?;
        session.close(id)
    }
}

async fn world(peer: &Peer, pinned: &str) -> (World, String) {
    let world = World::start(Arc::new(SshDialer), None).await;
    world.places.change(|all| {
        let located = all.get_mut(&world.instance).unwrap().1.as_mut().unwrap();
        (located.address, located.host_key) = (peer.address, pinned.to_owned());
    });
    world.permit("tom", "ssh").await;
    let token = world.token("tom").await;
    (world, token)
}

#[tokio::test]
async fn a_command_runs_over_ssh_by_a_certificate_for_this_instance_and_session() {
    let peer = Peer::start().await;
    let (world, token) = world(&peer, &peer.host_key).await;
    let running = Running::start(open(&world, &token, &exec("make 'test it'")).await.unwrap());
    let (output, errors) = (running.output.clone(), running.errors.clone());
    assert_eq!(running.status().await, 7);
    assert_eq!((output.bytes(), errors.bytes()), (b"make 'test it'".to_vec(), b"to err".to_vec()));
    let certificate = peer.certificates.lock().unwrap().pop().unwrap();
    assert_eq!(certificate.valid_principals(), [world.instance.to_string()]);
    let session = world.ears.heard("ssh.session.closed").await.session.unwrap();
    let option = certificate.critical_options().get(SESSION_OPTION).unwrap();
    assert!(option.contains(&session), "{option}");
    assert_eq!(peer.authentications.load(Ordering::SeqCst), 1);
    let (messages, encrypted) = peer.messages();
    assert_eq!(messages, [KEXINIT, KEX_ECDH_INIT, NEWKEYS]);
    assert!(!encrypted.is_empty());
}

#[tokio::test]
async fn with_a_wrong_host_key_there_is_no_101_and_not_one_byte_of_authentication() {
    let peer = Peer::start().await;
    let other = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let (world, token) = world(&peer, &other.public_key().to_openssh().unwrap()).await;
    let (status, error) = open(&world, &token, &exec("id")).await.unwrap_err();
    assert_eq!((status, error.code.as_str()), (StatusCode::BAD_GATEWAY, "host_key_mismatch"));
    assert!(error.message.contains(FQN), "{}", error.message);
    assert_eq!(peer.authentications.load(Ordering::SeqCst), 0);
    let (messages, encrypted) = peer.messages();
    assert!(
        [&[KEXINIT, KEX_ECDH_INIT][..], &[KEXINIT, KEX_ECDH_INIT, NEWKEYS]].contains(&&messages[..]),
        "{messages:?}"
    );
    assert_eq!(encrypted, b"");
    assert!(world.ears.of_type("ssh.session.opened").is_empty());
    assert!(world.tunnel.sessions().list().is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_there_or_says_nothing_sensible_is_an_http_error() {
    let peer = Peer::start().await;
    let (world, token) = world(&peer, &peer.host_key).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let babbling = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let babble = babbling.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = babbling.accept().await {
            let _client_may_break_off = stream.write_all(b"HTTP/1.1 200 \x1b[2J\r\n\r\n").await;
        }
    });
    for address in [closed, babble, "127.0.0.1:222".parse().unwrap()] {
        world.places.change(|all| all.get_mut(&world.instance).unwrap().1.as_mut().unwrap().address = address);
        let (status, error) = open(&world, &token, &exec("id")).await.unwrap_err();
        assert_eq!((status, error.code.as_str()), (StatusCode::BAD_GATEWAY, "host_unreachable"), "{address}");
    }
    assert!(world.tunnel.sessions().list().is_empty());
}

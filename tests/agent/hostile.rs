//! Peers that do not want to log in: silent, slow, loud, many.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use libtest_mimic::Trial;

use crate::{
    fixture::{Agent, PATIENCE, wait_until},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_silent_peer_is_cut_after_ten_seconds,
        a_dribbling_peer_is_cut_after_ten_seconds,
        a_loud_peer_is_cut_at_64_kibibytes,
        one_source_gets_sixteen_half_open_connections,
        garbage_ends_only_its_own_connection,
        a_peer_without_strict_key_exchange_is_refused,
    ]
}

fn connect(agent: &Agent) -> TcpStream {
    let stream = TcpStream::connect(agent.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads the server's identification line.
fn greeted(mut stream: &TcpStream) {
    let mut line = [0; 19];
    stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"SSH-2.0-Gatehouse\r\n");
}

/// Reads until the server has closed.
fn closed(mut stream: &TcpStream) {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => (),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                return;
            }
        }
    }
}

fn a_silent_peer_is_cut_after_ten_seconds() {
    let agent = Agent::start();
    let began = Instant::now();
    let stream = connect(&agent);
    greeted(&stream);
    closed(&stream);
    assert!((9..14).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

fn a_dribbling_peer_is_cut_after_ten_seconds() {
    let agent = Agent::start();
    let began = Instant::now();
    let mut stream = connect(&agent);
    stream.write_all(b"SSH-2.0-slow\r\n").unwrap();
    while stream.write_all(&[0]).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it was never cut");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((9..14).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

fn a_loud_peer_is_cut_at_64_kibibytes() {
    let agent = Agent::start();
    let began = Instant::now();
    let mut stream = connect(&agent);
    stream.write_all(b"SSH-2.0-loud\r\n").unwrap();
    // A packet of 200,000 bytes that the transport would wait for.
    let mut packet = vec![0; 200_000];
    packet[..4].copy_from_slice(&199_996_u32.to_be_bytes());
    let _cut_meanwhile = stream.write_all(&packet);
    closed(&stream);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(agent.stdout("echo in"), "in\n");
}

fn one_source_gets_sixteen_half_open_connections() {
    let agent = Agent::start();
    let open: Vec<TcpStream> = (0..16).map(|_| connect(&agent)).collect();
    for stream in &open {
        greeted(stream);
    }
    let mut further = connect(&agent);
    let mut line = [0; 1];
    // Closed without a word; a reset if our own bytes crossed it.
    assert!(matches!(further.read(&mut line), Ok(0) | Err(_)));
    assert!(!agent.run("echo in").status.success());
    for stream in &open {
        stream.shutdown(Shutdown::Both).unwrap();
    }
    wait_until("a place is free again", || agent.run("echo in").stdout == b"in\n");
}

fn garbage_ends_only_its_own_connection() {
    let agent = Agent::start();
    let mut running =
        agent.ssh(&agent.identity()).args(["127.0.0.1", "cat"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut zero_length = b"SSH-2.0-x\r\n".to_vec();
    zero_length.extend([0; 64]);
    let mut huge_length = b"SSH-2.0-x\r\n".to_vec();
    huge_length.extend([0xff; 64]);
    let long_line = vec![b'A'; 10_000];
    let http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for bytes in [zero_length, huge_length, long_line, http, vec![0; 4096], b"SSH-1.0-old\r\n".to_vec()] {
        let mut stream = connect(&agent);
        let _cut_meanwhile = stream.write_all(&bytes);
        let _cut_already = stream.shutdown(Shutdown::Write);
        closed(&stream);
    }
    running.stdin.take().unwrap().write_all(b"still here").unwrap();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"still here", "{}", agent.log());
}

/// Key exchange by hand is long; a client whose offer lacks the one name is enough: it must be turned away before it could
/// ask for anything.
fn a_peer_without_strict_key_exchange_is_refused() {
    let agent = Agent::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for strict in [false, true] {
            let mut preferred = russh::Preferred::DEFAULT;
            let kex =
                preferred.kex.iter().filter(|it| strict || !it.as_ref().starts_with("kex-strict")).copied().collect();
            preferred.kex = std::borrow::Cow::Owned(kex);
            let config = std::sync::Arc::new(russh::client::Config { preferred, ..russh::client::Config::default() });
            let connected = async {
                let mut handle = russh::client::connect(config, agent.address, Anyone).await?;
                handle.authenticate_none("job").await
            };
            let result = connected.await;
            // With strict key exchange the answer to `none` is a refusal in form.
            assert_eq!(
                matches!(result, Ok(russh::client::AuthResult::Failure { ref remaining_methods, .. })
                if !remaining_methods.is_empty()),
                strict,
                "{result:?}"
            );
        }
    });
}

struct Anyone;

impl russh::client::Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &russh::keys::PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

//! The client of the API server against the agent: what a session is made of, and what ends it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gatehouse::{
    ssh::upstream::{
        DialError, Dialed, Endpoint, OpenError, SessionKey, Upstream, UpstreamChannel, UpstreamEvent, UpstreamEvents,
        dial,
    },
    wire::sign::{Open, Pty},
};
use libtest_mimic::Trial;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    fixture::{Agent, PATIENCE, other_key, sign_public, wait_until_still},
    grant::grant,
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_command_says_all_that_a_session_can_say,
        a_signal_is_sent_and_told,
        a_terminal_is_resized,
        a_refusal_says_why,
        many_channels_run_side_by_side,
        who_does_not_read_stops_nobody_else,
        megabytes_pass_both_ways_at_once_unchanged,
        another_host_key_is_never_told_anything,
        a_grant_opens_its_own_instance_alone,
        a_silent_host_is_given_up,
        a_closed_port_is_unreachable,
        a_bad_certificate_is_refused,
        closing_a_channel_ends_what_runs_in_it,
        a_lost_connection_is_an_event,
        dropping_the_connection_ends_what_runs,
        connecting_is_quick,
    ]
}

pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(2 * PATIENCE, test).await.expect("the test hangs") })
}

pub(crate) fn exec(command: &str) -> Open {
    Open::Exec { command: command.to_owned(), pty: None }
}

fn shell(command: &str) -> Open {
    let pty = Pty { term: "xterm".to_owned(), columns: 80, rows: 24, modes: vec![(53, 0)] };
    Open::Exec { command: command.to_owned(), pty: Some(pty) }
}

async fn dialed(agent: &Agent) -> Dialed {
    let endpoint = Endpoint::new(agent.instance, agent.address, &agent.host_key).unwrap();
    dial(&grant(agent.instance, &exec("true")).await, &endpoint).await.unwrap()
}

fn certificate(agent: &Agent, key: &SessionKey) -> String {
    let public = russh::keys::PublicKey::from_openssh(key.public_key()).unwrap();
    sign_public(public.key_data().clone(), &agent.draft())
}

async fn connected(agent: &Agent) -> Upstream {
    let key = SessionKey::generate().unwrap();
    dialed(agent).await.authenticate(&key, &certificate(agent, &key)).await.unwrap()
}

/// Everything until the channel is closed: standard output, standard error, and the rest.
async fn all(mut events: UpstreamEvents) -> (String, String, Vec<UpstreamEvent>) {
    let (mut stdout, mut stderr, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event {
            UpstreamEvent::Stdout(bytes) => stdout.extend(bytes),
            UpstreamEvent::Stderr(bytes) => stderr.extend(bytes),
            other @ (UpstreamEvent::Eof
            | UpstreamEvent::ExitStatus(_)
            | UpstreamEvent::ExitSignal(_)
            | UpstreamEvent::Lost(_)) => rest.push(other),
        }
    }
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), rest)
}

async fn line(events: &mut UpstreamEvents) -> String {
    lines(events, 1).await.remove(0)
}

/// So many lines, however many of them come at once.
async fn lines(events: &mut UpstreamEvents, count: usize) -> Vec<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\n") || text.split(|it| *it == b'\n').count() <= count {
        let event = events.next().await.unwrap();
        let UpstreamEvent::Stdout(bytes) = event else { panic!("{event:?}") };
        text.extend(bytes);
    }
    String::from_utf8(text).unwrap().lines().map(|it| it.trim().to_owned()).collect()
}

fn a_command_says_all_that_a_session_can_say() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let UpstreamChannel { sender, events } = upstream.open(&exec("cat; echo err >&2; exit 9")).await.unwrap();
        sender.data(b"in and out".to_vec()).await.unwrap();
        sender.eof().await.unwrap();
        let (stdout, stderr, rest) = all(events).await;
        assert_eq!((stdout.as_str(), stderr.as_str()), ("in and out", "err\n"));
        assert_eq!(rest, [UpstreamEvent::ExitStatus(9), UpstreamEvent::Eof]);
        assert_eq!(upstream.lost(), None);
    });
}

fn a_signal_is_sent_and_told() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        for (name, told) in [("TERM", "TERM"), ("USR2", "USR2"), ("KILL", "KILL")] {
            let mut channel = upstream.open(&exec("echo ready; exec sleep 1000")).await.unwrap();
            assert_eq!(line(&mut channel.events).await, "ready");
            channel.sender.signal("NOSUCH").await.unwrap();
            channel.sender.signal(name).await.unwrap();
            let (_, _, rest) = all(channel.events).await;
            assert_eq!(rest, [UpstreamEvent::ExitSignal(told.to_owned()), UpstreamEvent::Eof]);
        }
    });
}

fn a_terminal_is_resized() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let command =
            "trap 'stty size; exit 0' WINCH; stty size; stty -a | grep -o -e '-echo '; while :; do sleep 0.05; done";
        let mut channel = upstream.open(&shell(command)).await.unwrap();
        assert_eq!(lines(&mut channel.events, 2).await, ["24 80", "-echo"]);
        channel.sender.resize(132, 50).await.unwrap();
        assert_eq!(line(&mut channel.events).await, "50 132");
        let (_, _, rest) = all(channel.events).await;
        assert_eq!(rest, [UpstreamEvent::ExitStatus(0), UpstreamEvent::Eof]);
    });
}

fn a_refusal_says_why() {
    let agent = Agent::start_as("nobody-here");
    block_on(async {
        let upstream = connected(&agent).await;
        let Err(OpenError::Refused(why)) = upstream.open(&exec("true")).await else { panic!("it was opened") };
        assert_eq!(why, "apc-agent: no user `nobody-here` in this image");
        let sftp = Open::Subsystem { name: "sftp".to_owned() };
        assert!(matches!(upstream.open(&sftp).await, Err(OpenError::Unsupported(_))));
    });
}

fn many_channels_run_side_by_side() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let mut channels = Vec::new();
        for number in 0..10 {
            channels.push(upstream.open(&exec(&format!("cat; echo {number}"))).await.unwrap());
        }
        assert!(matches!(upstream.open(&exec("true")).await, Err(OpenError::Refused(_))));
        for (number, channel) in channels.into_iter().enumerate().rev() {
            channel.sender.eof().await.unwrap();
            assert_eq!(all(channel.events).await.0, format!("{number}\n"));
        }
        // Places are given back, whoever closed.
        for _ in 0..30 {
            let channel = upstream.open(&exec("echo again")).await.unwrap();
            assert_eq!(all(channel.events).await.0, "again\n");
        }
    });
}

/// A channel that nobody reads here, and one whose program reads nothing there.
fn who_does_not_read_stops_nobody_else() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let mut unread = upstream.open(&exec("exec cat /dev/zero")).await.unwrap();
        assert!(matches!(unread.events.next().await, Some(UpstreamEvent::Stdout(_))));
        let deaf = upstream.open(&exec("exec sleep 1000")).await.unwrap();
        let stuffed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&stuffed);
        let stuffing = tokio::spawn(async move {
            while deaf.sender.data(vec![0; 32 * 1024]).await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            deaf.events
        });
        until(&stuffed, 1).await;
        wait_until_still("the window is shut", || stuffed.load(Ordering::SeqCst));
        for _ in 0..5 {
            let began = Instant::now();
            let channel = upstream.open(&exec("echo prompt")).await.unwrap();
            assert_eq!(all(channel.events).await.0, "prompt\n");
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        }
        assert!(!stuffing.is_finished(), "the window never shut");
        stuffing.abort();
    });
}

fn megabytes_pass_both_ways_at_once_unchanged() {
    let agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let sent: Vec<u8> = (0..2_000_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut copies = Vec::new();
        for _ in 0..3 {
            let UpstreamChannel { sender, mut events } = upstream.open(&exec("cat")).await.unwrap();
            let expected = sent.clone();
            copies.push(tokio::spawn(async move {
                let bytes = expected.clone();
                let writer = tokio::spawn(async move {
                    for chunk in bytes.chunks(50_000) {
                        sender.data(chunk.to_vec()).await.unwrap();
                    }
                    sender.eof().await.unwrap();
                });
                let mut received = Vec::new();
                while let Some(event) = events.next().await {
                    if let UpstreamEvent::Stdout(bytes) = event {
                        received.extend(bytes);
                    }
                }
                writer.await.unwrap();
                assert_eq!(received.len(), expected.len());
                assert!(received == expected, "bytes were changed");
            }));
        }
        for copy in copies {
            copy.await.unwrap();
        }
    });
}

/// Passes bytes on to the agent and counts those of the client.
async fn counting_proxy(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(to).await.unwrap().into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let mut buffer = vec![0; 4096];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            counter.fetch_add(read, Ordering::SeqCst);
            to_server.write_all(&buffer[..read]).await.unwrap();
        }
        counter.fetch_add(1_000_000, Ordering::SeqCst);
    });
    (address, count)
}

fn another_host_key_is_never_told_anything() {
    let agent = Agent::start();
    block_on(async {
        let proof = grant(agent.instance, &exec("true")).await;
        let (address, count) = counting_proxy(agent.address).await;
        let other = other_key().public_key().to_openssh().unwrap();
        let wrong = Endpoint::new(agent.instance, address, &other).unwrap();
        let result = dial(&proof, &wrong).await;
        assert!(matches!(result, Err(DialError::HostKeyMismatch)), "{result:?}");
        // The proxy adds a million when the client has closed.
        until(&count, 1_000_000).await;
        let mismatched = count.load(Ordering::SeqCst) - 1_000_000;
        // With the right key the dial itself says as much: the key exchange, and nothing of anybody.
        let (address, count) = counting_proxy(agent.address).await;
        let right = Endpoint::new(agent.instance, address, &agent.host_key).unwrap();
        let dialed = dial(&proof, &right).await.unwrap();
        until(&count, mismatched).await;
        wait_until_still("nothing more is said", || count.load(Ordering::SeqCst));
        assert_eq!(count.load(Ordering::SeqCst), mismatched);
        // What authentication takes is far more than a rounding of that.
        let key = SessionKey::generate().unwrap();
        dialed.authenticate(&key, &certificate(&agent, &key)).await.unwrap();
        assert!(mismatched + 500 < count.load(Ordering::SeqCst));
    });
}

async fn until(count: &AtomicUsize, least: usize) {
    while count.load(Ordering::SeqCst) < least {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn a_grant_opens_its_own_instance_alone() {
    let agent = Agent::start();
    block_on(async {
        let proof = grant(Uuid::new_v4(), &exec("true")).await;
        let (address, count) = counting_proxy(agent.address).await;
        let endpoint = Endpoint::new(agent.instance, address, &agent.host_key).unwrap();
        assert!(matches!(dial(&proof, &endpoint).await, Err(DialError::OtherInstance)));
        assert_eq!(count.load(Ordering::SeqCst), 0);
    });
}

fn a_silent_host_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let instance = Uuid::new_v4();
    let key = other_key().public_key().to_openssh().unwrap();
    let endpoint = Endpoint::new(instance, listener.local_addr().unwrap(), &key).unwrap();
    block_on(async {
        let proof = grant(instance, &exec("true")).await;
        let began = Instant::now();
        let result = dial(&proof, &endpoint).await;
        assert!(matches!(result, Err(DialError::TimedOut)), "{result:?}");
        assert!((9..14).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    });
}

fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let instance = Uuid::new_v4();
    let endpoint = Endpoint::new(instance, address, &other_key().public_key().to_openssh().unwrap()).unwrap();
    block_on(async {
        let result = dial(&grant(instance, &exec("true")).await, &endpoint).await;
        assert!(matches!(result, Err(DialError::Unreachable(_))), "{result:?}");
    });
}

fn a_bad_certificate_is_refused() {
    let agent = Agent::start();
    block_on(async {
        let key = SessionKey::generate().unwrap();
        let good = certificate(&agent, &key);
        let other = SessionKey::generate().unwrap();
        let result = dialed(&agent).await.authenticate(&other, &good).await;
        assert!(matches!(result, Err(DialError::Refused | DialError::Protocol(_))), "{result:?}");
        let result = dialed(&agent).await.authenticate(&key, "ssh-ed25519-cert-v01@openssh.com AAAA").await;
        assert!(matches!(result, Err(DialError::Certificate)), "{result:?}");
        // Neither has used it up; once it is used, it is.
        dialed(&agent).await.authenticate(&key, &good).await.unwrap();
        let result = dialed(&agent).await.authenticate(&key, &good).await;
        assert!(matches!(result, Err(DialError::Refused)), "{result:?}");
    });
}

fn closing_a_channel_ends_what_runs_in_it() {
    let agent = Agent::start();
    let mut processes = Vec::new();
    block_on(async {
        let upstream = connected(&agent).await;
        for _ in 0..12 {
            let mut channel = upstream.open(&exec("trap '' HUP; echo $$; sleep 1000; sleep 1000")).await.unwrap();
            processes.push(line(&mut channel.events).await.parse().unwrap());
            let sender = channel.sender.clone();
            let stuffing = tokio::spawn(async move { while sender.data(vec![0; 32 * 1024]).await.is_ok() {} });
            channel.sender.close().await.unwrap();
            stuffing.await.unwrap();
            assert_eq!(all(channel.events).await.2, []);
        }
        crate::fixture::wait_until("the processes are gone", || {
            !processes.iter().copied().any(crate::fixture::is_alive)
        });
    });
}

fn a_lost_connection_is_an_event() {
    let mut agent = Agent::start();
    block_on(async {
        let upstream = connected(&agent).await;
        let mut channel = upstream.open(&exec("echo ready; exec sleep 1000")).await.unwrap();
        assert_eq!(line(&mut channel.events).await, "ready");
        agent.process().kill().unwrap();
        let (_, _, rest) = all(channel.events).await;
        assert!(matches!(rest.as_slice(), [UpstreamEvent::Lost(_)]), "{rest:?}");
        assert!(upstream.lost().is_some());
        assert!(matches!(upstream.open(&exec("true")).await, Err(OpenError::Lost(_))));
    });
}

fn dropping_the_connection_ends_what_runs() {
    let agent = Agent::start();
    let process = block_on(async {
        let upstream = connected(&agent).await;
        let mut channel = upstream.open(&exec("trap '' HUP; echo $$; sleep 1000; sleep 1000")).await.unwrap();
        let process: i32 = line(&mut channel.events).await.parse().unwrap();
        drop(upstream);
        process
    });
    crate::fixture::wait_until("the process is gone", || !crate::fixture::is_alive(process));
}

/// From the first packet to the first byte of a command's output, the decision left out.
fn connecting_is_quick() {
    let agent = Agent::start();
    block_on(async {
        let proof = grant(agent.instance, &exec("true")).await;
        let endpoint = Endpoint::new(agent.instance, agent.address, &agent.host_key).unwrap();
        let mut times = Vec::new();
        for _ in 0..20 {
            let key = SessionKey::generate().unwrap();
            let certificate = certificate(&agent, &key);
            let began = Instant::now();
            let dialed = dial(&proof, &endpoint).await.unwrap();
            let upstream = dialed.authenticate(&key, &certificate).await.unwrap();
            let authenticated = began.elapsed();
            let mut channel = upstream.open(&exec("echo ready")).await.unwrap();
            assert_eq!(line(&mut channel.events).await, "ready");
            times.push((began.elapsed(), authenticated));
        }
        times.sort();
        let (first_byte, authenticated) = times[times.len() / 2];
        eprintln!("upstream: authenticated after {authenticated:?}, first byte after {first_byte:?} (medians)");
        assert!(first_byte < Duration::from_secs(2));
    });
}

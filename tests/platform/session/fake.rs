//! A fake instance: it counts what reaches it, and runs processes that a test scripts.

use std::{
    any::Any,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use gatehouse::{
    api::{
        fleet::Located,
        tunnel::instance::{
            Channel, ChannelEvent, ChannelReceiver, ChannelSender, Connection, Dialed, Dialer, Doing, ReachError,
            SessionKey,
        },
    },
    gate::Grant,
    session::{
        core::Output,
        frame::{Exit, Size},
    },
    wire::sign::Open,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What has reached the fake, by kind.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dialed: AtomicUsize,
    pub(crate) authenticated: AtomicUsize,
    pub(crate) opened: AtomicUsize,
    /// Connections that live.
    pub(crate) live: AtomicUsize,
    pub(crate) written: Mutex<Vec<u8>>,
    pub(crate) told: Mutex<Vec<String>>,
}

impl Counts {
    pub(crate) fn of(&self) -> [usize; 3] {
        [&self.dialed, &self.authenticated, &self.opened].map(|it| it.load(Ordering::SeqCst))
    }
}

/// Dials the fake.
#[derive(Debug, Default)]
pub(crate) struct FakeSsh {
    pub(crate) counts: Arc<Counts>,
    /// Fails the dial so.
    pub(crate) failure: Mutex<Option<ReachError>>,
    /// Says this as soon as a process is started, without being asked.
    pub(crate) banner: &'static [u8],
}

#[derive(Debug)]
struct FakeKey(String);

#[derive(Debug)]
struct FakeConnection {
    counts: Arc<Counts>,
    banner: &'static [u8],
    cut: CancellationToken,
}

impl Drop for FakeConnection {
    fn drop(&mut self) {
        self.cut.cancel();
        self.counts.live.fetch_sub(1, Ordering::SeqCst);
    }
}

impl SessionKey for FakeKey {
    fn public(&self) -> &str {
        &self.0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Dialer for FakeSsh {
    fn key(&self) -> Result<Box<dyn SessionKey>, ReachError> {
        // A real public key: the signer reads it.
        Ok(Box::new(FakeKey(gatehouse::ssh::upstream::SessionKey::generate().unwrap().public_key().to_owned())))
    }

    fn dial<'a>(&'a self, _: &'a Grant, _: &'a Located) -> Doing<'a, Result<Box<dyn Dialed>, ReachError>> {
        Box::pin(async move {
            self.counts.dialed.fetch_add(1, Ordering::SeqCst);
            if let Some(failure) = self.failure.lock().unwrap().clone() {
                return Err(failure);
            }
            self.counts.live.fetch_add(1, Ordering::SeqCst);
            let counts = Arc::clone(&self.counts);
            let connection: Box<dyn Dialed> =
                Box::new(FakeConnection { counts, banner: self.banner, cut: CancellationToken::new() });
            Ok(connection)
        })
    }
}

impl Dialed for FakeConnection {
    fn authenticate(
        self: Box<Self>,
        _: Box<dyn SessionKey>,
        certificate: String,
    ) -> Doing<'static, Result<Box<dyn Connection>, ReachError>> {
        Box::pin(async move {
            assert!(certificate.starts_with("ssh-ed25519-cert-v01@openssh.com "), "{certificate}");
            self.counts.authenticated.fetch_add(1, Ordering::SeqCst);
            let connection: Box<dyn Connection> = self;
            Ok(connection)
        })
    }
}

impl Connection for FakeConnection {
    /// `echo`: what comes goes back, until the end of input. `exit N`, `kill NAME`, `vanish`, `flood`, `both`: as said.
    fn open<'a>(&'a self, open: &'a Open) -> Doing<'a, Result<Channel, String>> {
        Box::pin(async move {
            self.counts.opened.fetch_add(1, Ordering::SeqCst);
            let command = match open {
                Open::Shell { .. } => "echo".to_owned(),
                Open::Exec { command, .. } => command.clone(),
                Open::Subsystem { .. } | Open::Forward { .. } => panic!("{open:?} reached the instance"),
            };
            if command == "refuse" {
                return Err("the shell is broken\u{1b}[2J".to_owned());
            }
            let (to_client, events) = mpsc::channel(4);
            let (input, from_client) = mpsc::channel(4);
            let (banner, cut) = (self.banner, self.cut.clone());
            tokio::spawn(
                async move { cut.run_until_cancelled(process(command, banner, to_client, from_client)).await },
            );
            let sender = Arc::new(FakeSender { counts: Arc::clone(&self.counts), input: Mutex::new(Some(input)) });
            Ok(Channel { sender, receiver: Box::new(FakeReceiver(events)) })
        })
    }

    fn cut(&self) {
        self.cut.cancel();
    }
}

async fn process(
    command: String,
    banner: &'static [u8],
    to_client: mpsc::Sender<ChannelEvent>,
    mut input: mpsc::Receiver<Vec<u8>>,
) {
    let say = async |event| to_client.send(event).await.unwrap_or_default();
    let out = |bytes: &[u8]| ChannelEvent::Data(Output::Stdout, bytes.to_vec());
    if !banner.is_empty() {
        say(out(banner)).await;
    }
    let words: Vec<&str> = command.split(' ').collect();
    let exit = match words.as_slice() {
        ["exit", code] => Exit::Code(code.parse().unwrap()),
        ["kill", name] => Exit::Signal((*name).to_owned()),
        ["vanish"] => return say(ChannelEvent::Lost("reset by peer".to_owned())).await,

        ["flood", megabytes] => {
            for _ in 0..megabytes.parse::<usize>().unwrap() * 32 {
                say(out(&vec![b'x'; 32 * 1024])).await;
            }
            Exit::Code(0)
        }
        ["both"] => {
            say(out(b"to out")).await;
            say(ChannelEvent::Data(Output::Stderr, b"to err".to_vec())).await;
            Exit::Code(3)
        }
        _ => {
            while let Some(bytes) = input.recv().await {
                say(out(&bytes)).await;
            }
            Exit::Code(0)
        }
    };
    say(ChannelEvent::Ended).await;
    say(ChannelEvent::Exited(exit)).await;
}

#[derive(Debug)]
struct FakeSender {
    counts: Arc<Counts>,
    input: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
}

impl ChannelSender for FakeSender {
    fn write(self: Arc<Self>, bytes: Vec<u8>) -> Doing<'static, ()> {
        Box::pin(async move {
            self.counts.written.lock().unwrap().extend(&bytes);
            let input = self.input.lock().unwrap().clone();
            if let Some(input) = input {
                let _process_may_be_gone = input.send(bytes).await;
            }
        })
    }

    fn end(self: Arc<Self>) -> Doing<'static, ()> {
        Box::pin(async move { drop(self.input.lock().unwrap().take()) })
    }

    fn resize(self: Arc<Self>, size: Size) -> Doing<'static, ()> {
        Box::pin(async move { self.counts.told.lock().unwrap().push(format!("{}x{}", size.columns, size.rows)) })
    }

    fn signal(self: Arc<Self>, name: String) -> Doing<'static, ()> {
        Box::pin(async move { self.counts.told.lock().unwrap().push(name) })
    }

    fn close(self: Arc<Self>) -> Doing<'static, ()> {
        Box::pin(async move { drop(self.input.lock().unwrap().take()) })
    }
}

#[derive(Debug)]
struct FakeReceiver(mpsc::Receiver<ChannelEvent>);

impl ChannelReceiver for FakeReceiver {
    fn next(&mut self) -> Doing<'_, Option<ChannelEvent>> {
        Box::pin(self.0.recv())
    }
}

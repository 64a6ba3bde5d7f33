//! The SSH client by which an API server reaches an instance: one connection for one session of one user.
//!
//! [`dial`] opens the connection and checks the host key; no byte of authentication goes out before. Then
//! [`Dialed::authenticate`] shows the session's certificate, and [`Upstream::open`] starts a shell or a command. Bytes
//! of the instance wait in a queue of the channel's own, as large as its window: who does not read stops that channel
//! and no other.

mod endpoint;
mod handler;

use std::{fmt, sync::Arc, time::Duration};

use russh::{
    ChannelWriteHalf, Pty as Mode, Sig,
    client::{self, AuthResult, Handle, Msg},
    keys::{Algorithm, Certificate, PrivateKey, key::safe_rng},
};
use thiserror::Error;
use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};

pub use crate::ssh::upstream::endpoint::{Endpoint, EndpointError, may_be_of_manager};
use crate::{
    gate::Grant,
    ssh::{
        algorithms::{KEEPALIVE_INTERVAL, KEEPALIVES_MAX, PACKET_BYTES_MAX, limits, preferred},
        inbox::{Consumed, Inbox, Item, WINDOW_BYTES},
        transport::{Control, Transport},
        upstream::handler::{Callbacks, Channels, Failure, Mark, short},
    },
    wire::sign::{Open, Pty},
};

/// Until the host has accepted the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// From the accepted connection to the checked host key.
const KEY_EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the certificate, and for each channel.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The whole handshake, for a peer that dribbles.
const GRACE: Duration = Duration::from_secs(30);

/// The user's name is data to the agent: the certificate says who runs.
const USER: &str = "job";

/// Why an instance could not be reached.
#[derive(Debug, Error)]
pub enum DialError {
    /// Nothing listens there, or no route.
    #[error("the host of the instance is unreachable: {0}")]
    Unreachable(std::io::Error),
    /// It did not answer in time.
    #[error("the host of the instance does not answer")]
    TimedOut,
    /// Something else answers there. Nothing was sent after.
    #[error("the host key of the instance is not the one its manager vouched for")]
    HostKeyMismatch,
    /// It does not offer strict key exchange (CVE-2023-48795).
    #[error("the instance's SSH server does not do strict key exchange")]
    NotStrict,
    /// The grant is for another one. Nothing was dialled.
    #[error("the decision was made for another instance")]
    OtherInstance,
    /// It did not take the certificate.
    #[error("the instance refused the session's certificate")]
    Refused,
    /// The certificate cannot be read.
    #[error("the session's certificate is malformed")]
    Certificate,
    /// Anything else; the text may come from the other side.
    #[error("the instance's SSH server failed: {0}")]
    Protocol(String),
}

/// Why a channel could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The agent said no; why, in its words.
    #[error("the instance refused: {0}")]
    Refused(String),
    /// This build cannot do it yet.
    #[error("{0} is not supported yet")]
    Unsupported(&'static str),
    /// It did not answer in time.
    #[error("the instance does not answer")]
    TimedOut,
    /// The connection is gone.
    #[error("the connection to the instance was lost: {0}")]
    Lost(String),
}

/// The key pair of one session, in memory only; zeroed when dropped.
pub struct SessionKey {
    private: Arc<PrivateKey>,
    public: String,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SessionKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SessionKey {
    /// A fresh Ed25519 key.
    pub fn generate() -> Result<SessionKey, DialError> {
        let failed = |error: russh::keys::ssh_key::Error| DialError::Protocol(error.to_string());
        let private = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(failed)?;
        let public = private.public_key().to_openssh().map_err(failed)?;
        Ok(SessionKey { private: Arc::new(private), public })
    }

    /// The public half (OpenSSH format), for the signer.
    pub fn public_key(&self) -> &str {
        &self.public
    }
}

/// A connection whose host key is the pinned one, and that has sent nothing of a user yet.
pub struct Dialed {
    handle: Handle<Callbacks>,
    channels: Channels,
    control: Arc<Control>,
}

impl fmt::Debug for Dialed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dialed").finish_non_exhaustive()
    }
}

/// Dials an instance: TCP, key exchange, host key. The grant is the proof that policy allowed it.
pub async fn dial(grant: &Grant, endpoint: &Endpoint) -> Result<Dialed, DialError> {
    if grant.instance() != endpoint.instance() {
        return Err(DialError::OtherInstance);
    }
    connect(endpoint).await
}

/// What [`dial`] does, for tests of this layer that have no policy at hand.
pub(in crate::ssh) async fn connect(endpoint: &Endpoint) -> Result<Dialed, DialError> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(endpoint.address()))
        .await
        .map_err(|_: Elapsed| DialError::TimedOut)?
        .map_err(DialError::Unreachable)?;
    stream.set_nodelay(true).map_err(DialError::Unreachable)?;
    let channels = Channels::default();
    let callbacks = Callbacks::new(endpoint.host_key().clone(), channels.clone());
    let (transport, control) = Transport::new(stream, GRACE);
    let config = Arc::new(config(endpoint));
    let connecting = client::connect_stream(config, transport, callbacks);
    match timeout(KEY_EXCHANGE_TIMEOUT, connecting).await {
        Ok(Ok(handle)) => Ok(Dialed { handle, channels, control }),
        Ok(Err(failure)) => Err(dial_error(failure)),
        Err(Elapsed { .. }) => {
            control.cut();
            Err(DialError::TimedOut)
        }
    }
}

fn config(endpoint: &Endpoint) -> client::Config {
    client::Config {
        limits: limits(),
        window_size: WINDOW_BYTES,
        maximum_packet_size: PACKET_BYTES_MAX,
        channel_buffer_size: 8,
        preferred: preferred(vec![endpoint.host_key().algorithm()]),
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        manual_window: true,
        ..client::Config::default()
    }
}

fn dial_error(failure: Failure) -> DialError {
    match failure {
        Failure::HostKey => DialError::HostKeyMismatch,
        Failure::NotStrict => DialError::NotStrict,
        Failure::Ssh(russh::Error::IO(error)) if error.kind() == std::io::ErrorKind::TimedOut => DialError::TimedOut,
        other @ (Failure::Flood | Failure::Ssh(_)) => DialError::Protocol(short(&other.to_string())),
    }
}

impl Dialed {
    /// Shows the session's certificate (OpenSSH format).
    pub async fn authenticate(mut self, key: &SessionKey, certificate: &str) -> Result<Upstream, DialError> {
        let certificate = Certificate::from_openssh(certificate).map_err(|_| DialError::Certificate)?;
        let asking = self.handle.authenticate_openssh_cert(USER, Arc::clone(&key.private), certificate);
        let answer = timeout(ANSWER_TIMEOUT, asking).await;
        match answer {
            Ok(Ok(AuthResult::Success)) => {
                self.control.authenticated();
                Ok(Upstream { handle: self.handle, channels: self.channels, control: Cut(self.control) })
            }
            Ok(Ok(AuthResult::Failure { .. })) => Err(DialError::Refused),
            Ok(Err(error)) => Err(DialError::Protocol(short(&error.to_string()))),
            Err(Elapsed { .. }) => {
                self.control.cut();
                Err(DialError::TimedOut)
            }
        }
    }
}

/// An authenticated connection. Dropping it ends the connection and with it everything that was started over it.
pub struct Upstream {
    handle: Handle<Callbacks>,
    channels: Channels,
    control: Cut,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// Ends the connection when dropped.
struct Cut(Arc<Control>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl Upstream {
    /// Starts a shell or a command. The requests go out together; their answers are awaited together.
    pub async fn open(&self, open: &Open) -> Result<UpstreamChannel, OpenError> {
        let opening = async {
            let channel = self.handle.channel_open_session().await.map_err(|error| self.failed(&error))?;
            let inbox = self.channels.take(channel.id());
            // russh's own queue is left unread on purpose: see `crate::ssh::inbox`.
            let (_, sender) = channel.split();
            let opening = Opening { sender: Some(Arc::new(sender)), channels: self.channels.clone() };
            let inbox = inbox.ok_or_else(|| OpenError::Lost(self.channels.lost().unwrap_or_default()))?;
            let expected = self.request(opening.sender()?, open).await?;
            confirmed(&inbox, expected).await?;
            let sender = opening.opened()?;
            let events = UpstreamEvents {
                inbox: Arc::clone(&inbox),
                sender: Arc::clone(&sender),
                consumed: Consumed::default(),
            };
            Ok(UpstreamChannel { sender: UpstreamSender { sender, inbox, channels: self.channels.clone() }, events })
        };
        timeout(ANSWER_TIMEOUT, opening).await.unwrap_or_else(|_: Elapsed| Err(OpenError::TimedOut))
    }

    /// Sends the requests; how many answers they will have.
    async fn request(&self, sender: &ChannelWriteHalf<Msg>, open: &Open) -> Result<usize, OpenError> {
        let pty = match open {
            Open::Shell { pty } | Open::Exec { pty, .. } => pty.as_ref(),
            Open::Subsystem { .. } => return Err(OpenError::Unsupported("a subsystem")),
            Open::Forward { .. } => return Err(OpenError::Unsupported("forwarding")),
        };
        if let Some(pty) = pty {
            request_pty(sender, pty).await.map_err(|error| self.failed(&error))?;
        }
        if let Open::Exec { command, .. } = open {
            sender.exec(true, command.as_str()).await.map_err(|error| self.failed(&error))?;
        } else {
            sender.request_shell(true).await.map_err(|error| self.failed(&error))?;
        }
        Ok(if pty.is_some() { 2 } else { 1 })
    }

    fn failed(&self, error: &russh::Error) -> OpenError {
        if matches!(error, russh::Error::ChannelOpenFailure(_)) {
            return OpenError::Refused("no further channel".to_owned());
        }
        OpenError::Lost(self.channels.lost().unwrap_or_else(|| short(&error.to_string())))
    }

    /// Whether the connection is gone, and why.
    pub fn lost(&self) -> Option<String> {
        self.channels.lost()
    }

    /// Ends the connection at once.
    pub fn cut(&self) {
        self.control.0.cut();
    }
}

/// A channel whose requests are not answered yet. Dropped before they are, it is closed: the instance may still carry them
/// out, and what nobody reads and nobody decides about any more must not run.
struct Opening {
    sender: Option<Arc<ChannelWriteHalf<Msg>>>,
    channels: Channels,
}

impl Opening {
    fn sender(&self) -> Result<&ChannelWriteHalf<Msg>, OpenError> {
        self.sender.as_deref().ok_or_else(|| OpenError::Lost(String::new()))
    }

    /// It is somebody else's from now on.
    fn opened(mut self) -> Result<Arc<ChannelWriteHalf<Msg>>, OpenError> {
        self.sender.take().ok_or_else(|| OpenError::Lost(String::new()))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let (Some(sender), Ok(runtime)) = (self.sender.take(), tokio::runtime::Handle::try_current()) else { return };
        let channels = self.channels.clone();
        runtime.spawn(async move {
            // A failure means that the connection is gone, and the channel with it.
            let _gone = sender.close().await;
            channels.close(sender.id());
        });
    }
}

async fn request_pty(sender: &ChannelWriteHalf<Msg>, pty: &Pty) -> Result<(), russh::Error> {
    let modes: Vec<(Mode, u32)> =
        pty.modes.iter().filter_map(|(code, value)| Some((Mode::from_u8(*code)?, *value))).collect();
    let (columns, rows) = (u32::from(pty.columns), u32::from(pty.rows));
    sender.request_pty(true, &pty.term, columns, rows, 0, 0, &modes).await
}

/// Waits for the answers; what the agent writes to standard error before it refuses is its reason.
async fn confirmed(inbox: &Inbox<Mark>, mut expected: usize) -> Result<(), OpenError> {
    let mut reason = String::new();
    while 0 < expected {
        match inbox.next().await {
            Some(Item::Mark(Mark::Success)) => expected = expected.saturating_sub(1),
            Some(Item::Mark(Mark::Failure)) | None => return Err(OpenError::Refused(short(&reason))),
            Some(Item::Mark(Mark::Lost(why))) => return Err(OpenError::Lost(why)),
            Some(Item::Data { bytes, .. }) => reason.push_str(&String::from_utf8_lossy(&bytes)),
            Some(Item::Mark(Mark::Eof | Mark::ExitStatus(_) | Mark::ExitSignal(_))) => (),
        }
    }
    Ok(())
}

/// A running shell or command.
#[derive(Debug)]
pub struct UpstreamChannel {
    /// Towards the instance.
    pub sender: UpstreamSender,
    /// From the instance.
    pub events: UpstreamEvents,
}

/// What the instance sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamEvent {
    /// Bytes of standard output, or of the terminal.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
    /// No more of either.
    Eof,
    /// The process ended with this status.
    ExitStatus(u32),
    /// The process was ended by this signal, named without `SIG`.
    ExitSignal(String),
    /// The connection broke; why. Without an exit before it nobody knows how the process ended.
    Lost(String),
}

/// The receiving half.
pub struct UpstreamEvents {
    inbox: Arc<Inbox<Mark>>,
    sender: Arc<ChannelWriteHalf<Msg>>,
    consumed: Consumed,
}

impl fmt::Debug for UpstreamEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamEvents").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl UpstreamEvents {
    /// The next event; none when the channel is closed. May be dropped while it waits.
    ///
    /// Asking for the next one says that those before are consumed: the instance may send as much more.
    pub async fn next(&mut self) -> Option<UpstreamEvent> {
        if let Some(bytes) = self.consumed.due() {
            // A failure means that the connection is gone, which the inbox says better.
            if self.sender.grant_window(bytes).await.is_ok() {
                self.consumed.granted(bytes);
            }
        }
        loop {
            return Some(match self.inbox.next().await? {
                Item::Data { stderr, bytes } => {
                    self.consumed.add(bytes.len());
                    if stderr { UpstreamEvent::Stderr(bytes) } else { UpstreamEvent::Stdout(bytes) }
                }
                Item::Mark(Mark::Eof) => UpstreamEvent::Eof,
                Item::Mark(Mark::ExitStatus(status)) => UpstreamEvent::ExitStatus(status),
                Item::Mark(Mark::ExitSignal(name)) => UpstreamEvent::ExitSignal(name),
                Item::Mark(Mark::Lost(why)) => UpstreamEvent::Lost(why),
                Item::Mark(Mark::Success | Mark::Failure) => continue,
            });
        }
    }
}

/// The connection or the channel is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the channel to the instance is closed")]
pub struct Closed;

/// The sending half; may be cloned.
#[derive(Clone)]
pub struct UpstreamSender {
    sender: Arc<ChannelWriteHalf<Msg>>,
    inbox: Arc<Inbox<Mark>>,
    channels: Channels,
}

impl fmt::Debug for UpstreamSender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UpstreamSender").finish_non_exhaustive()
    }
}

impl UpstreamSender {
    /// Bytes for standard input; waits while the instance's window is closed, until the channel is.
    pub async fn data(&self, bytes: Vec<u8>) -> Result<(), Closed> {
        tokio::select! {
            biased;
            () = self.inbox.ended() => Err(Closed),
            sent = self.sender.data_bytes(bytes) => sent.map_err(|_| Closed),
        }
    }

    /// No more standard input.
    pub async fn eof(&self) -> Result<(), Closed> {
        self.sender.eof().await.map_err(|_| Closed)
    }

    /// The terminal has another size.
    pub async fn resize(&self, columns: u16, rows: u16) -> Result<(), Closed> {
        self.sender.window_change(u32::from(columns), u32::from(rows), 0, 0).await.map_err(|_| Closed)
    }

    /// A signal, named without `SIG` (RFC 4254 section 6.10).
    pub async fn signal(&self, name: &str) -> Result<(), Closed> {
        self.sender.signal(Sig::Custom(name.to_owned())).await.map_err(|_| Closed)
    }

    /// Closes the channel: the agent ends what runs in it, and no more events come.
    pub async fn close(&self) -> Result<(), Closed> {
        let sent = self.sender.close().await;
        // Behind a close of its own russh does not tell of the other side's.
        self.channels.close(self.sender.id());
        sent.map_err(|_| Closed)
    }
}

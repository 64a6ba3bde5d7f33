//! russh's server callbacks. They run in the connection's only task: each decides at once and hands work on.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Pty, Sig,
    keys::Certificate,
    server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session},
};
use rustix::process::Signal;
use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{debug, info};

use crate::ssh::{
    agent::{
        Agent, Lease,
        admission::HalfOpen,
        outlet::Outlet,
        session::{self, Ends, Program, Start, Word},
        signal,
        terminal::{self, Size, Terminal},
    },
    inbox::Inbox,
    transport::Control,
};

/// Channels open at a time on one connection.
const CHANNELS_MAX: usize = 10;

/// Requests in a second, after as many at once.
const REQUESTS_PER_SECOND: u32 = 100;

/// Bytes of a command.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// Variables that one channel may set, and bytes of a value.
const VARIABLES_MAX: usize = 32;
const VALUE_BYTES_MAX: usize = 256;

/// Signals that wait for a process to be started.
const SIGNALS_MAX: usize = 16;

/// Why a connection is cut.
#[derive(Debug, Error)]
pub(in crate::ssh) enum Fault {
    #[error("too many requests")]
    Flood,
    #[error("more bytes than the window allows")]
    Overrun,
    #[error(transparent)]
    Ssh(#[from] russh::Error),
}

/// One connection.
#[derive(Debug)]
pub(in crate::ssh) struct Connection {
    agent: Arc<Agent>,
    control: Arc<Control>,
    /// Held until authentication.
    half_open: Option<HalfOpen>,
    lease: Option<Arc<Lease>>,
    channels: BTreeMap<ChannelId, Line>,
    allowance: Allowance,
}

/// One channel.
#[derive(Debug)]
struct Line {
    inbox: Arc<Inbox<Word>>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing runs yet.
    Preparing { outlet: Outlet, terminal: Option<Terminal>, size: Size, environment: BTreeMap<String, String> },
    /// Something runs, or did.
    Running { signals: mpsc::Sender<Signal>, size: watch::Sender<Size> },
}

impl Line {
    fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Preparing { .. } => false,
            Stage::Running { signals, .. } => signals.is_closed(),
        }
    }
}

impl Connection {
    /// A connection that nobody is authenticated on.
    pub(in crate::ssh) fn new(agent: Arc<Agent>, control: Arc<Control>, half_open: HalfOpen) -> Connection {
        Connection {
            agent,
            control,
            half_open: Some(half_open),
            lease: None,
            channels: BTreeMap::new(),
            allowance: Allowance::new(),
        }
    }

    /// The channel while nothing runs on it.
    fn preparing(
        &mut self,
        channel: ChannelId,
    ) -> Option<(&mut Option<Terminal>, &mut Size, &mut BTreeMap<String, String>)> {
        match &mut self.channels.get_mut(&channel)?.stage {
            Stage::Preparing { terminal, size, environment, .. } => Some((terminal, size, environment)),
            Stage::Running { .. } => None,
        }
    }

    /// Starts a program on a channel, once. The reason of a refusal is for people.
    fn start(&mut self, channel: ChannelId, program: Program) -> Result<(), String> {
        let lease = self.lease.clone().ok_or("not authenticated")?;
        let account = self.agent.account(&lease).map_err(|error| error.to_string())?;
        let line = self.channels.get_mut(&channel).ok_or("no such channel")?;
        let Stage::Preparing { outlet, terminal, size, environment } = &mut line.stage else {
            return Err("something runs on this channel already".to_owned());
        };
        let (signal_sender, signals) = mpsc::channel(SIGNALS_MAX);
        let (size_sender, size_receiver) = watch::channel(*size);
        let ends = Ends { inbox: Arc::clone(&line.inbox), outlet: outlet.clone(), signals, size: size_receiver };
        let start = Start { account, program, terminal: terminal.take(), environment: std::mem::take(environment) };
        line.stage = Stage::Running { signals: signal_sender, size: size_sender };
        tokio::spawn(session::run(Arc::clone(&self.agent), lease, start, ends));
        Ok(())
    }

    /// Answers a request; a refusal is explained on standard error, for which the protocol has no better place.
    fn answer(channel: ChannelId, result: Result<(), String>, session: &mut Session) -> Result<(), Fault> {
        match result {
            Ok(()) => session.channel_success(channel)?,
            Err(why) => {
                info!("request refused: {why}");
                session.extended_data(channel, 1, format!("apc-agent: {why}\r\n").into_bytes())?;
                session.channel_failure(channel)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, channel: ChannelId) {
        if let Some(line) = self.channels.remove(&channel) {
            line.inbox.end();
        }
    }
}

/// Whatever ends the connection ends its channels, and with them what runs there.
impl Drop for Connection {
    fn drop(&mut self) {
        for line in std::mem::take(&mut self.channels).into_values() {
            line.inbox.end();
        }
    }
}

impl Handler for Connection {
    type Error = Fault;

    /// Certificates are of Ed25519 keys; of others no signature is verified.
    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Fault> {
        let ours = *offer.algorithm == russh::keys::Algorithm::Ed25519;
        Ok(if ours { Auth::Accept } else { Auth::reject() })
    }

    /// Runs after the possession of the key is proven. The user's name is data: the certificate says everything.
    async fn auth_openssh_certificate(&mut self, user: &str, certificate: &Certificate) -> Result<Auth, Fault> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        match self.agent.admit(certificate, now, &self.control) {
            Ok(lease) => {
                info!(session = lease.session(), serial = certificate.serial(), "authenticated");
                self.lease = Some(lease);
                Ok(Auth::Accept)
            }
            Err(refusal) => {
                let user: String = user.chars().take(64).collect();
                info!(?user, serial = certificate.serial(), "certificate refused: {refusal}");
                Ok(Auth::reject())
            }
        }
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Fault> {
        self.control.authenticated();
        self.half_open = None;
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.allowance.take()?;
        // russh does not tell of a close that answers ours: what has run to its end is found by its receiver's.
        self.channels.retain(|_, line| !line.is_over());
        if CHANNELS_MAX <= self.channels.len() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // russh's own queue is left unread on purpose: see `crate::ssh::inbox`.
        let (_, half) = channel.split();
        let outlet = Outlet::new(session.handle(), half);
        let stage = Stage::Preparing { outlet, terminal: None, size: Size::default(), environment: BTreeMap::new() };
        self.channels.insert(id, Line { inbox: Arc::default(), stage });
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        self.close(channel);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        match self.channels.get(&channel) {
            Some(line) if !line.inbox.mark(Word::Eof) => Err(Fault::Flood),
            Some(_) | None => Ok(()),
        }
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Fault> {
        if let Some(line) = self.channels.get(&channel) {
            line.inbox.data(false, data);
        }
        Ok(())
    }

    /// There is no extended data towards a server.
    async fn extended_data(
        &mut self,
        _channel: ChannelId,
        _code: u32,
        _data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Fault> {
        Err(Fault::Overrun)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.allowance.take()?;
        let modes: Vec<(u8, u32)> = modes.iter().map(|(mode, value)| (*mode as u8, *value)).collect();
        let wanted = Size::new(columns, rows);
        let result = match self.preparing(channel) {
            Some((terminal @ None, size, _)) => {
                terminal::open(term, wanted, &modes).map_err(|error| error.to_string()).map(|opened| {
                    *terminal = Some(opened);
                    *size = wanted;
                })
            }
            Some(_) | None => Err("a terminal was asked for already".to_owned()),
        };
        Connection::answer(channel, result, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.allowance.take()?;
        let sound = value.len() <= VALUE_BYTES_MAX && !value.contains(char::is_control);
        match self.preparing(channel) {
            Some((_, _, environment)) if sound && may_be_set(name) && environment.len() < VARIABLES_MAX => {
                environment.insert(name.to_owned(), value.to_owned());
                session.channel_success(channel)?;
            }
            // Clients ask for what they have without being told to: not worth a word.
            Some(_) | None => session.channel_failure(channel)?,
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Fault> {
        self.allowance.take()?;
        let result = self.start(channel, Program::Shell);
        Connection::answer(channel, result, session)
    }

    async fn exec_request(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Fault> {
        self.allowance.take()?;
        let result = if COMMAND_BYTES_MAX < data.len() || data.contains(&0) {
            Err("the command is too long or has a NUL in it".to_owned())
        } else {
            self.start(channel, Program::Command(data.to_vec()))
        };
        Connection::answer(channel, result, session)
    }

    async fn subsystem_request(&mut self, channel: ChannelId, _name: &str, session: &mut Session) -> Result<(), Fault> {
        self.allowance.take()?;
        Connection::answer(channel, Err("subsystems are not supported yet".to_owned()), session)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.allowance.take()?;
        Ok(session.channel_failure(channel)?)
    }

    /// Never: whoever is root in an instance would have the user's keys (CVE-2023-38408).
    async fn agent_request(&mut self, _channel: ChannelId, _session: &mut Session) -> Result<bool, Fault> {
        self.allowance.take()?;
        Ok(false)
    }

    async fn tcpip_forward(&mut self, _address: &str, _port: &mut u32, _session: &mut Session) -> Result<bool, Fault> {
        self.allowance.take()?;
        Ok(false)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.allowance.take()?;
        let wanted = Size::new(columns, rows);
        match self.channels.get_mut(&channel).map(|it| &mut it.stage) {
            Some(Stage::Running { size, .. }) => {
                size.send_replace(wanted);
                session.channel_success(channel)?;
            }
            Some(Stage::Preparing { terminal: Some(terminal), size, .. }) => {
                *size = wanted;
                let _unchanged = terminal::resize(&terminal.master, wanted);
                session.channel_success(channel)?;
            }
            Some(Stage::Preparing { .. }) | None => session.channel_failure(channel)?,
        }
        Ok(())
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, _session: &mut Session) -> Result<(), Fault> {
        self.allowance.take()?;
        let wanted = signal::by_name(name_of(&signal));
        if let (Some(signal), Some(Stage::Running { signals, .. })) =
            (wanted, self.channels.get(&channel).map(|it| &it.stage))
            && signals.try_send(signal).is_err()
        {
            debug!("a signal came too late, or too many");
        }
        Ok(())
    }
}

/// What may be set from outside: nothing that a program's behaviour hangs on but its language and its terminal.
fn may_be_set(name: &str) -> bool {
    let category = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    matches!(name, "LANG" | "TERM") || name.strip_prefix("LC_").is_some_and(category)
}

fn name_of(signal: &Sig) -> &str {
    match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    }
}

/// Requests that may still be made: refilled evenly.
#[derive(Debug)]
struct Allowance {
    left: Duration,
    since: Instant,
}

impl Allowance {
    const PRICE: Duration = Duration::from_micros(1_000_000 / REQUESTS_PER_SECOND as u64);
    const FULL: Duration = Duration::from_secs(1);

    fn new() -> Allowance {
        Allowance { left: Allowance::FULL, since: Instant::now() }
    }

    /// Time is the currency: a request costs its share of a second.
    fn take(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        let earned = now.saturating_duration_since(self.since);
        self.since = now;
        let left = self.left.saturating_add(earned).min(Allowance::FULL);
        self.left = left.checked_sub(Allowance::PRICE).ok_or(Fault::Flood)?;
        Ok(())
    }
}

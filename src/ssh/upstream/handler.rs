//! What an instance's SSH server tells the connection; everything it says is hostile input.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use russh::{
    ChannelId, ChannelOpenFailure, Sig,
    client::{DisconnectReason, Handler, Session},
    keys::{PublicKey, PublicKeyOrCertificate},
};
use thiserror::Error;

use crate::ssh::inbox::Inbox;

/// Bytes of a peer's text that are kept.
const TEXT_BYTES_MAX: usize = 256;

/// Why a connection failed.
#[derive(Debug, Error)]
pub(in crate::ssh) enum Failure {
    #[error("the host key is not the pinned one")]
    HostKey,
    #[error("the server does not do strict key exchange")]
    NotStrict,
    #[error("the server sends events that nobody asked for")]
    Flood,
    #[error(transparent)]
    Ssh(#[from] russh::Error),
}

/// What can come in on a channel beside bytes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ssh) enum Mark {
    /// A request was granted.
    Success,
    /// A request was refused.
    Failure,
    Eof,
    ExitStatus(u32),
    /// A signal's name without `SIG`.
    ExitSignal(String),
    /// The connection broke; why.
    Lost(String),
}

/// The channels of one connection.
#[derive(Debug, Clone, Default)]
pub(in crate::ssh) struct Channels {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    inboxes: BTreeMap<ChannelId, Line>,
    lost: Option<String>,
}

#[derive(Debug, Default)]
struct Line {
    inbox: Arc<Inbox<Mark>>,
    taken: bool,
    closed: bool,
}

impl Channels {
    /// The inbox of a channel, for its one reader; none when the connection is gone.
    ///
    /// russh tells the reader and the callbacks of a new channel at once: whoever is first finds it empty.
    pub(in crate::ssh) fn take(&self, id: ChannelId) -> Option<Arc<Inbox<Mark>>> {
        let mut inner = self.inner();
        if inner.lost.is_some() {
            return None;
        }
        let line = inner.inboxes.entry(id).or_default();
        line.taken = true;
        let inbox = Arc::clone(&line.inbox);
        if line.closed {
            inner.inboxes.remove(&id);
        }
        Some(inbox)
    }

    /// Why the connection ended, once it has.
    pub(in crate::ssh) fn lost(&self) -> Option<String> {
        self.inner().lost.clone()
    }

    fn inbox(&self, id: ChannelId) -> Option<Arc<Inbox<Mark>>> {
        self.inner().inboxes.get(&id).map(|it| Arc::clone(&it.inbox))
    }

    fn confirm(&self, id: ChannelId) {
        self.inner().inboxes.entry(id).or_default();
    }

    /// Nothing more comes on this channel.
    pub(in crate::ssh) fn close(&self, id: ChannelId) {
        let mut inner = self.inner();
        let Some(line) = inner.inboxes.get_mut(&id) else { return };
        line.inbox.end();
        line.closed = true;
        if line.taken {
            inner.inboxes.remove(&id);
        }
    }

    fn lose(&self, why: &str) {
        let mut inner = self.inner();
        inner.lost.get_or_insert_with(|| why.to_owned());
        for line in std::mem::take(&mut inner.inboxes).into_values() {
            line.inbox.mark(Mark::Lost(why.to_owned()));
            line.inbox.end();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's callbacks.
#[derive(Debug)]
pub(in crate::ssh) struct Callbacks {
    host_key: PublicKey,
    channels: Channels,
}

impl Callbacks {
    /// For a server that must have `host_key`.
    pub(in crate::ssh) fn new(host_key: PublicKey, channels: Channels) -> Callbacks {
        Callbacks { host_key, channels }
    }

    fn mark(&self, channel: ChannelId, mark: Mark) -> Result<(), Failure> {
        match self.channels.inbox(channel) {
            Some(inbox) if !inbox.mark(mark) => Err(Failure::Flood),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whatever ends the connection's task ends its channels, also where russh has no callback for it.
impl Drop for Callbacks {
    fn drop(&mut self) {
        self.channels.lose("the connection ended");
    }
}

impl Handler for Callbacks {
    type Error = Failure;

    /// Runs before the first encrypted packet: a wrong key is answered with silence.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        match key {
            PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == self.host_key.key_data() => Ok(true),
            PublicKeyOrCertificate::PublicKey { .. } | PublicKeyOrCertificate::Certificate(_) => Err(Failure::HostKey),
        }
    }

    async fn kex_done(
        &mut self,
        _shared_secret: Option<&[u8]>,
        names: &russh::Names,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        if names.strict_kex() { Ok(()) } else { Err(Failure::NotStrict) }
    }

    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.channels.confirm(id);
        Ok(())
    }

    async fn channel_success(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        self.mark(channel, Mark::Success)
    }

    async fn channel_failure(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        self.mark(channel, Mark::Failure)
    }

    async fn channel_open_failure(
        &mut self,
        _channel: ChannelId,
        _reason: ChannelOpenFailure,
        _description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        self.channels.close(channel);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Failure> {
        self.mark(channel, Mark::Eof)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Failure> {
        if let Some(inbox) = self.channels.inbox(channel) {
            inbox.data(false, data);
        }
        Ok(())
    }

    async fn extended_data(
        &mut self,
        channel: ChannelId,
        code: u32,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Failure> {
        // Only type 1 is defined; unread bytes of another would close the window for ever.
        if code != 1 {
            return Err(russh::Error::Inconsistent.into());
        }
        if let Some(inbox) = self.channels.inbox(channel) {
            inbox.data(true, data);
        }
        Ok(())
    }

    async fn exit_status(&mut self, channel: ChannelId, status: u32, _session: &mut Session) -> Result<(), Failure> {
        self.mark(channel, Mark::ExitStatus(status))
    }

    async fn exit_signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        _core_dumped: bool,
        _error_message: &str,
        _lang_tag: &str,
        _session: &mut Session,
    ) -> Result<(), Failure> {
        self.mark(channel, Mark::ExitSignal(signal_name(&signal)))
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Failure>) -> Result<(), Failure> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => short(&info.message),
            DisconnectReason::Error(error) => error.to_string(),
        };
        self.channels.lose(&why);
        Ok(())
    }
}

/// A signal's name without `SIG`; a strange one is cut to what a name can be.
fn signal_name(signal: &Sig) -> String {
    let name = match signal {
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
    };
    name.chars().filter(char::is_ascii_graphic).take(16).collect()
}

/// A peer's sentence, bounded and without controls.
pub(in crate::ssh) fn short(text: &str) -> String {
    let mut res = String::new();
    for c in text.chars() {
        if TEXT_BYTES_MAX <= res.len() {
            break;
        }
        res.push(if c.is_control() { ' ' } else { c });
    }
    res.trim().to_owned()
}

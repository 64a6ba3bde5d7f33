//! The instance's side of a session: what the relay needs of an SSH client, and the SSH client that gives it.

use std::{fmt, pin::Pin, sync::Arc};

use crate::{
    api::fleet::Located,
    gate::Grant,
    session::{
        core::Output,
        frame::{Exit, Size},
    },
    wire::sign::Open,
};

/// A future of one of these traits.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an instance was not reached. Untrusted text in none but `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// Nothing listens there, no route, no answer in time.
    #[error("the host of the instance cannot be reached: {0}")]
    Unreachable(String),
    /// Another key than the pinned one, or a way of proving it that is not safe. No byte of a user's was sent.
    #[error("the host key of the instance is not the one that its manager vouched for")]
    HostKeyMismatch,
    /// It did not take the certificate, or broke off.
    #[error("the instance refused the session: {0}")]
    Failed(String),
}

/// Dials instances. One method, which takes the proof that it may.
pub trait Dialer: Send + Sync + fmt::Debug + 'static {
    /// Makes the session's key pair, which lives in memory only.
    fn key(&self) -> Result<Box<dyn SessionKey>, ReachError>;

    /// Connects, and checks the host key before anything of the user's is sent.
    fn dial<'a>(&'a self, grant: &'a Grant, to: &'a Located) -> Doing<'a, Result<Box<dyn Dialed>, ReachError>>;
}

/// A session's own key pair.
pub trait SessionKey: Send + Sync + fmt::Debug {
    /// The public half in the OpenSSH format.
    fn public(&self) -> &str;

    /// For the implementation's own [`Dialed`].
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// A connection whose host key was checked, and nothing else was done.
pub trait Dialed: Send + fmt::Debug {
    /// Shows the certificate.
    fn authenticate(
        self: Box<Self>,
        key: Box<dyn SessionKey>,
        certificate: String,
    ) -> Doing<'static, Result<Box<dyn Connection>, ReachError>>;
}

/// An authenticated connection, for one session. Dropping it ends it.
pub trait Connection: Send + Sync + fmt::Debug + 'static {
    /// Asks for a channel. The error is for people, untrusted.
    fn open<'a>(&'a self, open: &'a Open) -> Doing<'a, Result<Channel, String>>;

    /// Ends it and all its channels at once.
    fn cut(&self);
}

/// A channel's two ends.
#[derive(Debug)]
pub struct Channel {
    /// Towards the process.
    pub sender: Arc<dyn ChannelSender>,
    /// From the process.
    pub receiver: Box<dyn ChannelReceiver>,
}

/// Towards the process. A failure is told by the receiver too, and better.
pub trait ChannelSender: Send + Sync + fmt::Debug + 'static {
    /// Bytes of standard input; waits until the process has room for them.
    fn write(self: Arc<Self>, bytes: Vec<u8>) -> Doing<'static, ()>;

    /// No more standard input.
    fn end(self: Arc<Self>) -> Doing<'static, ()>;

    /// The terminal's size.
    fn resize(self: Arc<Self>, size: Size) -> Doing<'static, ()>;

    /// A signal, named without `SIG`.
    fn signal(self: Arc<Self>, name: String) -> Doing<'static, ()>;

    /// Closes the channel.
    fn close(self: Arc<Self>) -> Doing<'static, ()>;
}

/// From the process.
pub trait ChannelReceiver: Send + fmt::Debug + 'static {
    /// The next event; `None` when the channel is closed. Asking for the next says that the last was consumed.
    fn next(&mut self) -> Doing<'_, Option<ChannelEvent>>;
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// It wrote.
    Data(Output, Vec<u8>),
    /// It writes no more.
    Ended,
    /// It has ended.
    Exited(Exit),
    /// The connection is lost.
    Lost(String),
}

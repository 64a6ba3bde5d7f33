//! What happens to a session, what is to be done about it, and why it is over.

use crate::session::{
    flow::FlowError,
    frame::{Exit, Frame, FrameError, Opened, Size, Stream},
};

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output, or all of a terminal's.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Bounds that policy sets for a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds without a byte either way (`ssh.idleTimeout`).
    pub idle_ms: Option<u64>,
    /// Milliseconds in total (`ssh.maxSession`).
    pub total_ms: Option<u64>,
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client sent this.
    Frame(Frame),
    /// The client sent what is no frame.
    Malformed(FrameError),
    /// The client's connection has ended.
    Gone,
    /// Answer to `Decide`: yes.
    Allowed(Stream, Opened),
    /// Answer to `Decide` or `Open`: no, in a sentence for people.
    Refused(Stream, String),
    /// Answer to `Open`: the instance has a channel for it.
    Opened(Stream),
    /// Answer to `Read`.
    Data(Stream, Output, Vec<u8>),
    /// Answer to `Read`: no more output.
    OutputEnded(Stream),
    /// Answer to `Read`: the process has ended; output may follow still.
    Exited(Stream, Exit),
    /// Answer to `Read`: the channel is closed.
    Closed(Stream),
    /// Answer to `Write` and `WriteEof`.
    Wrote(Stream),
    /// Answer to `Resize` and `Signal`.
    Controlled(Stream),
    /// The connection to the instance is lost.
    Lost(String),
    /// The grant is gone: `missing claim "permit ssh" since revision 7`.
    Revoked(String),
    /// Policy has set other bounds.
    Limits(Limits),
    /// The server stops: no new requests, and the end at the given time.
    Drain {
        /// For people.
        message: String,
        /// On the clock of [`Core::handle`](crate::session::core::Core::handle).
        deadline_ms: u64,
    },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Ask the gate for this request.
    Decide(Stream, Vec<u8>),
    /// It is allowed: ask the instance for a channel.
    Open(Stream),
    /// Wait for one piece of output, at most 256 KiB.
    Read(Stream),
    /// Give bytes to the process.
    Write(Stream, Vec<u8>),
    /// Close its standard input.
    WriteEof(Stream),
    /// The terminal has another size.
    Resize(Stream, Size),
    /// Signal it.
    Signal(Stream, String),
    /// Close and forget the channel, and whatever of it is under way.
    Shut(Stream),
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Both sides have said all.
    Finished,
    /// The client went away.
    ClientGone,
    /// Policy ended it.
    Policy(String),
    /// The connection to the instance was lost, or the server stopped.
    Lost(String),
    /// The client broke the protocol.
    Protocol(String),
}

/// What a client may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error("a frame that only the server sends")]
    Direction,
    #[error("stream {0} was not opened")]
    NotOpened(Stream),
    #[error("stream {0} is opened out of order")]
    OutOfOrder(Stream),
    #[error("data behind the end of stream {0}")]
    BehindEof(Stream),
    #[error("too many signals on stream {0}")]
    Signals(Stream),
    #[error("too many requests on one session")]
    Opens,
}

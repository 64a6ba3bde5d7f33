//! The client's side of a session as a pure function: the server's frames and the terminal's input in, output out.
//!
//! Whoever drives it gives at most [`Client::room`] bytes of input at a time, writes every [`Client::next_output`] to
//! where it belongs and then says so by [`Event::Wrote`]: only what was written is credited to the server, so that a
//! terminal that does not keep up holds up the process and never the memory.

use std::collections::{BTreeMap, VecDeque};

use crate::session::{
    Pieces,
    flow::{FlowError, Receiving, Sending},
    frame::{DATA_BYTES_MAX, Exit, Frame, FrameError, Size, Stream},
};

/// Input that waits for credit.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Milliseconds of silence after which the server is asked whether it is there.
const KEEPALIVE_MS: u64 = 20_000;

/// Milliseconds of silence after which it is not.
const SILENT_MS: u64 = 60_000;

/// Milliseconds that the server is given to answer our `Close`.
const CLOSE_MS: u64 = 2_000;

/// Notices that wait to be shown.
const NOTICES_MAX: usize = 64;

/// What happens to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server sent this.
    Frame(Frame),
    /// The server sent what is no frame.
    Malformed(FrameError),
    /// The connection has ended.
    Gone(String),
    /// Ask for another stream; ids ascend from 1.
    Open(Stream, Vec<u8>),
    /// Input, at most [`Client::room`] bytes.
    Stdin(Stream, Vec<u8>),
    /// No more input.
    StdinEnded(Stream),
    /// So many bytes of output were written.
    Wrote(Stream, usize),
    /// The terminal has this size.
    Resize(Stream, Size),
    /// Pass this signal on.
    Signal(Stream, String),
    /// The person is done.
    Close,
    /// Time has passed.
    Tick,
}

/// What is for the person or the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The server has opened it.
    Opened(Stream),
    /// Bytes of standard output.
    Stdout(Stream, Vec<u8>),
    /// Bytes of standard error.
    Stderr(Stream, Vec<u8>),
    /// No more bytes of either.
    Eof(Stream),
    /// A sentence from the server. Untrusted text.
    Notice(String),
    /// How it ended; the last of its stream.
    Ended(Stream, Ended),
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ran.
    Exit(Exit),
    /// It was not opened. Untrusted text.
    Refused(String),
}

impl Ended {
    /// The exit status of a program that stands for it: the remote status; 128 + N for signal N; 255 for all else.
    ///
    /// A status over 255 is 255, since its lowest byte could be 0.
    pub fn status(&self) -> u8 {
        match self {
            Self::Exit(Exit::Code(code)) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Exit(Exit::Signal(name)) => signal_number(name).map_or(u8::MAX, |it| it.saturating_add(128)),
            Self::Exit(Exit::Policy(_) | Exit::Lost(_)) | Self::Refused(_) => u8::MAX,
        }
    }
}

/// What a server may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Violation {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error("a frame that only the client sends")]
    Direction,
    #[error("stream {0} was not asked for")]
    NotAsked(Stream),
    #[error("a frame out of order on stream {0}")]
    OutOfOrder(Stream),
    #[error("more than was asked for")]
    TooMuch,
}

/// How far a stream's life has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    /// The server has not answered.
    #[default]
    Asked,
    /// Bytes flow.
    Open,
    /// No more output.
    OutputEnded,
    /// It has exited or was refused.
    Ended,
}

/// The end of input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum InputEnd {
    /// More may come.
    #[default]
    Open,
    /// Nothing follows what waits.
    Known,
    /// The server was told.
    Sent,
}

/// State of one stream.
#[derive(Debug, Default)]
struct Side {
    request: Option<Vec<u8>>,
    life: Life,
    input: Pieces,
    input_end: InputEnd,
    sending: Sending,
    size: Option<Size>,
    signals: VecDeque<String>,
    receiving: Receiving,
}

/// State of a client.
#[derive(Debug)]
pub struct Client {
    streams: BTreeMap<Stream, Side>,
    outputs: VecDeque<Output>,
    pong: Option<[u8; 8]>,
    heard_ms: u64,
    ping: Option<bool>,
    closing_ms: Option<u64>,
    close: Option<String>,
    over: bool,
}

impl Client {
    /// A session that the server has just agreed to; it opens stream 0 by itself.
    pub fn new(now_ms: u64) -> Self {
        Self {
            streams: BTreeMap::from([(0, Side::default())]),
            outputs: VecDeque::new(),
            pong: None,
            heard_ms: now_ms,
            ping: None,
            closing_ms: None,
            close: None,
            over: false,
        }
    }

    /// Takes one event, at a time that never goes back.
    pub fn handle(&mut self, now_ms: u64, event: Event) {
        if self.over {
            return;
        }
        match event {
            Event::Frame(frame) => {
                self.heard_ms = now_ms;
                self.ping = None;
                if let Err(violation) = self.take_frame(frame) {
                    self.break_off(now_ms, &violation.to_string());
                }
            }
            Event::Malformed(error) => self.break_off(now_ms, &error.to_string()),
            Event::Gone(why) => self.lose(&why),
            Event::Open(stream, json) => {
                self.streams.entry(stream).or_insert_with(|| Side { request: Some(json), ..Side::default() });
            }
            Event::Stdin(stream, bytes) => self.on(stream, |side| side.input.push(bytes)),
            Event::StdinEnded(stream) => self.on(stream, Side::end_input),
            Event::Wrote(stream, bytes) => self.on(stream, |side| side.receiving.consume(bytes)),
            Event::Resize(stream, size) => self.on(stream, |side| side.size = Some(size)),
            Event::Signal(stream, name) => self.on(stream, |side| side.signal(name)),
            Event::Close => self.close(now_ms, String::new()),
            Event::Tick => self.tick(now_ms),
        }
    }

    /// Bytes of input that may be given for a stream now.
    pub fn room(&self, stream: Stream) -> usize {
        let Some(side) = self.streams.get(&stream).filter(|it| it.takes_input()) else { return 0 };
        side.sending.room().min(INPUT_BYTES_MAX).saturating_sub(side.input.bytes())
    }

    /// The next thing for the person; call until it answers nothing.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next frame for the server; call when the connection takes another.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if self.over {
            return None;
        }
        if let Some(text) = self.close.take() {
            return Some(Frame::Close(text));
        }
        if self.closing_ms.is_some() {
            return None;
        }
        if let Some(bytes) = self.pong.take() {
            return Some(Frame::Pong(bytes));
        }
        if self.ping == Some(false) {
            self.ping = Some(true);
            return Some(Frame::Ping([0; 8]));
        }
        self.streams.iter_mut().find_map(|(stream, side)| side.next_frame(*stream))
    }

    /// When [`Event::Tick`] is due.
    pub fn next_tick_ms(&self) -> u64 {
        let silent_ms = self.heard_ms.saturating_add(SILENT_MS);
        let ping_ms = self.ping.is_none().then_some(self.heard_ms.saturating_add(KEEPALIVE_MS));
        let close_ms = self.closing_ms.map(|it| it.saturating_add(CLOSE_MS));
        [ping_ms, close_ms].into_iter().flatten().fold(silent_ms, u64::min)
    }

    /// Whether both sides are done; outputs may be left.
    pub fn is_over(&self) -> bool {
        self.over
    }

    fn on(&mut self, stream: Stream, change: impl FnOnce(&mut Side)) {
        if let Some(side) = self.streams.get_mut(&stream) {
            change(side);
        }
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Notice(text) => {
                // Notices cost the server no credit: one that floods us is cut off.
                let waiting = self.outputs.iter().filter(|it| matches!(it, Output::Notice(_))).count();
                if NOTICES_MAX <= waiting {
                    return Err(Violation::TooMuch);
                }
                self.outputs.push_back(Output::Notice(text));
            }
            Frame::Ping(bytes) => self.pong = Some(bytes),
            Frame::Pong(_) => (),
            Frame::Close(text) => {
                let why = if text.is_empty() { "the server closed the session" } else { text.as_str() };
                self.lose(why);
            }
            Frame::Stdin(..) | Frame::Resize(..) | Frame::Signal(..) | Frame::Open(..) => {
                return Err(Violation::Direction);
            }
            Frame::Stdout(stream, _)
            | Frame::Stderr(stream, _)
            | Frame::Exit(stream, _)
            | Frame::Eof(stream)
            | Frame::Credit(stream, _)
            | Frame::Opened(stream, _)
            | Frame::Refused(stream, _) => {
                let side = self.streams.get_mut(&stream).ok_or(Violation::NotAsked(stream))?;
                self.outputs.extend(side.take_frame(stream, frame)?);
            }
        }
        Ok(())
    }

    fn tick(&mut self, now_ms: u64) {
        if self.closing_ms.is_some_and(|it| it.saturating_add(CLOSE_MS) <= now_ms) {
            self.lose("the server did not answer");
        } else if self.heard_ms.saturating_add(SILENT_MS) <= now_ms {
            self.lose("the server is silent");
        } else if self.heard_ms.saturating_add(KEEPALIVE_MS) <= now_ms && self.ping.is_none() {
            self.ping = Some(false);
        }
    }

    fn break_off(&mut self, now_ms: u64, why: &str) {
        let why = format!("protocol error: {why}");
        self.end_all(&why);
        self.close(now_ms, why);
    }

    fn close(&mut self, now_ms: u64, text: String) {
        if self.closing_ms.is_none() {
            self.closing_ms = Some(now_ms);
            self.close = Some(text);
        }
    }

    /// Nothing more comes: what has not ended is lost, and a missing exit is never 0.
    fn lose(&mut self, why: &str) {
        self.end_all(&format!("connection lost: {why}"));
        self.over = true;
    }

    fn end_all(&mut self, why: &str) {
        for (stream, side) in &mut self.streams {
            if std::mem::replace(&mut side.life, Life::Ended) < Life::Ended {
                self.outputs.push_back(Output::Ended(*stream, Ended::Exit(Exit::Lost(why.to_owned()))));
            }
        }
    }
}

impl Side {
    fn takes_input(&self) -> bool {
        matches!(self.life, Life::Open | Life::OutputEnded) && self.input_end == InputEnd::Open
    }

    fn end_input(&mut self) {
        if self.input_end == InputEnd::Open {
            self.input_end = InputEnd::Known;
        }
    }

    /// Signals that wait; more of the same kind would not be told apart by the process either.
    fn signal(&mut self, name: String) {
        if self.life != Life::Asked && !self.signals.contains(&name) && self.signals.len() < 8 {
            self.signals.push_back(name);
        }
    }

    fn take_frame(&mut self, stream: Stream, frame: Frame) -> Result<Option<Output>, Violation> {
        let is_answer = matches!(frame, Frame::Opened(..) | Frame::Refused(..));
        let is_asked = self.life == Life::Asked;
        if self.life == Life::Ended || is_answer != is_asked || self.request.is_some() {
            return Err(Violation::OutOfOrder(stream));
        }
        match frame {
            Frame::Opened(..) => {
                self.life = Life::Open;
                Ok(Some(Output::Opened(stream)))
            }
            Frame::Refused(_, why) => {
                self.life = Life::Ended;
                Ok(Some(Output::Ended(stream, Ended::Refused(why))))
            }
            Frame::Stdout(_, bytes) => {
                self.receive(stream, bytes.len())?;
                Ok(Some(Output::Stdout(stream, bytes)))
            }
            Frame::Stderr(_, bytes) => {
                self.receive(stream, bytes.len())?;
                Ok(Some(Output::Stderr(stream, bytes)))
            }
            Frame::Eof(_) if self.life == Life::OutputEnded => Err(Violation::OutOfOrder(stream)),
            Frame::Eof(_) => {
                self.life = Life::OutputEnded;
                Ok(Some(Output::Eof(stream)))
            }
            Frame::Exit(_, exit) => {
                self.life = Life::Ended;
                self.input.clear();
                Ok(Some(Output::Ended(stream, Ended::Exit(exit))))
            }
            Frame::Credit(_, credit) => {
                self.sending.credit(credit)?;
                Ok(None)
            }
            Frame::Stdin(..)
            | Frame::Resize(..)
            | Frame::Signal(..)
            | Frame::Open(..)
            | Frame::Notice(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Close(_) => Err(Violation::Direction),
        }
    }

    fn receive(&mut self, stream: Stream, bytes: usize) -> Result<(), Violation> {
        if self.life == Life::OutputEnded {
            return Err(Violation::OutOfOrder(stream));
        }
        Ok(self.receiving.receive(bytes)?)
    }

    fn next_frame(&mut self, stream: Stream) -> Option<Frame> {
        if let Some(json) = self.request.take() {
            return Some(Frame::Open(stream, json));
        }
        if self.life == Life::Ended {
            return None;
        }
        if let Some(size) = self.size.take() {
            return Some(Frame::Resize(stream, size));
        }
        if self.receiving.is_due() && self.life < Life::OutputEnded {
            return Some(Frame::Credit(stream, self.receiving.grant()));
        }
        if let Some(name) = self.signals.pop_front() {
            return Some(Frame::Signal(stream, name));
        }
        if let Some(bytes) = self.input.take(self.sending.room().min(DATA_BYTES_MAX)) {
            self.sending.sent(bytes.len());
            return Some(Frame::Stdin(stream, bytes));
        }
        let is_end = self.input_end == InputEnd::Known && self.input.bytes() == 0;
        is_end.then(|| {
            self.input_end = InputEnd::Sent;
            Frame::Eof(stream)
        })
    }
}

/// The number that POSIX shells add to 128, as Linux counts.
fn signal_number(name: &str) -> Option<u8> {
    let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ];
    names.iter().zip(1..).find(|(it, _)| **it == name).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_never_success_by_accident() {
        let status = |exit| Ended::Exit(exit).status();
        assert_eq!(status(Exit::Code(0)), 0);
        assert_eq!(status(Exit::Code(42)), 42);
        assert_eq!(status(Exit::Code(256)), 255);
        assert_eq!(status(Exit::Signal("INT".into())), 130);
        assert_eq!(status(Exit::Signal("KILL".into())), 137);
        assert_eq!(status(Exit::Signal("TERM".into())), 143);
        assert_eq!(status(Exit::Signal("SYS".into())), 159);
        assert_eq!(status(Exit::Signal("odd@example.com".into())), 255);
        assert_eq!(status(Exit::Lost(String::new())), 255);
        assert_eq!(status(Exit::Policy(String::new())), 255);
        assert_eq!(Ended::Refused(String::new()).status(), 255);
    }

    #[test]
    fn a_connection_that_ends_without_an_exit_is_lost() {
        let mut client = Client::new(0);
        client.handle(1, Event::Gone("reset by peer".into()));
        let lost = Ended::Exit(Exit::Lost("connection lost: reset by peer".into()));
        assert_eq!(client.next_output(), Some(Output::Ended(0, lost)));
        assert!(client.is_over());
    }

    #[test]
    fn a_silent_server_is_asked_and_then_given_up() {
        let mut client = Client::new(0);
        while client.next_frame().is_some() {}
        client.handle(20_000, Event::Tick);
        assert_eq!(client.next_frame(), Some(Frame::Ping([0; 8])));
        assert_eq!(client.next_frame(), None);
        client.handle(60_000, Event::Tick);
        assert!(client.is_over());
        assert_eq!(client.next_output().map(|it| matches!(it, Output::Ended(0, _))), Some(true));
    }
}

//! One stream of the server's side: bounded queues both ways between the client and one SSH channel.

use std::collections::VecDeque;

use crate::session::{
    Pieces,
    core::{Action, Output},
    flow::{FlowError, Receiving, Sending},
    frame::{Credit, DATA_BYTES_MAX, Exit, Frame, Opened, Size, Stream, is_signal_name},
};

/// Output is asked of the instance while fewer bytes than this wait for the client.
pub(crate) const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// Bytes that the instance may hand over at once; above is no SSH packet.
pub(crate) const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Signals that wait for the instance; a client that sends more of them faster than SSH takes them is none of ours.
const SIGNALS_MAX: usize = 16;

/// Milliseconds that a channel may stay silent and open after it has said how its process ended.
const EXIT_GRACE_MS: u64 = 10_000;

/// Life of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The gate is being asked.
    Deciding,
    /// It is allowed; the instance is being asked.
    Opening(Opened),
    /// Bytes flow.
    Live,
    /// Nothing more comes from the instance; what has come is on its way to the client.
    Over,
}

/// One piece of output, in the order in which it came.
#[derive(Debug)]
enum Piece {
    Data(Output, Vec<u8>),
    Eof,
}

/// State of one stream.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: Stream,
    phase: Phase,
    answer: Option<Frame>,
    input: Input,
    // Towards the client.
    output: VecDeque<Piece>,
    output_bytes: usize,
    sending: Sending,
    reading_since_ms: Option<u64>,
    exit: Option<Exit>,
}

/// From the client towards the instance.
#[derive(Debug, Default)]
struct Input {
    queue: Pieces,
    receiving: Receiving,
    ended: bool,
    end_written: bool,
    // Bytes that the instance is taking just now; 0 for its end.
    writing: Option<usize>,
    size: Option<Size>,
    signals: VecDeque<String>,
    controlling: bool,
}

impl Channel {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            phase: Phase::Deciding,
            answer: None,
            input: Input::default(),
            output: VecDeque::new(),
            output_bytes: 0,
            sending: Sending::default(),
            reading_since_ms: None,
            exit: None,
        }
    }

    pub(crate) fn stream(&self) -> Stream {
        self.stream
    }

    /// Whether the instance has, or may get, a channel for it.
    pub(crate) fn is_running(&self) -> bool {
        self.phase != Phase::Over
    }

    /// The gate has said yes.
    pub(crate) fn allowed(&mut self, opened: Opened) -> Option<Action> {
        let is_waiting = self.phase == Phase::Deciding;
        is_waiting.then(|| {
            self.phase = Phase::Opening(opened);
            Action::Open(self.stream)
        })
    }

    /// The gate or the instance has said no. Later than that it means nothing.
    pub(crate) fn refused(&mut self, why: String) {
        if matches!(self.phase, Phase::Deciding | Phase::Opening(_)) {
            self.phase = Phase::Over;
            self.answer = Some(Frame::Refused(self.stream, why));
        }
    }

    /// The instance has said yes.
    pub(crate) fn opened(&mut self) {
        if let Phase::Opening(opened) = self.phase {
            self.phase = Phase::Live;
            self.answer = Some(Frame::Opened(self.stream, opened));
        }
    }

    /// Ends it now, whatever waits: after this not one byte of output is sent.
    pub(crate) fn end(&mut self, exit: Exit, why: &str) {
        match self.phase {
            Phase::Deciding | Phase::Opening(_) => self.refused(why.to_owned()),
            Phase::Live => self.exit = Some(exit),
            // A refusal or an exit that waits says as much as can be said.
            Phase::Over => self.exit = self.exit.take().map(|_| exit),
        }
        self.phase = Phase::Over;
        self.output.clear();
        self.output_bytes = 0;
        self.input.queue.clear();
    }

    pub(crate) fn stdin(&mut self, bytes: Vec<u8>) -> Result<(), FlowError> {
        self.input.receiving.receive(bytes.len())?;
        if !self.is_running() {
            return Ok(());
        }
        self.input.queue.push(bytes);
        Ok(())
    }

    /// Whether the client has said that nothing follows.
    pub(crate) fn input_ended(&self) -> bool {
        self.input.ended
    }

    pub(crate) fn end_input(&mut self) {
        self.input.ended = true;
    }

    pub(crate) fn credit(&mut self, credit: Credit) -> Result<(), FlowError> {
        self.sending.credit(credit)
    }

    /// Only the last of several sizes matters.
    pub(crate) fn resize(&mut self, size: Size) {
        self.input.size = Some(size);
    }

    /// False when too many wait.
    pub(crate) fn signal(&mut self, name: String) -> bool {
        let has_room = self.input.signals.len() < SIGNALS_MAX;
        if has_room {
            self.input.signals.push_back(name);
        }
        has_room
    }

    /// The instance has taken what it was given.
    pub(crate) fn wrote(&mut self) {
        if let Some(bytes) = self.input.writing.take() {
            self.input.receiving.consume(bytes);
        }
    }

    /// The instance has taken a size or a signal.
    pub(crate) fn controlled(&mut self) {
        self.input.controlling = false;
    }

    /// An answer to `Action::Read`. False when nothing was asked or it is more than there can be.
    pub(crate) fn data(&mut self, output: Output, bytes: Vec<u8>) -> bool {
        if self.phase == Phase::Over {
            return true;
        }
        let was_asked = self.reading_since_ms.take().is_some();
        if !was_asked || CHUNK_BYTES_MAX < bytes.len() || matches!(self.output.back(), Some(Piece::Eof)) {
            return false;
        }
        self.output_bytes = self.output_bytes.saturating_add(bytes.len());
        match self.output.back_mut() {
            // A thousand pieces of one byte would hold far more memory than they have bytes.
            Some(Piece::Data(last, data))
                if *last == output && data.len().saturating_add(bytes.len()) <= DATA_BYTES_MAX =>
            {
                data.extend(bytes);
            }
            Some(_) | None if bytes.is_empty() => (),
            Some(_) | None => self.output.push_back(Piece::Data(output, bytes)),
        }
        true
    }

    /// An answer to `Action::Read`: no more output.
    pub(crate) fn end_output(&mut self) {
        self.reading_since_ms = None;
        if self.phase == Phase::Live && !matches!(self.output.back(), Some(Piece::Eof)) {
            self.output.push_back(Piece::Eof);
        }
    }

    /// An answer to `Action::Read`: how the process ended. Output may still follow; the first word counts.
    pub(crate) fn exited(&mut self, exit: Exit) {
        self.reading_since_ms = None;
        if self.phase == Phase::Live && self.exit.is_none() {
            self.exit = Some(match exit {
                Exit::Signal(name) if !is_signal_name(&name) => {
                    Exit::Lost("the instance named no valid signal".to_owned())
                }
                Exit::Code(_) | Exit::Signal(_) | Exit::Policy(_) | Exit::Lost(_) => exit,
            });
        }
    }

    /// An answer to `Action::Read`: the channel is closed. Without an exit before, nobody knows how it ended.
    pub(crate) fn closed(&mut self, why: &str) {
        if self.phase == Phase::Live {
            self.exit.get_or_insert_with(|| Exit::Lost(why.to_owned()));
            self.phase = Phase::Over;
            self.input.queue.clear();
        }
    }

    /// When it will be given up although the instance keeps it open: its process is gone and it says nothing.
    pub(crate) fn given_up_at_ms(&self) -> Option<u64> {
        let is_waiting = self.phase == Phase::Live && self.exit.is_some();
        is_waiting.then_some(self.reading_since_ms?.saturating_add(EXIT_GRACE_MS))
    }

    /// What to ask of the instance next; call it until it answers nothing.
    pub(crate) fn next_action(&mut self, now_ms: u64) -> Option<Action> {
        if self.phase != Phase::Live {
            return None;
        }
        if self.reading_since_ms.is_none() && self.output_bytes < OUTPUT_BYTES_MAX {
            self.reading_since_ms = Some(now_ms);
            return Some(Action::Read(self.stream));
        }
        self.input.next_control(self.stream).or_else(|| self.input.next_write(self.stream))
    }

    /// The next frame to the client: answer, credit, output as far as credit goes, and the exit when all is out.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        if let Some(answer) = self.answer.take() {
            return Some(answer);
        }
        if self.phase == Phase::Live && !self.input.ended && self.input.receiving.is_due() {
            return Some(Frame::Credit(self.stream, self.input.receiving.grant()));
        }
        match self.output.front_mut() {
            Some(Piece::Data(output, bytes)) => {
                let room = self.sending.room().min(DATA_BYTES_MAX);
                if room == 0 {
                    return None;
                }
                let output = *output;
                let rest = bytes.split_off(room.min(bytes.len()));
                let data = std::mem::replace(bytes, rest);
                if bytes.is_empty() {
                    self.output.pop_front();
                }
                self.sending.sent(data.len());
                self.output_bytes = self.output_bytes.saturating_sub(data.len());
                Some(match output {
                    Output::Stdout => Frame::Stdout(self.stream, data),
                    Output::Stderr => Frame::Stderr(self.stream, data),
                })
            }
            Some(Piece::Eof) => {
                self.output.pop_front();
                Some(Frame::Eof(self.stream))
            }
            None if self.phase == Phase::Over => self.exit.take().map(|exit| Frame::Exit(self.stream, exit)),
            None => None,
        }
    }

    /// Whether the last word of it has been said.
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Over && self.answer.is_none() && self.exit.is_none()
    }

    /// Bytes of data held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.output_bytes.saturating_add(self.input.queue.bytes())
    }
}

impl Input {
    /// Sizes and signals pass what waits to be written: they are for a process that does not read.
    fn next_control(&mut self, stream: Stream) -> Option<Action> {
        if self.controlling {
            return None;
        }
        let res = match self.size.take() {
            Some(size) => Some(Action::Resize(stream, size)),
            None => self.signals.pop_front().map(|name| Action::Signal(stream, name)),
        };
        self.controlling = res.is_some();
        res
    }

    fn next_write(&mut self, stream: Stream) -> Option<Action> {
        if self.writing.is_some() {
            return None;
        }
        if let Some(bytes) = self.queue.take(DATA_BYTES_MAX) {
            self.writing = Some(bytes.len());
            return Some(Action::Write(stream, bytes));
        }
        if self.ended && !self.end_written {
            self.end_written = true;
            self.writing = Some(0);
            return Some(Action::WriteEof(stream));
        }
        None
    }
}

//! The server's side of a session as a pure function: events in; actions towards the instance and frames to the client out.
//!
//! Whoever drives it calls [`Core::handle`] for everything that happens, then performs every [`Core::next_action`], and
//! sends [`Core::next_frame`]s as fast as the client's connection takes them. Each `Read`, `Write`, `WriteEof`,
//! `Resize` and `Signal` is answered by one event, so that at most one of a kind is under way on each stream: that is
//! the backpressure. A client that does not read holds up its own stream only.

mod clock;
mod event;
mod stream;

pub use event::{Action, Event, Limits, Output, Over};

use std::collections::{BTreeMap, VecDeque};

use crate::session::{
    core::{clock::Clock, event::Violation, stream::Channel},
    frame::{Exit, Frame, Opened, Stream},
};

/// Streams of one session at a time.
pub const STREAMS_MAX: usize = 10;

/// Requests of one session within a second; each costs a decision and a line of the audit log.
pub const OPENS_PER_SECOND_MAX: u32 = 20;

/// State of a session.
#[derive(Debug)]
pub struct Core {
    streams: BTreeMap<Stream, Channel>,
    // Ids are used once and ascend, so that a late frame of a stream that is over is told from one of none.
    last_opened: Stream,
    turn: Stream,
    actions: VecDeque<Action>,
    notices: VecDeque<String>,
    pong: Option<[u8; 8]>,
    clock: Clock,
    draining: Option<String>,
    lost: Option<String>,
    // Set when nothing but farewells is sent.
    ending: Option<Over>,
    farewell: Option<String>,
    over: Option<Over>,
}

impl Core {
    /// A session whose first request, on stream 0, is allowed already: its first action opens it.
    pub fn new(now_ms: u64, limits: Limits, first: Opened) -> Self {
        let mut channel = Channel::new(0);
        let actions = channel.allowed(first).into_iter().collect();
        Self {
            streams: BTreeMap::from([(0, channel)]),
            last_opened: 0,
            turn: 0,
            actions,
            notices: VecDeque::new(),
            pong: None,
            clock: Clock::new(now_ms, limits),
            draining: None,
            lost: None,
            ending: None,
            farewell: None,
            over: None,
        }
    }

    /// Takes one event, at a time that never goes back.
    pub fn handle(&mut self, now_ms: u64, event: Event) {
        if self.over.is_some() {
            return;
        }
        match event {
            Event::Frame(frame) => self.handle_frame(now_ms, frame),
            Event::Malformed(error) => self.break_off(now_ms, &error.to_string()),
            Event::Gone => self.leave(),
            Event::Lost(why) => self.lose(&why),
            Event::Revoked(why) => self.revoke(now_ms, &why),
            Event::Limits(limits) => self.clock.limit(limits),
            Event::Drain { message, deadline_ms } => {
                self.clock.drain_at(deadline_ms);
                self.notices.push_back(message.clone());
                self.draining = Some(message);
            }
            Event::Tick => self.tick(now_ms),
            Event::Allowed(..)
            | Event::Refused(..)
            | Event::Opened(_)
            | Event::Data(..)
            | Event::OutputEnded(_)
            | Event::Exited(..)
            | Event::Closed(_)
            | Event::Wrote(_)
            | Event::Controlled(_) => self.handle_upstream(now_ms, event),
        }
        self.collect_actions(now_ms);
    }

    /// The next thing to do; call until it answers nothing.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next frame for the client; call when its connection takes another.
    pub fn next_frame(&mut self, now_ms: u64) -> Option<Frame> {
        if self.over.is_some() && self.farewell.is_none() {
            return None;
        }
        let res = self.next_session_frame().or_else(|| self.next_stream_frame(now_ms));
        self.collect_actions(now_ms);
        let is_last = res.is_none() && self.streams.is_empty();
        if is_last && let Some(farewell) = self.farewell.take() {
            return Some(Frame::Close(farewell));
        }
        res
    }

    /// When [`Event::Tick`] is due, if nothing else happens before.
    pub fn next_tick_ms(&self) -> u64 {
        let exits = self.streams.values().filter_map(Channel::given_up_at_ms).min();
        exits.into_iter().fold(self.clock.next_ms(self.streams.is_empty()), u64::min)
    }

    /// Why it is over, as soon as it is: the last frames are those that [`Self::next_frame`] still gives.
    pub fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }

    /// Bytes of data that wait here, either way: at most a window and 384 KiB for each stream.
    pub fn held_bytes(&self) -> usize {
        self.streams.values().map(Channel::held_bytes).fold(0, usize::saturating_add)
    }

    fn handle_frame(&mut self, now_ms: u64, frame: Frame) {
        self.clock.heard(now_ms);
        if self.ending.is_some() {
            if matches!(frame, Frame::Close(_)) {
                self.over = self.ending.take();
            }
            return;
        }
        if let Err(violation) = self.take_frame(now_ms, frame) {
            self.break_off(now_ms, &violation.to_string());
        }
    }

    fn take_frame(&mut self, now_ms: u64, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Open(stream, json) => return self.open(now_ms, stream, json),
            Frame::Ping(bytes) => self.pong = Some(bytes),
            Frame::Pong(_) => (),
            Frame::Close(_) => {
                self.finish(self.lost.clone().map_or(Over::Finished, Over::Lost));
                self.farewell = Some(String::new());
            }
            Frame::Stdout(..)
            | Frame::Stderr(..)
            | Frame::Exit(..)
            | Frame::Opened(..)
            | Frame::Refused(..)
            | Frame::Notice(_) => return Err(Violation::Direction),
            Frame::Stdin(stream, _)
            | Frame::Resize(stream, _)
            | Frame::Signal(stream, _)
            | Frame::Eof(stream)
            | Frame::Credit(stream, _) => return self.take_stream_frame(now_ms, stream, frame),
        }
        Ok(())
    }

    fn take_stream_frame(&mut self, now_ms: u64, stream: Stream, frame: Frame) -> Result<(), Violation> {
        if self.last_opened < stream {
            return Err(Violation::NotOpened(stream));
        }
        // A frame that crossed the stream's exit on its way.
        let Some(channel) = self.streams.get_mut(&stream) else { return Ok(()) };
        match frame {
            Frame::Stdin(..) | Frame::Eof(_) if channel.input_ended() => return Err(Violation::BehindEof(stream)),
            Frame::Stdin(_, bytes) => {
                channel.stdin(bytes)?;
                self.clock.active(now_ms);
            }
            Frame::Eof(_) => channel.end_input(),
            Frame::Resize(_, size) => {
                channel.resize(size);
                self.clock.active(now_ms);
            }
            Frame::Signal(_, name) => {
                if !channel.signal(name) {
                    return Err(Violation::Signals(stream));
                }
                self.clock.active(now_ms);
            }
            Frame::Credit(_, credit) => channel.credit(credit)?,
            Frame::Stdout(..)
            | Frame::Stderr(..)
            | Frame::Exit(..)
            | Frame::Open(..)
            | Frame::Opened(..)
            | Frame::Refused(..)
            | Frame::Notice(_)
            | Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Close(_) => return Err(Violation::Direction),
        }
        Ok(())
    }

    fn open(&mut self, now_ms: u64, stream: Stream, json: Vec<u8>) -> Result<(), Violation> {
        if stream <= self.last_opened {
            return Err(Violation::OutOfOrder(stream));
        }
        self.last_opened = stream;
        // Refusals that a client does not read are held, and so are bounded too.
        if STREAMS_MAX.saturating_mul(2) <= self.streams.len() || !self.clock.may_open(now_ms) {
            return Err(Violation::Opens);
        }
        self.clock.active(now_ms);
        let running = self.streams.values().filter(|it| it.is_running()).count();
        let channel = self.streams.entry(stream).or_insert_with(|| Channel::new(stream));
        if let Some(why) = &self.draining {
            channel.refused(why.clone());
        } else if STREAMS_MAX <= running {
            channel.refused(format!("a session has at most {STREAMS_MAX} streams at a time"));
        } else {
            self.actions.push_back(Action::Decide(stream, json));
        }
        Ok(())
    }

    fn handle_upstream(&mut self, now_ms: u64, event: Event) {
        let stream = match &event {
            Event::Allowed(stream, _)
            | Event::Refused(stream, _)
            | Event::Opened(stream)
            | Event::Data(stream, ..)
            | Event::OutputEnded(stream)
            | Event::Exited(stream, _)
            | Event::Closed(stream)
            | Event::Wrote(stream)
            | Event::Controlled(stream) => *stream,
            Event::Frame(_)
            | Event::Malformed(_)
            | Event::Gone
            | Event::Lost(_)
            | Event::Revoked(_)
            | Event::Limits(_)
            | Event::Drain { .. }
            | Event::Tick => return,
        };
        let Some(channel) = self.streams.get_mut(&stream) else { return };
        match event {
            Event::Allowed(_, opened) => self.actions.extend(channel.allowed(opened)),
            Event::Refused(_, why) => channel.refused(why),
            Event::Opened(_) => channel.opened(),
            Event::Data(_, output, bytes) => {
                self.clock.active(now_ms);
                if !channel.data(output, bytes) {
                    channel.closed("the instance broke the protocol");
                    self.actions.push_back(Action::Shut(stream));
                }
            }
            Event::OutputEnded(_) => channel.end_output(),
            Event::Exited(_, exit) => channel.exited(exit),
            Event::Closed(_) => {
                channel.closed("connection lost");
                self.actions.push_back(Action::Shut(stream));
            }
            Event::Wrote(_) => channel.wrote(),
            Event::Controlled(_) => channel.controlled(),
            Event::Frame(_)
            | Event::Malformed(_)
            | Event::Gone
            | Event::Lost(_)
            | Event::Revoked(_)
            | Event::Limits(_)
            | Event::Drain { .. }
            | Event::Tick => (),
        }
    }

    fn tick(&mut self, now_ms: u64) {
        for channel in self.streams.values_mut() {
            if channel.given_up_at_ms().is_some_and(|it| it <= now_ms) {
                channel.closed("connection lost");
                self.actions.push_back(Action::Shut(channel.stream()));
            }
        }
        match self.clock.tick(now_ms, self.streams.is_empty()) {
            None => (),
            Some(clock::Due::Notice(text)) => self.notices.push_back(text),
            Some(clock::Due::Policy(why)) => self.revoke(now_ms, &why),
            // Silent, or it has had its time to read the farewell.
            Some(clock::Due::Silent | clock::Due::Unread) => self.leave(),
            Some(clock::Due::Drained) => {
                let why = self.draining.clone().unwrap_or_default();
                self.end(now_ms, Over::Lost(why.clone()), &Exit::Lost(why.clone()), &why);
            }
            Some(clock::Due::Linger) => self.end(now_ms, Over::Finished, &Exit::Lost(String::new()), ""),
        }
    }

    /// Policy ends the session: a notice, an exit on each stream, and no byte of what waits.
    fn revoke(&mut self, now_ms: u64, why: &str) {
        if self.ending.is_none() {
            self.notices.push_back(why.to_owned());
            self.end(now_ms, Over::Policy(why.to_owned()), &Exit::Policy(why.to_owned()), why);
        }
    }

    fn break_off(&mut self, now_ms: u64, why: &str) {
        let why = format!("protocol error: {why}");
        self.end(now_ms, Over::Protocol(why.clone()), &Exit::Lost(why.clone()), &why);
    }

    /// The instance is gone, but what it said before is still delivered, on every stream, before its `Exit::Lost`.
    fn lose(&mut self, why: &str) {
        let why = format!("connection lost: {why}");
        self.shut_all();
        self.lost.get_or_insert_with(|| why.clone());
        for channel in self.streams.values_mut() {
            channel.refused(why.clone());
            channel.closed(&why);
        }
        self.draining.get_or_insert(why);
    }

    /// Nothing but farewells from now on.
    fn end(&mut self, now_ms: u64, over: Over, exit: &Exit, why: &str) {
        if self.ending.is_some() {
            return;
        }
        self.shut_all();
        for channel in self.streams.values_mut() {
            channel.end(exit.clone(), why);
        }
        self.ending = Some(over);
        self.farewell = Some(why.to_owned());
        self.clock.ends(now_ms);
    }

    /// The client is gone, before or after it was told why.
    fn leave(&mut self) {
        let over = self.ending.take().unwrap_or(Over::ClientGone);
        self.finish(over);
    }

    fn finish(&mut self, over: Over) {
        self.shut_all();
        self.streams.clear();
        self.notices.clear();
        self.pong = None;
        self.farewell = None;
        self.over = Some(over);
    }

    fn shut_all(&mut self) {
        // Whatever was about to be done is not.
        self.actions.clear();
        self.actions.extend(self.streams.values().filter(|it| it.is_running()).map(|it| Action::Shut(it.stream())));
    }

    fn collect_actions(&mut self, now_ms: u64) {
        for channel in self.streams.values_mut() {
            while let Some(action) = channel.next_action(now_ms) {
                self.actions.push_back(action);
            }
        }
    }

    fn next_session_frame(&mut self) -> Option<Frame> {
        if let Some(bytes) = self.pong.take() {
            return Some(Frame::Pong(bytes));
        }
        if let Some(text) = self.notices.pop_front() {
            return Some(Frame::Notice(text));
        }
        self.clock.ping().map(Frame::Ping)
    }

    /// Streams take turns, one frame each.
    fn next_stream_frame(&mut self, now_ms: u64) -> Option<Frame> {
        let after = self.streams.range(self.turn..).skip_while(|(id, _)| **id == self.turn).map(|(id, _)| *id);
        let order: Vec<Stream> = after.chain(self.streams.range(..=self.turn).map(|(id, _)| *id)).collect();
        for stream in order {
            let Some(channel) = self.streams.get_mut(&stream) else { continue };
            let frame = channel.next_frame();
            if channel.is_done() {
                self.streams.remove(&stream);
                self.clock.stream_done(now_ms);
            }
            if frame.is_some() {
                self.turn = stream;
                return frame;
            }
        }
        None
    }
}

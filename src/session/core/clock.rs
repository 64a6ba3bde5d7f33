//! The deadlines of a session: keepalive, limits of policy with their warnings, draining, and how long a farewell waits.

use crate::session::core::{Limits, OPENS_PER_SECOND_MAX};

/// Milliseconds of silence after which a peer is asked whether it is there.
pub(crate) const KEEPALIVE_MS: u64 = 20_000;

/// Milliseconds of silence after which it is not.
pub(crate) const SILENT_MS: u64 = 60_000;

/// Milliseconds before a limit at which the client is warned; half of a limit that is shorter than twice this.
const WARNING_MS: u64 = 60_000;

/// Milliseconds that a session without streams waits for the client to open one or to close.
const LINGER_MS: u64 = 30_000;

/// Milliseconds that a client is given to read why its session ended.
const FAREWELL_MS: u64 = 5_000;

/// What time brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Warn the client.
    Notice(String),
    /// A limit of policy is reached.
    Policy(String),
    /// The client has not been heard for too long.
    Silent,
    /// The server stops now.
    Drained,
    /// No stream is left and none was opened.
    Linger,
    /// The farewell was not read in time.
    Unread,
}

/// The question whether the client is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ping {
    /// It was heard of late.
    Quiet,
    /// To be asked as soon as its connection takes a frame.
    Due,
    /// Asked.
    Sent,
}

/// Times of one session, in milliseconds of the driver's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    limits: Limits,
    started_ms: u64,
    active_ms: u64,
    heard_ms: u64,
    ping: Ping,
    pings: u64,
    stream_done_ms: u64,
    drain_ms: Option<u64>,
    ending_ms: Option<u64>,
    idle_warned: bool,
    total_warned: bool,
    opens_since_ms: u64,
    opens: u32,
}

impl Clock {
    pub(crate) fn new(now_ms: u64, limits: Limits) -> Self {
        Self {
            limits,
            started_ms: now_ms,
            active_ms: now_ms,
            heard_ms: now_ms,
            ping: Ping::Quiet,
            pings: 0,
            stream_done_ms: now_ms,
            drain_ms: None,
            ending_ms: None,
            idle_warned: false,
            total_warned: false,
            opens_since_ms: now_ms,
            opens: 0,
        }
    }

    /// Policy has changed its mind; what was warned of before is warned of again.
    pub(crate) fn limit(&mut self, limits: Limits) {
        if self.limits != limits {
            self.limits = limits;
            self.idle_warned = false;
            self.total_warned = false;
        }
    }

    /// Something came from the client.
    pub(crate) fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.ping = Ping::Quiet;
    }

    /// Bytes passed, either way: a command that writes is at work although nobody types.
    pub(crate) fn active(&mut self, now_ms: u64) {
        self.active_ms = now_ms;
        self.idle_warned = false;
    }

    pub(crate) fn stream_done(&mut self, now_ms: u64) {
        self.stream_done_ms = now_ms;
    }

    pub(crate) fn drain_at(&mut self, deadline_ms: u64) {
        self.drain_ms = Some(self.drain_ms.map_or(deadline_ms, |it| it.min(deadline_ms)));
    }

    pub(crate) fn ends(&mut self, now_ms: u64) {
        self.ending_ms = Some(now_ms);
    }

    /// Counts a request; false when there are too many.
    pub(crate) fn may_open(&mut self, now_ms: u64) -> bool {
        if 1_000 <= now_ms.saturating_sub(self.opens_since_ms) {
            self.opens_since_ms = now_ms;
            self.opens = 0;
        }
        self.opens = self.opens.saturating_add(1);
        self.opens <= OPENS_PER_SECOND_MAX
    }

    /// The question whether the client is there, once for each silence.
    pub(crate) fn ping(&mut self) -> Option<[u8; 8]> {
        let is_due = self.ping == Ping::Due;
        is_due.then(|| {
            self.ping = Ping::Sent;
            self.pings = self.pings.saturating_add(1);
            self.pings.to_be_bytes()
        })
    }

    /// The most important thing that is due; of several the others come with the next tick.
    pub(crate) fn tick(&mut self, now_ms: u64, is_empty: bool) -> Option<Due> {
        let reached = |at_ms: Option<u64>| at_ms.is_some_and(|it| it <= now_ms);
        if self.ending_ms.is_some() {
            return reached(self.unread_ms()).then_some(Due::Unread);
        }
        if reached(self.ping_ms()) {
            self.ping = Ping::Due;
        }
        if self.silent_ms() <= now_ms {
            return Some(Due::Silent);
        }
        if reached(self.total_ms()) {
            let limit = seconds(self.limits.total_ms);
            return Some(Due::Policy(format!("the session has lasted {limit} s, as long as policy allows")));
        }
        if reached(self.idle_ms()) {
            let limit = seconds(self.limits.idle_ms);
            return Some(Due::Policy(format!("the session was idle for {limit} s, as long as policy allows")));
        }
        if reached(self.drain_ms) {
            return Some(Due::Drained);
        }
        if is_empty && self.linger_ms() <= now_ms {
            return Some(Due::Linger);
        }
        if reached(self.total_warning_ms()) {
            self.total_warned = true;
            let left = seconds(self.total_ms().map(|it| it.saturating_sub(now_ms)));
            return Some(Due::Notice(format!(
                "the session ends in {left} s: it has nearly lasted as long as policy allows"
            )));
        }
        if reached(self.idle_warning_ms()) {
            self.idle_warned = true;
            let left = seconds(self.idle_ms().map(|it| it.saturating_sub(now_ms)));
            return Some(Due::Notice(format!("the session ends in {left} s unless it is used")));
        }
        None
    }

    /// When [`Self::tick`] has something next.
    pub(crate) fn next_ms(&self, is_empty: bool) -> u64 {
        if let Some(at_ms) = self.unread_ms() {
            return at_ms;
        }
        [
            Some(self.silent_ms()),
            self.ping_ms(),
            self.total_ms(),
            self.idle_ms(),
            self.drain_ms,
            is_empty.then(|| self.linger_ms()),
            self.total_warning_ms(),
            self.idle_warning_ms(),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(u64::MAX)
    }

    fn ping_ms(&self) -> Option<u64> {
        (self.ping == Ping::Quiet).then_some(self.heard_ms.saturating_add(KEEPALIVE_MS))
    }

    fn unread_ms(&self) -> Option<u64> {
        self.ending_ms.map(|it| it.saturating_add(FAREWELL_MS))
    }

    fn silent_ms(&self) -> u64 {
        self.heard_ms.saturating_add(SILENT_MS)
    }

    fn linger_ms(&self) -> u64 {
        self.stream_done_ms.saturating_add(LINGER_MS)
    }

    fn total_ms(&self) -> Option<u64> {
        self.limits.total_ms.map(|it| self.started_ms.saturating_add(it))
    }

    fn idle_ms(&self) -> Option<u64> {
        self.limits.idle_ms.map(|it| self.active_ms.saturating_add(it))
    }

    fn total_warning_ms(&self) -> Option<u64> {
        let limit_ms = self.limits.total_ms.filter(|_| !self.total_warned)?;
        Some(self.started_ms.saturating_add(limit_ms.saturating_sub(warning_ms(limit_ms))))
    }

    fn idle_warning_ms(&self) -> Option<u64> {
        let limit_ms = self.limits.idle_ms.filter(|_| !self.idle_warned)?;
        Some(self.active_ms.saturating_add(limit_ms.saturating_sub(warning_ms(limit_ms))))
    }
}

fn warning_ms(limit_ms: u64) -> u64 {
    WARNING_MS.min(limit_ms / 2)
}

fn seconds(ms: Option<u64>) -> u64 {
    ms.unwrap_or_default().div_ceil(1_000)
}

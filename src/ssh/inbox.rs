//! What has come in on one channel and waits for its reader: bounded by the channel's window, apart from all others.
//!
//! russh's own queues hold up the whole connection when one of them is full. Here a channel's bytes are taken off the
//! connection at once; the window opens again only by what the reader has consumed, so a reader that is stuck stops
//! its own channel and no other, and the queue holds no more than a window.

use std::{
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{limits::PIECE_BYTES, session::take_front};

/// Bytes that a peer may have under way on one channel.
pub(in crate::ssh) const WINDOW_BYTES: u32 = 256 * 1024;

/// Consumed bytes that are worth a message; half a window keeps the other half in flight.
const GRANT_BYTES_MIN: u32 = WINDOW_BYTES / 2;

/// Bytes of one item at most.
const ITEM_BYTES_MAX: usize = 2 * PIECE_BYTES;

/// Events that wait; a peer that sends more without data between them is not one of ours.
const MARKS_MAX: usize = 64;

/// One thing that came in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ssh) enum Item<M> {
    /// Bytes, of standard error or not.
    Data {
        /// Extended data of type 1 (RFC 4254 section 5.2).
        stderr: bool,
        /// At most [`ITEM_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// Anything else.
    Mark(M),
}

/// A queue with one writer (the connection's task) and one reader.
pub(in crate::ssh) struct Inbox<M> {
    state: Mutex<State<M>>,
    changed: Notify,
    over: Notify,
}

/// Bytes, marks and their order apart: a peer that alternates single bytes of two streams makes 8 bytes of each, not an
/// allocation.
struct State<M> {
    order: VecDeque<Run>,
    bytes: VecDeque<u8>,
    marks: VecDeque<M>,
    ended: bool,
}

/// The next so many bytes, or the next mark.
enum Run {
    Data { stderr: bool, length: u32 },
    Mark,
}

impl<M> fmt::Debug for Inbox<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inbox").field("bytes", &self.state().bytes.len()).finish_non_exhaustive()
    }
}

impl<M> Default for Inbox<M> {
    fn default() -> Inbox<M> {
        let state = State { order: VecDeque::new(), bytes: VecDeque::new(), marks: VecDeque::new(), ended: false };
        Inbox { state: Mutex::new(state), changed: Notify::new(), over: Notify::new() }
    }
}

impl<M> Inbox<M> {
    /// Adds bytes. The window is the bound; whoever calls has made sure of it.
    pub(in crate::ssh) fn data(&self, stderr: bool, new: &[u8]) {
        let mut state = self.state();
        if state.ended || new.is_empty() {
            return;
        }
        state.bytes.extend(new);
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        match state.order.back_mut() {
            Some(Run::Data { stderr: last, length }) if *last == stderr => *length = length.saturating_add(count),
            _ => state.order.push_back(Run::Data { stderr, length: count }),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Adds an event; `false` when there are too many of them, and the connection should end.
    pub(in crate::ssh) fn mark(&self, mark: M) -> bool {
        let mut state = self.state();
        if MARKS_MAX <= state.marks.len() {
            return false;
        }
        if !state.ended {
            state.marks.push_back(mark);
            state.order.push_back(Run::Mark);
        }
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Nothing more comes; what waits is still read.
    pub(in crate::ssh) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_one();
        self.over.notify_waiters();
    }

    /// Waits until nothing more comes, whatever is still to be read.
    pub(in crate::ssh) async fn ended(&self) {
        let mut over = pin!(self.over.notified());
        // Listens before it looks, so that an end in between is not missed.
        over.as_mut().enable();
        if !self.state().ended {
            over.await;
        }
    }

    /// The oldest item; none when nothing more comes. May be dropped while it waits: nothing is lost.
    pub(in crate::ssh) async fn next(&self) -> Option<Item<M>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if let Some(item) = state.pop() {
                    return Some(item);
                }
                if state.ended {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> State<M> {
    fn pop(&mut self) -> Option<Item<M>> {
        match self.order.pop_front()? {
            Run::Mark => self.marks.pop_front().map(Item::Mark),
            Run::Data { stderr, length } => {
                let taken = length.min(u32::try_from(ITEM_BYTES_MAX).unwrap_or(u32::MAX));
                if taken < length {
                    self.order.push_front(Run::Data { stderr, length: length.saturating_sub(taken) });
                }
                let count = usize::try_from(taken).unwrap_or(0).min(self.bytes.len());
                Some(Item::Data { stderr, bytes: take_front(&mut self.bytes, count) })
            }
        }
    }
}

/// Counts what a reader has consumed until it is worth a message.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Consumed {
    bytes: u32,
}

impl Consumed {
    /// Adds bytes that the reader is done with.
    pub(in crate::ssh) fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// What to grant now, if enough has come together; call [`Consumed::granted`] when it was sent.
    pub(in crate::ssh) fn due(&self) -> Option<u32> {
        (GRANT_BYTES_MIN <= self.bytes).then_some(self.bytes)
    }

    /// A grant was sent.
    pub(in crate::ssh) fn granted(&mut self, bytes: u32) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn single_bytes_are_joined_and_streams_kept_apart_in_order() {
        let inbox: Inbox<u8> = Inbox::default();
        for byte in b"out" {
            inbox.data(false, &[*byte]);
        }
        inbox.data(true, b"err");
        assert!(inbox.mark(7));
        inbox.end();
        inbox.data(false, b"late");
        assert_eq!(inbox.next().await, Some(Item::Data { stderr: false, bytes: b"out".to_vec() }));
        assert_eq!(inbox.next().await, Some(Item::Data { stderr: true, bytes: b"err".to_vec() }));
        assert_eq!(inbox.next().await, Some(Item::Mark(7)));
        assert_eq!(inbox.next().await, None);
    }

    #[test]
    fn a_flood_of_events_is_refused() {
        let inbox: Inbox<u8> = Inbox::default();
        assert!((0..MARKS_MAX).all(|_| inbox.mark(0)));
        assert!(!inbox.mark(0));
    }

    #[test]
    fn nothing_is_granted_until_half_a_window_is_consumed() {
        let mut consumed = Consumed::default();
        consumed.add(100_000);
        assert_eq!(consumed.due(), None);
        consumed.add(100_000);
        assert_eq!(consumed.due(), Some(200_000));
        consumed.granted(200_000);
        assert_eq!(consumed.due(), None);
    }
}

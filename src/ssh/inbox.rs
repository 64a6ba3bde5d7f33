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

use crate::limits::PIECE_BYTES;

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
/// allocation. Only whole packets are kept as they came, with room for one more: bulk data is copied once.
struct State<M> {
    order: VecDeque<Run>,
    bytes: VecDeque<u8>,
    marks: VecDeque<M>,
    ended: bool,
}

/// The next so many bytes, those of whole packets, or the next mark.
enum Run {
    Data { stderr: bool, length: u32 },
    Packets { stderr: bool, bytes: Vec<u8> },
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
        state.push(stderr, new);
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
    fn push(&mut self, stderr: bool, new: &[u8]) {
        let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
        match self.order.back_mut() {
            Some(Run::Packets { stderr: last, bytes })
                if *last == stderr && bytes.len().saturating_add(new.len()) <= ITEM_BYTES_MAX =>
            {
                bytes.extend_from_slice(new);
            }
            _ if (PIECE_BYTES..=ITEM_BYTES_MAX).contains(&new.len()) => {
                let mut bytes = Vec::with_capacity(ITEM_BYTES_MAX);
                bytes.extend_from_slice(new);
                self.order.push_back(Run::Packets { stderr, bytes });
            }
            Some(Run::Data { stderr: last, length }) if *last == stderr => {
                self.bytes.extend(new);
                *length = length.saturating_add(count);
            }
            _ => {
                self.bytes.extend(new);
                self.order.push_back(Run::Data { stderr, length: count });
            }
        }
    }

    fn pop(&mut self) -> Option<Item<M>> {
        match self.order.pop_front()? {
            Run::Mark => self.marks.pop_front().map(Item::Mark),
            Run::Packets { stderr, bytes } => Some(Item::Data { stderr, bytes }),
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

/// Takes bytes off the front of a queue, at most as many as there are; whole runs of them are copied at once.
fn take_front(queue: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    let count = count.min(queue.len());
    let (first, second) = queue.as_slices();
    let first = first.get(..count).unwrap_or(first);
    let second = second.get(..count.saturating_sub(first.len())).unwrap_or_default();
    let taken = [first, second].concat();
    queue.drain(..count);
    taken
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

    #[tokio::test]
    async fn whole_packets_and_single_bytes_come_out_in_their_order() {
        let inbox: Inbox<u8> = Inbox::default();
        let mut expected = [Vec::new(), Vec::new()];
        let sizes =
            [1, PIECE_BYTES, PIECE_BYTES, 1, 32 * 1024, 7, 32 * 1024 - 24, ITEM_BYTES_MAX, ITEM_BYTES_MAX + 1, 3];
        for (at, size) in (0_u8..).zip(sizes) {
            let stderr = at % 4 == 3;
            let bytes = vec![at; size];
            expected[usize::from(stderr)].extend_from_slice(&bytes);
            inbox.data(stderr, &bytes);
        }
        inbox.end();
        let (mut received, mut order) = ([Vec::new(), Vec::new()], Vec::new());
        while let Some(item) = inbox.next().await {
            let Item::Data { stderr, bytes } = item else { panic!() };
            assert!((1..=ITEM_BYTES_MAX).contains(&bytes.len()));
            order.extend_from_slice(&bytes);
            received[usize::from(stderr)].extend_from_slice(&bytes);
        }
        assert!(received == expected);
        assert!(order.is_sorted());
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

    #[test]
    fn bytes_are_taken_in_their_order_wherever_they_lie() {
        let all: Vec<u8> = (0..8).collect();
        for (start, count) in (0..8).flat_map(|start| (0..10).map(move |count| (start, count))) {
            let mut queue = VecDeque::with_capacity(8);
            // An empty queue would begin anew at its start.
            queue.extend(std::iter::repeat_n(0, start).chain([all[0]]));
            queue.drain(..start);
            queue.extend(&all[1..]);
            // Else none of them would lie across the end.
            assert!(start == 0 || queue.capacity() != 8 || !queue.as_slices().1.is_empty());
            assert_eq!(take_front(&mut queue, count), all[..count.min(8)]);
            assert_eq!(Vec::from(queue), all[count.min(8)..]);
        }
    }
}

//! The session between a client and an instance: frames and a pure core for either side, with no clock and no socket.
//!
//! A side is driven by events and asked what to do: [`core::Core`] on the API server between the client's frames and
//! the instance's SSH channels, [`client::Client`] between the server's frames and the person's terminal. Both hold
//! bounded queues only: bytes are asked for when there is room for them, and what was taken is never dropped.

#![forbid(unsafe_code)]

pub mod client;
pub mod core;
#[cfg(test)]
mod ending;
mod flow;
pub mod frame;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod model;

use std::collections::VecDeque;

use crate::session::frame::DATA_BYTES_MAX;

/// Bytes in the pieces in which they came; small ones are joined, so that there are at most two for each frame that they fill.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    all: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Pieces {
    pub(crate) fn push(&mut self, piece: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(piece.len());
        match self.all.back_mut() {
            Some(last) if last.len().saturating_add(piece.len()) <= DATA_BYTES_MAX => last.extend(piece),
            Some(_) | None if piece.is_empty() => (),
            Some(_) | None => self.all.push_back(piece),
        }
    }

    /// The first piece, or as much of it as may be taken; nothing where there is none, or nothing may be taken.
    pub(crate) fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        let first = self.all.front_mut().filter(|_| 0 < most)?;
        let rest = first.split_off(most.min(first.len()));
        let taken = std::mem::replace(first, rest);
        if first.is_empty() {
            self.all.pop_front();
        }
        self.bytes = self.bytes.saturating_sub(taken.len());
        Some(taken)
    }

    /// How many bytes there are.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Takes bytes off the front of a queue, at most as many as there are; whole runs of them are copied at once.
pub(crate) fn take_front(queue: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    let count = count.min(queue.len());
    let (first, second) = queue.as_slices();
    let first = first.get(..count).unwrap_or(first);
    let second = second.get(..count.saturating_sub(first.len())).unwrap_or_default();
    let taken = [first, second].concat();
    queue.drain(..count);
    taken
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use crate::session::{Pieces, frame::DATA_BYTES_MAX, take_front};

    #[test]
    fn pieces_come_out_in_order_and_are_few() {
        let mut pieces = Pieces::default();
        let mut expected = Vec::new();
        for (at, size) in (0_u8..).zip([1, 0, 5, DATA_BYTES_MAX, 1, 1, DATA_BYTES_MAX - 2, 40_000, 40_000]) {
            pieces.push(vec![at; size]);
            expected.extend(vec![at; size]);
        }
        assert_eq!((pieces.bytes(), pieces.all.len()), (expected.len(), 5));
        assert_eq!(pieces.take(0), None);
        let mut taken = Vec::new();
        for most in [4, 1, 100_000].into_iter().cycle() {
            let Some(piece) = pieces.take(most) else { break };
            assert!((1..=most.min(DATA_BYTES_MAX)).contains(&piece.len()));
            taken.extend(piece);
        }
        assert!(taken == expected && pieces.bytes() == 0);
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

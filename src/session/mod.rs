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

#[cfg(test)]
mod tests {
    use crate::session::{Pieces, frame::DATA_BYTES_MAX};

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
}

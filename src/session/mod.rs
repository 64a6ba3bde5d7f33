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

    use crate::session::take_front;

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

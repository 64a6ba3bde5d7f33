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

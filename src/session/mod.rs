//! The session between a client and an instance: frames and a pure core, with no clock and no socket.

pub mod core;
pub mod frame;

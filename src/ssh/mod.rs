//! SSH on both ends: the agent that serves port 222 inside an instance, and the client that the API server dials with.

pub mod agent;
mod algorithms;
pub mod certificate;
mod inbox;
mod transport;
#[cfg(feature = "platform")]
pub mod upstream;

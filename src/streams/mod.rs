//! Byte streams of the operating system, for whoever reads or writes them with the runtime.

mod ahead;
mod poll;

pub(crate) use ahead::ReadAhead;
pub(crate) use poll::poll;

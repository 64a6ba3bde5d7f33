//! What goes over a wire or into the store: the serde counterparts of the core types, and nothing that decides.

pub mod agent;
pub mod audit;
pub mod decide;
pub mod diagnostic;
pub mod error;
pub mod im;
pub mod job;
pub mod join;
pub mod policy;
pub use crate::diagnostic::printable;
pub mod session;
pub mod shim;
pub mod sign;
#[cfg(feature = "platform")]
pub mod suite;
pub mod token;
pub mod user;

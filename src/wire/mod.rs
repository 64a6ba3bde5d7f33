//! What goes over a wire or into the store: the serde counterparts of the core types, and nothing that decides.

pub mod agent;
pub mod audit;
pub mod decide;
pub mod diagnostic;
pub mod error;
#[cfg(feature = "platform")]
pub mod github;
pub mod im;
pub mod job;
pub mod join;
pub mod policy;
pub use crate::diagnostic::printable;
#[cfg(feature = "platform")]
pub mod sarif;
pub mod session;
#[cfg(feature = "platform")]
pub mod settings;
pub mod shim;
pub mod sign;
#[cfg(feature = "platform")]
pub mod suite;
#[cfg(feature = "platform")]
mod table;
pub mod token;
pub mod user;

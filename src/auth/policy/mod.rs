//! The policy documents: the only writer of the signed head, and who may change what.

mod authority;
mod containment;
mod defaults;
mod diagnostics;
mod guard;
mod head;
mod writer;

pub use self::{
    defaults::{ensure_defaults, reset},
    writer::PolicyWriter,
};

//! Trees to a policy set that can be asked.

pub mod system;

use crate::{diagnostic::Diagnostic, source::Source};

/// Whether the system documents are part of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// `clusterPermissions` and `rolePermissions` are part of it.
    Included,
    /// Only the documents given.
    LeftOut,
}

/// Compiled documents. Cheap to share, never changed.
#[derive(Debug)]
pub struct PolicySet {}

/// What is wrong with one of the documents, by its index in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Index into the sources.
    pub source: usize,
    /// What.
    pub diagnostic: Diagnostic,
}

/// Compiles documents; with an error anywhere there is no set, and all errors of all documents are told.
pub fn compile(_sources: &[Source], _system: System) -> Result<PolicySet, Vec<Finding>> {
    Ok(PolicySet {})
}

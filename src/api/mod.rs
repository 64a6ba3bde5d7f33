//! The API role: REST, sessions, consoles.

use std::sync::Arc;

use crate::{
    api::{console::Consoles, fleet::Fleet, registry::Registry},
    store::Store,
};

pub mod console;
pub mod fleet;
pub mod registry;

/// What every request handler shares, as `Arc<Api>` (the state of the `axum::Router`).
#[derive(Debug)]
pub struct Api {
    /// Names this API server; session ids begin with it.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// Where state is.
    pub store: Arc<dyn Store>,
    /// Jobs, instances and packages, mirrored.
    pub registry: Registry,
    /// Instance managers.
    pub fleet: Fleet,
    /// Consoles held here.
    pub consoles: Consoles,
}

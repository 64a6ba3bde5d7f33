//! The instance manager: containers, their network, and their port 222.
//!
//! [`run`] keeps a link to an API server and makes what exists on this host equal to what is desired. Each instance
//! lives under a process of its own, the [`shim`], which outlives the manager. [`runtime`] speaks to the OCI runtime,
//! `cgroup` to the kernel's limits, `layers` keeps unpacked root file systems, `network` the packet filter.

pub mod cgroup;
pub mod error;
pub mod layers;
mod linked;
pub mod manager;
pub mod network;
pub mod process;
pub mod remove;
pub mod runtime;
pub mod settings;
pub mod shim;
pub mod uplink;

pub use error::ImError;
pub use linked::Linked;
pub use manager::run;
pub use settings::Settings;

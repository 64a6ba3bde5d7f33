//! `apcd`: one role, or all of them in one process.

mod admin;
mod all;
mod apart;
mod command;
mod door;
mod member;
mod serving;

pub(crate) use command::run;

/// Why a server does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Files and sockets.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    /// The auth role.
    #[error(transparent)]
    Auth(#[from] crate::auth::StartError),
    /// Something that the auth role was asked.
    #[error(transparent)]
    Asked(#[from] crate::auth::AuthError),
    /// A link to another role.
    #[error(transparent)]
    Link(#[from] crate::link::LinkError),
    /// What another role answered.
    #[error(transparent)]
    Call(#[from] crate::link::CallError),
    /// The instance manager.
    #[error(transparent)]
    Im(#[from] crate::im::ImError),
    /// Anything else, with the way out.
    #[error("{0}")]
    Start(String),
}

//! Why a command of the client failed, and which exit status says so.

use std::path::PathBuf;

use crate::wire::error::ApiError;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The cluster answered with an error.
    #[error("{0}")]
    Refused(Box<ApiError>),
    /// No cluster was chosen.
    #[error("no target; choose one with `apc target https://...`")]
    NoTarget,
    /// Nobody is logged in.
    #[error("not logged in; use `apc login`")]
    NotLoggedIn,
    /// The target is not one that can be spoken to.
    #[error("`{0}` is not an `https://` address of a router")]
    BadTarget(String),
    /// A file of the client's.
    #[error("`{path}`: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A certificate or the trust in it.
    #[error("TLS to `{target}`: {cause}")]
    Tls {
        /// Where to.
        target: String,
        /// Why.
        cause: String,
    },
    /// The router cannot be reached, or the connection broke.
    #[error("`{target}` cannot be reached: {cause}")]
    Unreachable {
        /// Where to.
        target: String,
        /// Why.
        cause: String,
    },
    /// The answer is not what this program understands.
    #[error("the answer of `{target}` cannot be understood: {cause}")]
    Answer {
        /// From where.
        target: String,
        /// Why.
        cause: String,
    },
    /// The command line or its input.
    #[error("{0}")]
    Usage(String),
    /// It did not come to what was waited for.
    #[error("{0}")]
    Failed(String),
}

impl ClientError {
    /// 1: the answer is no. 2: nobody could tell.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(error) if error.retry || error.code == "invalid" => 2,
            Self::Refused(_) | Self::Failed(_) => 1,
            Self::NoTarget
            | Self::NotLoggedIn
            | Self::BadTarget(_)
            | Self::File { .. }
            | Self::Tls { .. }
            | Self::Unreachable { .. }
            | Self::Answer { .. }
            | Self::Usage(_) => 2,
        }
    }
}

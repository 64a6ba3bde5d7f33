//! Why the auth role did not do it, as the other side is told.

use crate::{gate::GateError, store::StoreError, wire::error::ApiError, wire::policy::DiagnosticJson};

/// Every way not to get what was asked of the auth role.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The gate says no.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Name or password is wrong, or policy issues no token; a stranger is not told which unless the password was right.
    #[error("{0}")]
    Login(String),
    /// Too many at once, or too many failures.
    #[error("too many logins: try again later")]
    Busy,
    /// Something in the request cannot be.
    #[error("{0}")]
    Invalid(String),
    /// More than may be.
    #[error("{0}")]
    TooLarge(String),
    /// There is no such thing.
    #[error("`{0}` was not found")]
    NotFound(String),
    /// Someone else was faster, or the version is not the present one.
    #[error("{0}")]
    Conflict(String),
    /// The policy text does not compile.
    #[error("the policy documents do not compile")]
    PolicyInvalid(Vec<DiagnosticJson>),
    /// Tests that the cluster keeps would fail.
    #[error("the change would break tests of the policy")]
    TestsFailed(Vec<DiagnosticJson>),
    /// The job's port 222 is closed.
    #[error("SSH is not enabled on \"{0}\"")]
    SshNotEnabled(String),
    /// The caller's component may not ask this.
    #[error("{0}")]
    Peer(String),
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key cannot be used. The log has why.
    #[error("a signing key cannot be used")]
    Key(String),
}

impl AuthError {
    /// The body that says it.
    pub fn to_api(&self) -> ApiError {
        let code = match self {
            Self::Gate(error) => return error.to_api(),
            Self::Login(_) | Self::Peer(_) => "unauthorized",
            Self::Busy => "too_many_requests",
            Self::Invalid(_) => "invalid",
            Self::TooLarge(_) => "too_large",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::PolicyInvalid(_) => "policy_invalid",
            Self::TestsFailed(_) => "policy_tests_failed",
            Self::SshNotEnabled(_) => "ssh_not_enabled",
            Self::Store(_) | Self::Key(_) => "unavailable",
        };
        let diagnostics =
            if let Self::PolicyInvalid(found) | Self::TestsFailed(found) = self { found.clone() } else { Vec::new() };
        ApiError {
            code: code.to_owned(),
            message: self.public_message(),
            diagnostics,
            retry: matches!(self, Self::Busy | Self::Store(_)),
            resource_missing: matches!(self, Self::NotFound(_)),
            ..ApiError::default()
        }
    }

    /// What a client may read; paths and causes stay in the log.
    fn public_message(&self) -> String {
        match self {
            Self::Store(error) => {
                tracing::error!(%error, "the store failed");
                "state cannot be read or written at the moment".to_owned()
            }
            Self::Key(cause) => {
                tracing::error!(%cause, "a key failed");
                self.to_string()
            }
            Self::Gate(_)
            | Self::Login(_)
            | Self::Busy
            | Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::PolicyInvalid(_)
            | Self::TestsFailed(_)
            | Self::SshNotEnabled(_)
            | Self::Peer(_) => self.to_string(),
        }
    }
}

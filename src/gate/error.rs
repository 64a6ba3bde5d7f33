//! Why a gate did not let someone through, as the client is told.

use axum::http::StatusCode;

use crate::{
    eval::{BadRequest, Claim},
    gate::{BearerError, PolicyError},
    link,
    wire::error::ApiError,
};

/// Every way not to be let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// There is no good token.
    #[error(transparent)]
    Bearer(#[from] BearerError),
    /// Policy does not permit it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no such thing, or the caller may not know that there is.
    #[error("`{0}` was not found")]
    NotFound(String),
    /// Policy restricts it in a way that this version cannot hold anyone to.
    #[error("policy restricts this session by `{0}`, which this version cannot enforce")]
    Unenforceable(String),
    /// The request names or says something that cannot be decided.
    #[error("{0}")]
    BadRequest(String),
    /// The request is of a kind that this version does not serve.
    #[error("{0}")]
    Unsupported(String),
    /// No policy to decide by.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The decision could not be written down, so it does not count.
    #[error("the decision could not be recorded")]
    Unrecorded,
}

/// A decision that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it was asked for.
    pub target: String,
    /// What was not asserted; empty where a restricting claim refuses.
    pub missing: Vec<Claim>,
    /// The restricting claim that refuses, for people.
    pub restriction: Option<String>,
    /// The set that said so.
    pub revision: u64,
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(restriction) = &self.restriction {
            return write!(f, "refused by `{restriction}` on \"{}\"", self.target);
        }
        let word = if self.missing.len() == 1 { "claim" } else { "claims" };
        let missing: Vec<String> = self.missing.iter().map(|it| format!("\"{it}\"")).collect();
        write!(f, "missing {word} {} on \"{}\"", missing.join(", "), self.target)
    }
}

impl From<BadRequest> for GateError {
    fn from(error: BadRequest) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl GateError {
    /// The HTTP status that says it.
    pub fn status(&self) -> StatusCode {
        link::status(&self.to_api())
    }

    /// The body that says it; the request id is the caller's to fill in.
    pub fn to_api(&self) -> ApiError {
        let missing_claims = match self {
            Self::Refused(refusal) => refusal.missing.iter().map(ToString::to_string).collect(),
            Self::Bearer(_)
            | Self::NotFound(_)
            | Self::Unenforceable(_)
            | Self::BadRequest(_)
            | Self::Unsupported(_)
            | Self::Policy(_)
            | Self::Unrecorded => Vec::new(),
        };
        ApiError {
            code: self.code().to_owned(),
            message: self.public_message(),
            missing_claims,
            retry: self.code() == "unavailable",
            token_invalid: self.code() == "unauthorized",
            resource_missing: matches!(self, Self::NotFound(_)),
            ..ApiError::default()
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Bearer(BearerError::Unavailable) | Self::Policy(_) | Self::Unrecorded => "unavailable",
            Self::Bearer(_) => "unauthorized",
            Self::Refused(_) => "missing_claim",
            Self::NotFound(_) => "not_found",
            Self::Unenforceable(_) => "unenforceable",
            Self::BadRequest(_) => "invalid",
            Self::Unsupported(_) => "unsupported",
        }
    }

    /// What a client may read: why policy is not available stays in the log.
    fn public_message(&self) -> String {
        match self {
            Self::Policy(_) => "no decision can be made at the moment".to_owned(),
            Self::Bearer(_)
            | Self::Refused(_)
            | Self::NotFound(_)
            | Self::Unenforceable(_)
            | Self::BadRequest(_)
            | Self::Unsupported(_)
            | Self::Unrecorded => self.to_string(),
        }
    }
}

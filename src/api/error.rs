//! The API's errors: what the client is told, and what only the log has.

use axum::response::{IntoResponse, Response};

use crate::{
    gate::GateError,
    link::{self, CallError, LinkError},
    store::StoreError,
    wire::error::ApiError,
};

/// Why a request was not done, as its answer. Boxed, because it is large and rare.
#[derive(Debug)]
pub struct Failure(Box<ApiError>);

impl Failure {
    /// What the client is told.
    pub fn into_error(self) -> ApiError {
        *self.0
    }

    /// What the client is told.
    pub fn error(&self) -> &ApiError {
        &self.0
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = *self.0;
        // The layer that knows the request's id writes the body again with it.
        let mut response = link::refusal(error.clone());
        response.extensions_mut().insert(error);
        response
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self(Box::new(error))
    }
}

impl From<GateError> for Failure {
    fn from(error: GateError) -> Self {
        tracing::debug!(%error, "the gate says no");
        error.to_api().into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let public = match &error {
            StoreError::Conflict(_) => conflict("someone else has changed it at the same time"),
            StoreError::TooLarge(_) => too_large("it is larger than a record may be"),
            StoreError::Source(cause) => invalid(format!("the body broke off: {cause}")),
            StoreError::NoBlob(_) | StoreError::Damaged(_, _) | StoreError::InUse(_) | StoreError::Unavailable(_) => {
                tracing::error!(%error, "the store");
                unavailable("the store is not available")
            }
        };
        public.into()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { error, .. } => error.into(),
            CallError::Link(_) | CallError::Json(_) => {
                tracing::error!(%error, "the auth role");
                unavailable("the auth server is not available").into()
            }
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        CallError::Link(error).into()
    }
}

/// 400: the request cannot be understood.
pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
    coded("invalid", message)
}

/// 409.
pub(crate) fn conflict(message: impl Into<String>) -> ApiError {
    coded("conflict", message)
}

/// 413.
pub(crate) fn too_large(message: impl Into<String>) -> ApiError {
    coded("too_large", message)
}

/// 404: there is no such thing, or the caller may not know of it; the same words for both.
pub(crate) fn not_found(what: &str) -> ApiError {
    ApiError { resource_missing: true, ..coded("not_found", format!("`{what}` was not found")) }
}

/// 503.
pub(crate) fn unavailable(message: impl Into<String>) -> ApiError {
    ApiError { retry: true, ..coded("unavailable", message) }
}

/// An error of this code.
pub(crate) fn coded(code: &str, message: impl Into<String>) -> ApiError {
    ApiError { code: code.to_owned(), message: message.into(), ..ApiError::default() }
}

//! What the router itself says to clients.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use crate::{link::LinkError, wire::error::ApiError};

/// An error of the router's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Refusal {
    /// The path could be read in two ways.
    Path,
    /// There is nothing for clients.
    Nowhere,
    /// No connection may become that here.
    Upgrade,
    /// A tunnel is asked for with a body.
    TunnelBody,
    /// A body whose length is not said.
    Length,
    /// A body that is too large.
    Large,
    /// A body that does not come.
    Stalled,
    /// No server can be reached.
    NoServer,
    /// The server did not answer in time.
    Slow,
    /// The server broke off.
    Broken,
}

impl Refusal {
    /// What a failed call means to the client.
    pub(in crate::router) fn of(error: &LinkError) -> Self {
        match error {
            LinkError::Deadline(_) => Self::Slow,
            LinkError::Credentials(_) | LinkError::Dial(_) | LinkError::Unreachable(_) | LinkError::Tls(_) => {
                Self::NoServer
            }
            LinkError::Http(_) | LinkError::TooLarge(_) | LinkError::Body(_) => Self::Broken,
        }
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Path => (StatusCode::BAD_REQUEST, "invalid", "the path is not in its plain form"),
            Self::Nowhere => (StatusCode::NOT_FOUND, "not_found", "there is nothing here"),
            Self::Upgrade => (StatusCode::BAD_REQUEST, "invalid", "no connection may be upgraded so here"),
            Self::TunnelBody => (StatusCode::BAD_REQUEST, "invalid", "a tunnel is opened without a body"),
            Self::Length => (StatusCode::LENGTH_REQUIRED, "invalid", "a body must come with its `Content-Length`"),
            Self::Large => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large"),
            Self::Stalled => (StatusCode::REQUEST_TIMEOUT, "invalid", "the body did not come in time"),
            Self::NoServer => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no server can be reached"),
            Self::Slow => (StatusCode::GATEWAY_TIMEOUT, "unavailable", "the server did not answer in time"),
            Self::Broken => (StatusCode::BAD_GATEWAY, "unavailable", "the server broke off"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        let retry = status.is_server_error();
        let error = ApiError {
            code: code.to_owned(),
            message: message.to_owned(),
            request_id: Uuid::now_v7().to_string(),
            retry,
            resource_missing: status == StatusCode::NOT_FOUND,
            ..ApiError::default()
        };
        let mut response = (status, Json(error)).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

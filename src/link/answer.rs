//! Errors as HTTP answers, and bodies with a bound.

use axum::{
    Json,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{link::LinkError, wire::error::ApiError};

/// The answer that carries an error, with the status of its code.
pub fn refusal(error: ApiError) -> Response {
    (status(&error), Json(error)).into_response()
}

/// The status that belongs to an error's code; an unknown code is our own fault.
pub fn status(error: &ApiError) -> StatusCode {
    match error.code.as_str() {
        "unauthorized" => StatusCode::UNAUTHORIZED,
        "missing_claim" | "unenforceable" => StatusCode::FORBIDDEN,
        "not_found" => StatusCode::NOT_FOUND,
        "conflict" | "ssh_not_enabled" | "no_running_instance" | "flapping" | "no_shell" => StatusCode::CONFLICT,
        "host_unreachable" | "host_key_mismatch" => StatusCode::BAD_GATEWAY,
        "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
        "invalid" => StatusCode::BAD_REQUEST,
        "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "policy_invalid" | "policy_tests_failed" => StatusCode::UNPROCESSABLE_ENTITY,
        "too_many_requests" => StatusCode::TOO_MANY_REQUESTS,
        "unsupported" => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// All of a body, if it has at most `bytes_max` bytes.
pub async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, LinkError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(LinkError::TooLarge(bytes_max)),
        Err(error) => Err(LinkError::Body(error.to_string())),
    }
}

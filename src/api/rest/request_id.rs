//! Gives each request an id: in the log, in a header of the answer and in an error's body.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{link, wire::error::ApiError};

static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Runs the request under a new id.
pub(crate) async fn assign(request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    // The path has no secret in it: tokens never stand in URLs.
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span).await;
    // An error's body was written before its id was known to the handler; it is written anew.
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let status = response.status();
        response = link::refusal(ApiError { request_id: id.clone(), ..error }).into_response();
        *response.status_mut() = status;
    }
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HEADER.clone(), value);
    }
    response
}

//! JSON bodies: of the right type, bounded, without unknown or double keys.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use serde::de::DeserializeOwned;

use crate::{
    api::error::{Failure, invalid, too_large},
    link::{self, LinkError},
};

/// Bytes of a JSON body; sixteen of the largest policy documents.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A JSON body of this type. The type itself denies unknown fields.
#[derive(Debug)]
pub(crate) struct Strict<T>(pub(crate) T);

/// A body that says it is JSON, for who reads it more strictly than a type can.
#[derive(Debug)]
pub(crate) struct JsonText(pub(crate) String);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Strict<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| invalid(format!("the body: {error}")))?;
        Ok(Self(value))
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let text = String::from_utf8(read(request).await?.into());
        Ok(Self(text.map_err(|_| invalid("the body is no UTF-8"))?))
    }
}

async fn read(request: Request) -> Result<Bytes, Failure> {
    // A form of a strange web site cannot say this type without asking first.
    let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|it| {
        let essence = it.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
    });
    if !is_json {
        return Err(invalid("the body must be `application/json`").into());
    }
    let read = link::read_body(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| {
        let larger = matches!(error, LinkError::TooLarge(_));
        if larger {
            too_large(format!("the body is larger than {BODY_BYTES_MAX} bytes"))
        } else {
            invalid("the body broke off")
        }
    });
    Ok(read?)
}

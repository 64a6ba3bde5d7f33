//! Requests to the cluster: one TLS connection each, bearer token, JSON answers, WebSocket upgrades.

use std::{fmt::Write as _, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header},
};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1,
    upgrade::{self, Upgraded},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use crate::{
    cli::client::{
        error::ClientError,
        home::{Home, Target},
        tls::Dialer,
    },
    wire::error::ApiError,
};

/// For the head of an answer; opening a console waits for a container.
const ANSWER: Duration = Duration::from_secs(150);

/// Bytes of a JSON answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Speaks to one target as one principal.
#[derive(Debug, Clone)]
pub struct Rest {
    target: Target,
    token: Option<HeaderValue>,
    dialer: Dialer,
}

impl Rest {
    /// To the chosen target, with its token; without one it is [`ClientError::NotLoggedIn`].
    pub fn open(home: &Home) -> Result<Self, ClientError> {
        let target = home.target()?;
        let token = home.token(&target)?.ok_or(ClientError::NotLoggedIn)?;
        Self::new(target, Some(&token))
    }

    /// To a target, with or without a token.
    pub fn new(target: Target, token: Option<&str>) -> Result<Self, ClientError> {
        let dialer = Dialer::new(&target)?;
        let token = token.map(bearer).transpose()?;
        Ok(Self { target, token, dialer })
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// `GET path`, JSON answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, Body::empty()).await
    }

    /// Any method with a JSON body and answer. An answer without content is JSON `null` (read it as `()`).
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let bytes = serde_json::to_vec(body).map_err(|error| self.answer_error(&error))?;
        self.exchange(method, path, Body::from(bytes)).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.exchange(Method::DELETE, path, Body::empty()).await
    }

    /// A request with a body of any kind (streams too), JSON answer.
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, ClientError> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::CONTENT_TYPE, "application/json");
        let request = request.body(body).map_err(|error| ClientError::Usage(error.to_string()))?;
        let answer = self.request(request).await?;
        let empty = answer.status() == StatusCode::NO_CONTENT;
        let bytes = self.read(answer).await?;
        let bytes = if empty || bytes.is_empty() { b"null".to_vec() } else { bytes };
        serde_json::from_slice(&bytes).map_err(|error| self.answer_error(&error))
    }

    /// A request as given, with `Host` and `Authorization` set; the answer with its body still to be read. Answers of
    /// 400 and above are errors. Redirects are never followed: the token is for this target alone.
    pub async fn request(&self, mut request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned();
        *request.uri_mut() = path.parse::<Uri>().map_err(|error| ClientError::Usage(error.to_string()))?;
        let host = HeaderValue::try_from(self.dialer.authority())
            .map_err(|_| ClientError::BadTarget(self.target.url.clone()))?;
        request.headers_mut().insert(header::HOST, host);
        if let Some(token) = &self.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        let stream = self.dialer.dial().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.unreachable(&error))?;
        // Drives the connection until body or upgraded stream are dropped; its error shows there.
        drop(tokio::spawn(connection.with_upgrades()));
        let answer = tokio::time::timeout(ANSWER, sender.send_request(request))
            .await
            .map_err(|_| self.unreachable(&"no answer"))?
            .map_err(|error| self.unreachable(&error))?;
        if answer.status().is_client_error() || answer.status().is_server_error() {
            return Err(self.refusal(answer).await);
        }
        Ok(answer)
    }

    /// Opens a WebSocket with exactly this subprotocol. What comes back is the raw stream after 101: give it to
    /// `WebSocketStream::from_raw_socket`.
    pub async fn upgrade(&self, path: &str, protocol: &str, headers: HeaderMap) -> Result<Upgraded, ClientError> {
        let key = generate_key();
        let request = Request::builder()
            .uri(path)
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
            .body(Body::empty());
        let mut request = request.map_err(|error| ClientError::Usage(error.to_string()))?;
        request.headers_mut().extend(headers);
        let answer = self.request(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.answer_error(&format_args!("no upgrade but status {}", answer.status())));
        }
        let is = |name, value: &str| answer.headers().get(name).is_some_and(|it| it.as_bytes() == value.as_bytes());
        if !is(header::SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes())) {
            return Err(self.answer_error(&"the WebSocket handshake does not match"));
        }
        if !is(header::SEC_WEBSOCKET_PROTOCOL, protocol) {
            return Err(self.answer_error(&format_args!("it does not speak `{protocol}`")));
        }
        upgrade::on(answer).await.map_err(|error| self.unreachable(&error))
    }

    async fn refusal(&self, answer: Response<Incoming>) -> ClientError {
        let status = answer.status();
        let Ok(bytes) = self.read(answer).await else {
            return self.answer_error(&format_args!("status {status}"));
        };
        match serde_json::from_slice::<ApiError>(&bytes) {
            Ok(error) => ClientError::Refused(Box::new(error)),
            Err(_) => self.answer_error(&format_args!("status {status}")),
        }
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Vec<u8>, ClientError> {
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let collected = body.collect().await.map_err(|error| self.unreachable(&error))?;
        Ok(collected.to_bytes().to_vec())
    }

    fn unreachable(&self, cause: &dyn ToString) -> ClientError {
        ClientError::Unreachable { target: self.target.url.clone(), cause: cause.to_string() }
    }

    fn answer_error(&self, cause: &dyn ToString) -> ClientError {
        ClientError::Answer { target: self.target.url.clone(), cause: cause.to_string() }
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986 section 2.3), for a path segment or a query value.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => {
                let _infallible = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let malformed = |_| ClientError::Usage("the token is not one".to_owned());
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        assert_eq!(encode("job::/a b/../é&x=1?#"), "job%3A%3A%2Fa%20b%2F..%2F%C3%A9%26x%3D1%3F%23");
    }
}

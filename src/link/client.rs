//! Calls to one other role: connections by mutual TLS, used again while they are fresh.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderValue, Method, Request, Response, StatusCode, Version, header},
};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::{
    link::{Credentials, Dial, LinkError, Role, read_body},
    streams::ReadAhead,
    wire::error::ApiError,
};

/// For the connection, and again for TLS on it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the request to the head of its answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(1);
/// Below the time after which the other side closes an idle connection.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// Connections kept for later.
const IDLE_CONNECTIONS_MAX: usize = 32;
/// Bytes of a JSON answer: a listing of all policy documents fits.
const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Calls one place, which must be of one role. Clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    dial: Box<dyn Dial>,
    credentials: Credentials,
    expected: Role,
    response_timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<Body>,
    since: Instant,
    generation: u64,
}

/// Why a JSON call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The other side refused.
    #[error("{error}")]
    Refused {
        /// Of the answer.
        status: StatusCode,
        /// What it says.
        error: ApiError,
    },
    /// There was no answer.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The answer, or the question, is not what it should be.
    #[error("the answer cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

impl Client {
    /// Connects where `dial` leads, as `credentials` says, and only to a component of role `expected`.
    pub fn new(dial: impl Dial, credentials: Credentials, expected: Role) -> Self {
        Self(Arc::new(Shared {
            dial: Box::new(dial),
            credentials,
            expected,
            response_timeout: RESPONSE_TIMEOUT,
            idle: Mutex::default(),
        }))
    }

    /// The same place with another bound for the time from a request to the head of its answer.
    #[must_use]
    pub fn with_response_timeout(self, response_timeout: Duration) -> Self {
        let Shared { dial, credentials, expected, idle, .. } = match Arc::try_unwrap(self.0) {
            Ok(shared) => shared,
            Err(shared) => return Self(shared),
        };
        Self(Arc::new(Shared { dial, credentials, expected, response_timeout, idle }))
    }

    /// Sends a request and waits for the head of its answer. The body streams; [`hyper::upgrade::on`] works on it.
    ///
    /// Where an idle connection turns out to have been closed, a new one is used if the request provably was not sent, or
    /// is a `GET` without a body (RFC 9110 section 9.2.2); no other is sent twice.
    pub async fn request(&self, request: Request<Body>) -> Result<Response<Body>, LinkError> {
        self.request_within(self.0.response_timeout, request).await
    }

    /// As [`Client::request`] with another bound for the time to the head of the answer.
    pub async fn request_within(
        &self,
        response_timeout: Duration,
        request: Request<Body>,
    ) -> Result<Response<Body>, LinkError> {
        timeout(response_timeout, self.send(self.prepared(request)))
            .await
            .map_err(|_| LinkError::Deadline("waiting for the answer"))?
    }

    /// A JSON call: `body` is sent if there is one; the answer's body is read whole. `bearer` is a user's token.
    pub async fn json<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        bearer: Option<&str>,
        body: Option<&(impl Serialize + Sync + ?Sized)>,
    ) -> Result<A, CallError> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(serde_json::to_vec(body)?)
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|it| LinkError::Body(it.to_string()))?;
        let response = self.request(request).await?;
        let status = response.status();
        let bytes = timeout(self.0.response_timeout, read_body(response.into_body(), JSON_BYTES_MAX))
            .await
            .map_err(|_| LinkError::Deadline("reading the answer"))??;
        if status.is_success() {
            return Ok(serde_json::from_slice(if bytes.is_empty() { b"null" } else { &bytes })?);
        }
        let error = serde_json::from_slice(&bytes).unwrap_or_else(|_| ApiError {
            code: "unavailable".to_owned(),
            message: format!("`{}` answered {status}", self.0.expected),
            ..ApiError::default()
        });
        Err(CallError::Refused { status, error })
    }

    /// HTTP/1.1 with a `Host`, which says nothing: the certificate does.
    fn prepared(&self, mut request: Request<Body>) -> Request<Body> {
        *request.version_mut() = Version::HTTP_11;
        let host = HeaderValue::from_static(self.0.expected.as_str());
        request.headers_mut().entry(header::HOST).or_insert(host);
        request
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, LinkError> {
        while let Some(mut idle) = self.take_idle() {
            let again = repeatable(&request);
            match idle.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.keep(idle, response)),
                Err(mut error) => match error.take_message().or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let mut fresh = self.connect().await?;
        let response = fresh.sender.send_request(request).await?;
        Ok(self.keep(fresh, response))
    }

    fn take_idle(&self) -> Option<Idle> {
        let generation = self.0.credentials.generation();
        let mut all = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| !it.sender.is_closed() && it.generation == generation && it.since.elapsed() < IDLE_MAX);
        let at = all.iter().position(|it| it.sender.is_ready())?;
        Some(all.swap_remove(at))
    }

    /// Puts the connection back; it is ready again when the answer's body has been read.
    fn keep(&self, mut used: Idle, response: Response<hyper::body::Incoming>) -> Response<Body> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            used.since = Instant::now();
            let mut all = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() < IDLE_CONNECTIONS_MAX {
                all.push(used);
            }
        }
        response.map(Body::new)
    }

    async fn connect(&self) -> Result<Idle, LinkError> {
        let generation = self.0.credentials.generation();
        let config = self.0.credentials.client(self.0.expected);
        let config = config.ok_or_else(|| LinkError::Credentials("none for this role".to_owned()))?;
        let stream = timeout(CONNECT_TIMEOUT, self.0.dial.dial())
            .await
            .map_err(|_| LinkError::Unreachable("connecting"))?
            .map_err(LinkError::Dial)?;
        // Not sent and not looked at: the verifier asks for an identity.
        let name =
            ServerName::try_from(self.0.expected.as_str()).map_err(|it| LinkError::Credentials(it.to_string()))?;
        let stream = timeout(CONNECT_TIMEOUT, TlsConnector::from(config).connect(name, ReadAhead::new(stream)))
            .await
            .map_err(|_| LinkError::Unreachable("agreeing on TLS"))?
            .map_err(LinkError::Tls)?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Whoever waits on the connection is told; nobody else needs to know.
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a link ended");
            }
        });
        Ok(Idle { sender, since: Instant::now(), generation })
    }
}

/// The request once more, if it does no harm twice.
fn repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    if request.method() != Method::GET || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    (*copy.method_mut(), *copy.uri_mut()) = (request.method().clone(), request.uri().clone());
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("dial", &self.0.dial).field("expected", &self.0.expected).finish_non_exhaustive()
    }
}

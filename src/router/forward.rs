//! One request: where it goes, what is taken off it, and what comes back.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{Method, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
};
use http_body_util::LengthLimitError;
use hyper::upgrade::OnUpgrade;

use crate::{
    config,
    link::{Client, LinkError, Peer},
    router::{
        body::{Bounded, Stalled},
        headers::{self, Wish},
        path::{Destination, destination},
        pool::{Picked, Pool},
        refusal::Refusal,
        tunnel,
    },
};

/// A package may take long to come as long as it comes.
const PACKAGE_TIMEOUT: Duration = Duration::from_hours(1);

/// What every request needs.
#[derive(Debug)]
pub(in crate::router) struct Door {
    pool: Pool,
    auth: Client,
    response_timeout: Duration,
    body_bytes_max: usize,
    package_bytes_max: usize,
}

impl Door {
    pub(in crate::router) fn new(config: &config::Router, pool: Pool, auth: Client) -> Self {
        Self {
            pool,
            auth,
            response_timeout: Duration::from_millis(config.response_ms),
            body_bytes_max: usize::try_from(config.body_bytes_max).unwrap_or(usize::MAX),
            package_bytes_max: usize::try_from(config.package_bytes_max).unwrap_or(usize::MAX),
        }
    }
}

/// Every path and method; there is no table that could differ from the one behind.
pub(in crate::router) fn routes(door: Arc<Door>) -> Router {
    Router::new().fallback(answer).with_state(door)
}

async fn answer(State(door): State<Arc<Door>>, Extension(peer): Extension<Peer>, request: Request) -> Response<Body> {
    door.forward(&peer, request).await.unwrap_or_else(IntoResponse::into_response)
}

impl Door {
    async fn forward(&self, peer: &Peer, mut request: Request) -> Result<Response<Body>, Refusal> {
        let destination = destination(request.uri()).map_err(|_| Refusal::Path)?;
        let upgrade = upgrade(destination, &mut request)?;
        let (bytes_max, timeout) = match destination {
            Destination::Nowhere => return Err(Refusal::Nowhere),
            Destination::Package => (self.package_bytes_max, PACKAGE_TIMEOUT),
            Destination::Tunnel if upgrade.is_some() => (0, self.response_timeout),
            Destination::Tunnel | Destination::Api | Destination::Auth => (self.body_bytes_max, self.response_timeout),
        };
        let request = bounded(request, bytes_max, destination)?;
        let (mut parts, body) = request.into_parts();
        headers::inbound(&mut parts.headers, peer.address.map(|it| it.ip()));
        if upgrade.is_some() {
            headers::upgrading(&mut parts.headers);
        }
        if destination == Destination::Auth {
            let response = self.auth.request_within(timeout, Request::from_parts(parts, body)).await;
            return finished(response.map_err(|error| refusal(&error))?, None);
        }
        let (response, server) = self.ask_api(parts, body, timeout).await?;
        finished(response, upgrade.map(|client| (client, server)))
    }

    /// Asks one API server after the other until one was reached, each at most once. A body can be sent only once; where
    /// there is one, the first server that could not be reached is the last.
    async fn ask_api(&self, parts: Parts, body: Body, timeout: Duration) -> Result<(Response<Body>, Picked), Refusal> {
        let again = body.is_end_stream().then(|| copy_of(&parts));
        let mut request = Request::from_parts(parts, body);
        for _ in 0..self.pool.len() {
            let server = self.pool.pick().ok_or(Refusal::NoServer)?;
            let error = match server.client().request_within(timeout, request).await {
                Ok(response) => return Ok((response, server)),
                Err(error) => error,
            };
            tracing::warn!(%error, server = ?server.client(), "an API server did not answer");
            if !error.is_unsent() {
                return Err(refusal(&error));
            }
            server.doubt();
            let Some(parts) = again.as_ref().map(copy_of) else { return Err(Refusal::NoServer) };
            request = Request::from_parts(parts, Body::empty());
        }
        Err(Refusal::NoServer)
    }
}

/// The client's half of an upgrade, if one is asked for where one may be.
fn upgrade(destination: Destination, request: &mut Request) -> Result<Option<OnUpgrade>, Refusal> {
    let wish = headers::wish(request.headers());
    if wish == Wish::None {
        return Ok(None);
    }
    if wish != Wish::WebSocket || destination != Destination::Tunnel || request.method() != Method::GET {
        return Err(Refusal::Upgrade);
    }
    if !request.body().is_end_stream() {
        return Err(Refusal::TunnelBody);
    }
    Ok(Some(hyper::upgrade::on(request)))
}

/// The same head without its extensions, which belong to one connection.
fn copy_of(parts: &Parts) -> Parts {
    let (mut copy, ()) = axum::http::Request::new(()).into_parts();
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.headers = parts.headers.clone();
    copy
}

/// Refuses a body that says it is too large, and breaks off one that turns out so. Only packages may come without a
/// length: two ways to say where a body ends are one too many (RFC 9112 section 6.1, request smuggling).
fn bounded(request: Request, bytes_max: usize, destination: Destination) -> Result<Request, Refusal> {
    if request.headers().contains_key(header::TRANSFER_ENCODING) && destination != Destination::Package {
        return Err(Refusal::Length);
    }
    let least = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    if bytes_max < least {
        return Err(Refusal::Large);
    }
    Ok(request.map(|body| if body.is_end_stream() { body } else { Body::new(Bounded::new(body, bytes_max)) }))
}

fn finished(mut response: Response<Body>, tunnel: Option<(OnUpgrade, Picked)>) -> Result<Response<Body>, Refusal> {
    match (response.status() == StatusCode::SWITCHING_PROTOCOLS, tunnel) {
        (true, Some((client, server))) => Ok(tunnel::open(client, response, server)),
        // Nobody asked for it.
        (true, None) => Err(Refusal::Broken),
        (false, _) => {
            headers::outbound(response.headers_mut());
            Ok(response)
        }
    }
}

/// What an error means to the client: a body that we broke off is its own fault.
fn refusal(error: &LinkError) -> Refusal {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(it) = cause {
        // `http_body_util` boxes it, axum boxes that.
        if it.is::<LengthLimitError>() {
            return Refusal::Large;
        }
        if it.is::<Stalled>() {
            return Refusal::Stalled;
        }
        cause = it.source();
    }
    Refusal::of(error)
}

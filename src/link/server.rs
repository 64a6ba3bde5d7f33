//! Serves an HTTP router on whatever streams come in, after TLS, with deadlines and caps on who stands in the doorway.

use std::{
    convert::Infallible,
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, http::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{ServiceExt, util::Oneshot};

use crate::{
    link::{
        Accepted, Admission, BoxStream, Credentials, Identity, Listen, Peer, Stream, Ticket,
        watched::{Watch, Watched},
    },
    streams::ReadAhead,
};

/// With whom TLS is spoken.
#[derive(Clone)]
pub enum Acceptor {
    /// Components; each shows a certificate or is a stranger.
    Components(Credentials),
    /// Clients from outside, who show none. Replaceable while it serves.
    Clients(Arc<ArcSwap<ServerConfig>>),
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Components(_) => "Components",
            Self::Clients(_) => "Clients",
        })
    }
}

/// Deadlines and caps of a server.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// For TLS, default 5 s.
    pub handshake_timeout: Duration,
    /// For each request's head, and so for an idle connection too; default 5 s.
    pub head_timeout: Duration,
    /// Bytes of a request's head, default 32 KiB.
    pub head_bytes_max: usize,
    /// Connections in all, default 4,096.
    pub connections_max: usize,
    /// Connections before their first request's head, default 256 in total and 32 from one source.
    pub half_open: Admission,
    /// How long requests and upgraded connections may go on after shutdown was asked for; default 5 s.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(5),
            head_bytes_max: 32 * 1024,
            connections_max: 4_096,
            half_open: Admission::new(256, 32),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves components until `shutdown`, and then what is still open for at most the default time.
pub async fn serve(listener: impl Listen, credentials: Credentials, router: Router, shutdown: CancellationToken) {
    serve_with(listener, Acceptor::Components(credentials), router, ServeOptions::default(), shutdown).await;
}

/// Serves until `shutdown`, then takes no more connections, lets requests and upgraded connections go on for
/// `options.drain`, cuts them, and returns when none is left.
pub async fn serve_with(
    mut listener: impl Listen,
    acceptor: Acceptor,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let drain = options.drain;
    let server = Arc::new(Server { acceptor, router, options, shutdown: shutdown.clone() });
    let open = TaskTracker::new();
    let cut = CancellationToken::new();
    while let Some(accepted) = next(&mut listener, &shutdown).await {
        // Both are checked before a task exists, so that a flood costs a closed socket each and nothing else.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let Some(ticket) = server.options.half_open.admit(accepted.address.map(|it| it.ip())) else { continue };
        let watch = Watch::new(open.token(), cut.clone(), place);
        tokio::spawn(Arc::clone(&server).connection(accepted, ticket, watch));
    }
    drop(listener);
    open.close();
    if timeout(drain, open.wait()).await.is_err() {
        cut.cancel();
        open.wait().await;
    }
}

/// The next connection; none after shutdown.
async fn next(listener: &mut impl Listen, shutdown: &CancellationToken) -> Option<Accepted> {
    loop {
        let accepted = shutdown.run_until_cancelled(listener.accept()).await?;
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => (),
            // Out of descriptors: not healed by haste.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                shutdown.run_until_cancelled(sleep(Duration::from_millis(50))).await?;
            }
        }
    }
}

struct Server {
    acceptor: Acceptor,
    router: Router,
    options: ServeOptions,
    shutdown: CancellationToken,
}

impl Server {
    async fn connection(self: Arc<Self>, accepted: Accepted, ticket: Ticket, watch: Watch) {
        let address = accepted.address;
        let stream = Watched::new(ReadAhead::new(accepted.stream), watch);
        let handshake = timeout(self.options.handshake_timeout, self.acceptor.accept(stream));
        match self.shutdown.run_until_cancelled(handshake).await {
            Some(Ok(Ok((stream, identity)))) => self.speak(stream, Peer { identity, address }, ticket).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, ?address, "no TLS"),
            Some(Err(_)) => tracing::debug!(?address, "TLS took too long"),
            None => (),
        }
    }

    /// HTTP on one connection. A place in the doorway is held until the first head is read.
    async fn speak(&self, stream: BoxStream, peer: Peer, ticket: Ticket) {
        let service = Handler { router: self.router.clone(), peer: peer.clone(), ticket: Mutex::new(Some(ticket)) };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.options.head_timeout)
            .max_buf_size(self.options.head_bytes_max)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, ?peer, "a connection ended");
        }
    }
}

/// Answers the requests of one connection.
struct Handler {
    router: Router,
    peer: Peer,
    ticket: Mutex<Option<Ticket>>,
}

impl Service<Request<Incoming>> for Handler {
    type Response = Response;
    type Error = Infallible;
    type Future = Oneshot<Router, Request<Body>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if let Ok(mut held) = self.ticket.lock() {
            drop(held.take());
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        self.router.clone().oneshot(request)
    }
}

impl Acceptor {
    async fn accept(&self, stream: impl Stream + 'static) -> io::Result<(BoxStream, Option<Identity>)> {
        match self {
            Self::Components(credentials) => {
                let config = credentials.server().ok_or_else(|| io::Error::other("no certificate yet"))?;
                let stream = TlsAcceptor::from(config).accept(stream).await?;
                let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                // The verifier has looked at the same bytes; were they none now, the connection must not go on.
                let identity = leaf.map(|it| Identity::from_certificate(it)).transpose().map_err(io::Error::other)?;
                Ok((Box::new(stream), identity))
            }
            Self::Clients(config) => {
                let stream = TlsAcceptor::from(config.load_full()).accept(stream).await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

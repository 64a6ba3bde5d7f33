//! The router: the only door that clients see.
//!
//! It speaks TLS with clients and a [`crate::link`] with the roles behind it, and understands as little as it can: where
//! a path leads, which headers are for the next hop only, how large a body may be. What goes on inside a tunnel it
//! copies and never reads. It holds no key but its own and takes no decision about who may do what.

mod body;
mod forward;
mod headers;
mod path;
mod pool;
mod refusal;
mod tls;
mod tunnel;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

pub use self::tls::{TlsError, server_config};
use self::{forward::Door, pool::Pool};
use crate::{
    config,
    link::{Acceptor, Admission, Client, Listen, ServeOptions, serve_with},
};

/// Serves clients until `shutdown`, and then the sessions that are open for at most `config.drain_ms`.
///
/// `api` are the API servers, `auth` is the auth role; `tls` (from [`server_config`]) may be replaced while it runs.
pub async fn run(
    config: &config::Router,
    api: Vec<Client>,
    auth: Client,
    listener: impl Listen,
    tls: Arc<ArcSwap<ServerConfig>>,
    shutdown: CancellationToken,
) {
    let options = ServeOptions {
        handshake_timeout: Duration::from_millis(config.handshake_ms),
        head_timeout: Duration::from_millis(config.head_ms),
        connections_max: config.connections_max,
        half_open: Admission::new(config.half_open_max, config.half_open_source_max),
        drain: Duration::from_millis(config.drain_ms),
        ..ServeOptions::default()
    };
    let pool = Pool::new(api);
    let checks = pool.check(Duration::from_millis(config.check_ms));
    let door = Arc::new(Door::new(config, pool, auth));
    let serving = serve_with(listener, Acceptor::Clients(tls), forward::routes(door), options, shutdown);
    tokio::select! {
        () = serving => (),
        // Checks go on for as long as anybody is served.
        () = checks => (),
    }
}

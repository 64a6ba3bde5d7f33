//! The API servers: which of them answer, and which has least to do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use futures_util::future::join_all;
use tokio::{sync::Notify, time::timeout};

use crate::link::Client;

/// For the answer to a health check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// The servers. Clones are the same pool.
#[derive(Debug, Clone)]
pub(in crate::router) struct Pool(Arc<Vec<Arc<Server>>>);

#[derive(Debug)]
struct Server {
    client: Client,
    /// Taken for granted until the first check.
    healthy: AtomicBool,
    /// Requests without an answer yet, and tunnels.
    busy: AtomicUsize,
    /// A call failed: check now.
    doubted: Notify,
}

/// A server that was picked; it counts as busy until this drops.
#[derive(Debug)]
pub(in crate::router) struct Picked(Arc<Server>);

impl Pool {
    pub(in crate::router) fn new(clients: Vec<Client>) -> Self {
        let server = |client| {
            let (healthy, busy) = (AtomicBool::new(true), AtomicUsize::new(0));
            Arc::new(Server { client, healthy, busy, doubted: Notify::new() })
        };
        Self(Arc::new(clients.into_iter().map(server).collect()))
    }

    /// How many there are, healthy or not.
    pub(in crate::router) fn len(&self) -> usize {
        self.0.len()
    }

    /// The healthy server with least to do, if one is left.
    pub(in crate::router) fn pick(&self) -> Option<Picked> {
        let healthy = self.0.iter().filter(|it| it.healthy.load(Ordering::Acquire));
        let server = healthy.min_by_key(|it| it.busy.load(Ordering::Acquire))?;
        server.busy.fetch_add(1, Ordering::AcqRel);
        Some(Picked(Arc::clone(server)))
    }

    /// Checks all servers for as long as it is polled: each in turns of `interval`, and at once when a call failed.
    pub(in crate::router) fn check(&self, interval: Duration) -> impl Future<Output = ()> + use<> {
        let servers = Arc::clone(&self.0);
        async move {
            let checks = servers.iter().map(|server| async {
                loop {
                    let healthy = server.answers().await;
                    if server.healthy.swap(healthy, Ordering::AcqRel) != healthy {
                        tracing::warn!(server = ?server.client, healthy, "an API server has changed");
                    }
                    // Either it is time, or somebody doubts it; a doubted server is not asked more often than needed.
                    drop(timeout(interval, server.doubted.notified()).await);
                }
            });
            join_all::<_>(checks).await;
            // Without servers there is nothing to check.
            std::future::pending::<()>().await;
        }
    }
}

impl Server {
    async fn answers(&self) -> bool {
        let Ok(request) = Request::get("/readyz").body(Body::empty()) else { return false };
        let answer = timeout(CHECK_TIMEOUT, self.client.request(request)).await;
        matches!(answer, Ok(Ok(response)) if response.status().is_success())
    }
}

impl Picked {
    pub(in crate::router) fn client(&self) -> &Client {
        &self.0.client
    }

    /// It could not be reached: nobody is sent there until it answers a check.
    pub(in crate::router) fn doubt(&self) {
        self.0.healthy.store(false, Ordering::Release);
        self.0.doubted.notify_one();
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

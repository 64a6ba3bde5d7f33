//! Copies bytes between client and server once both have agreed on a WebSocket.

use axum::{body::Body, http::Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional_with_sizes;

use crate::router::{headers, pool::Picked};

/// Bytes under way in each direction. An idle session is most of them.
const BUFFER_BYTES: usize = 16 * 1024;

/// Passes the server's 101 on, and from then on every byte both ways.
///
/// Each direction ends by itself, so that a half-close is one on the other side too; both end when either side breaks.
/// The server's connection is the tunnel's own and is never used again.
pub(in crate::router) fn open(client: OnUpgrade, mut response: Response<Body>, server: Picked) -> Response<Body> {
    let upstream = hyper::upgrade::on(&mut response);
    headers::outbound(response.headers_mut());
    headers::upgrading(response.headers_mut());
    tokio::spawn(async move {
        if let Err(error) = copy(client, upstream).await {
            tracing::debug!(%error, "a tunnel ended");
        }
        drop(server);
    });
    response.map(|_| Body::empty())
}

async fn copy(client: OnUpgrade, upstream: OnUpgrade) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (client, upstream) = tokio::try_join!(client, upstream)?;
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_BYTES, BUFFER_BYTES).await?;
    Ok(())
}

//! Copies bytes between client and server once both have agreed on a WebSocket.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll},
};

use axum::{body::Body, http::Response};
use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use crate::router::{headers, pool::Picked};

/// Bytes under way in each direction.
const BUFFER_BYTES: usize = 64 * 1024;

/// As much is kept ready for what comes first; most of it is a keystroke.
const KEYS_BYTES: usize = 4 * 1024;

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
    let (from_client, to_client) = split(TokioIo::new(client));
    let (from_upstream, to_upstream) = split(TokioIo::new(upstream));
    tokio::try_join!(copy_all(from_client, to_upstream), copy_all(from_upstream, to_client))?;
    Ok(())
}

/// Copies until the end, and passes that on.
async fn copy_all(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let (bytes, end) = poll_fn(|context| poll_available(&mut from, context)).await;
        to.write_all(&bytes).await?;
        to.flush().await?;
        if let Some(end) = end {
            end?;
            return to.shutdown().await;
        }
    }
}

/// All that is there, up to [`BUFFER_BYTES`], and what has ended it, if something has. Memory is taken only while there are
/// bytes: most sessions are idle.
fn poll_available(
    from: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
) -> Poll<(BytesMut, Option<io::Result<()>>)> {
    let mut bytes = BytesMut::with_capacity(KEYS_BYTES);
    while bytes.len() < BUFFER_BYTES {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(BUFFER_BYTES.saturating_sub(bytes.len()));
        }
        match pin!(from.read_buf(&mut bytes)).poll(context) {
            Poll::Ready(Ok(0)) => return Poll::Ready((bytes, Some(Ok(())))),
            Poll::Ready(Ok(_)) => (),
            Poll::Ready(Err(error)) => return Poll::Ready((bytes, Some(Err(error)))),
            Poll::Pending if bytes.is_empty() => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready((bytes, None))
}

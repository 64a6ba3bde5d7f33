//! The byte stream beneath an SSH connection: bounded before authentication, cut from outside, never stuck in a write.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::streams::ReadAhead;

/// Bytes that a peer may send before it is authenticated: key exchange and certificate are under 8 KiB. As many more may have
/// been read ahead and not looked at.
pub(in crate::ssh) const RECEIVED_BEFORE_AUTHENTICATION_BYTES_MAX: usize = 64 * 1024;

/// Bytes that wait for a peer to read: all windows of all channels of one connection, and some more for requests.
///
/// russh neither reads nor answers while it writes. If both ends filled the socket at once, both would wait for ever;
/// with room here for all that flow control lets through, a write to a peer that keeps to the protocol never waits.
const OUTGOING_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Bytes of an idle connection's buffer that are kept.
const OUTGOING_BYTES_KEPT: usize = 16 * 1024;

/// The hand by which a connection is steered from outside of russh.
#[derive(Debug, Default)]
pub(in crate::ssh) struct Control {
    authenticated: AtomicBool,
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Control {
    /// The peer is authenticated: the bounds that stood until now are lifted.
    pub(in crate::ssh) fn authenticated(&self) {
        self.authenticated.store(true, Ordering::SeqCst);
    }

    /// Ends the connection: the next read or write fails.
    pub(in crate::ssh) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }

    fn is_cut(&self) -> io::Result<()> {
        if self.cut.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// A stream under [`Control`].
pub(in crate::ssh) struct Transport<S> {
    inner: ReadAhead<S>,
    control: Arc<Control>,
    /// Counts only before authentication.
    received: usize,
    deadline: Pin<Box<Sleep>>,
    outgoing: Vec<u8>,
    /// Bytes at the front of `outgoing` that are written already.
    written: usize,
}

impl<S> fmt::Debug for Transport<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transport").field("received", &self.received).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// A stream whose peer has to be authenticated within `grace`.
    pub(in crate::ssh) fn new(inner: S, grace: Duration) -> (Transport<S>, Arc<Control>) {
        let control = Arc::new(Control::default());
        let transport = Transport {
            inner: ReadAhead::new(inner),
            control: Arc::clone(&control),
            received: 0,
            deadline: Box::pin(sleep_until(Instant::now() + grace)),
            outgoing: Vec::new(),
            written: 0,
        };
        (transport, control)
    }

    /// Refuses what an unauthenticated peer may not do: take long, or send much.
    fn poll_bounds(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.control.is_cut()?;
        if self.control.authenticated.load(Ordering::SeqCst) {
            return Ok(());
        }
        if RECEIVED_BEFORE_AUTHENTICATION_BYTES_MAX < self.received {
            return Err(io::Error::other("too many bytes before authentication"));
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Writes what waits; `Ready` when nothing does.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(waiting) = self.outgoing.get(self.written..).filter(|it| !it.is_empty()) {
            match Pin::new(&mut self.inner).poll_write(context, waiting) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written = self.written.saturating_add(count),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.outgoing.clear();
        self.outgoing.shrink_to(OUTGOING_BYTES_KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Bytes that still fit.
    fn room(&self) -> usize {
        OUTGOING_BYTES_MAX.saturating_sub(self.outgoing.len().saturating_sub(self.written))
    }

    /// Adds what fits, moving what waits to the front when half of the buffer is behind it.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.outgoing.len() / 2 < self.written {
            self.outgoing.drain(..self.written);
            self.written = 0;
        }
        let count = bytes.len().min(self.room());
        self.outgoing.extend_from_slice(bytes.get(..count).unwrap_or_default());
        count
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.control.reader.register(context.waker());
        this.poll_bounds(context)?;
        // What `poll_flush` left goes out whenever the connection waits for something to read, which it always does.
        if let Poll::Ready(result) = this.poll_drain(context) {
            result?;
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                this.received = this.received.saturating_add(buffer.filled().len().saturating_sub(before));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.control.writer.register(context.waker());
        this.poll_bounds(context)?;
        if (this.outgoing.is_empty() || this.room() == 0)
            && let Poll::Ready(result) = this.poll_drain(context)
        {
            result?;
            // What the socket takes at once need not wait here.
            if let Poll::Ready(result) = Pin::new(&mut this.inner).poll_write(context, bytes) {
                return Poll::Ready(result);
            }
        }
        if this.room() == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Ok(this.take(bytes)))
    }

    /// Hands on what the socket takes now; the rest follows from `poll_read`. See [`OUTGOING_BYTES_MAX`].
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.poll_drain(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.control.writer.register(context.waker());
        this.control.is_cut()?;
        match this.poll_drain(context)? {
            Poll::Ready(()) => Pin::new(&mut this.inner).poll_shutdown(context),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_cut_at_the_deadline() {
        let (near, _far) = duplex(64);
        let (mut transport, _control) = Transport::new(near, Duration::from_secs(10));
        let began = Instant::now();
        let error = transport.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_authenticated_peer_may_take_its_time() {
        let (near, mut far) = duplex(64);
        let (mut transport, control) = Transport::new(near, Duration::from_secs(10));
        control.authenticated();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            far.write_u8(7).await.unwrap();
            far
        });
        assert_eq!(transport.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn an_unauthenticated_peer_sends_no_more_than_the_bound() {
        let (near, mut far) = duplex(1024 * 1024);
        let (mut transport, _control) = Transport::new(near, Duration::from_secs(10));
        far.write_all(&vec![0; 1024 * 1024]).await.unwrap();
        let mut read = 0;
        let mut buffer = vec![0; 4096];
        let error = loop {
            match transport.read(&mut buffer).await {
                Ok(count) => read += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "too many bytes before authentication");
        assert!(read <= RECEIVED_BEFORE_AUTHENTICATION_BYTES_MAX + buffer.len());
    }

    #[tokio::test]
    async fn a_write_does_not_wait_for_a_peer_that_writes_itself() {
        let (near, mut far) = duplex(16);
        let (mut transport, control) = Transport::new(near, Duration::from_secs(10));
        control.authenticated();
        let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).take(2_000_000).collect();
        transport.write_all(&sent).await.unwrap();
        transport.flush().await.unwrap();
        let expected = sent.clone();
        let reader = tokio::spawn(async move {
            let mut received = vec![0; expected.len()];
            far.read_exact(&mut received).await.unwrap();
            far.write_u8(1).await.unwrap();
            assert!(received == expected);
        });
        // Reading drives what the flush left.
        assert_eq!(transport.read_u8().await.unwrap(), 1);
        reader.await.unwrap();
    }

    #[tokio::test]
    async fn cutting_wakes_a_reader() {
        let (near, _far) = duplex(16);
        let (mut transport, control) = Transport::new(near, Duration::from_secs(10));
        let reader = tokio::spawn(async move { transport.read_u8().await.unwrap_err().kind() });
        tokio::task::yield_now().await;
        control.cut();
        assert_eq!(reader.await.unwrap(), io::ErrorKind::ConnectionAborted);
    }
}

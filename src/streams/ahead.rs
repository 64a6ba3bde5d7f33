//! Reading ahead: many small reads cost one large read of the stream beneath.
//!
//! TLS and SSH read a header, then what it announces, a few KiB at a time. On a socket each of these is a system call.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// Bytes asked for at once where many come.
const AHEAD_BYTES: usize = 64 * 1024;

/// Bytes asked for at once where few come, as keystrokes do: asking for memory is much of what these cost.
const FEW_BYTES: usize = 4 * 1024;

/// A stream that is read ahead of who reads it. It holds no memory while there is nothing to be read.
#[derive(Debug)]
pub(crate) struct ReadAhead<S> {
    inner: S,
    /// Read and not asked for yet.
    ahead: BytesMut,
    /// How much is asked for next: by what came last.
    asked: usize,
}

impl<S> ReadAhead<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, ahead: BytesMut::new(), asked: FEW_BYTES }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { inner, ahead, asked } = &mut *self;
        if ahead.is_empty() {
            if AHEAD_BYTES <= buffer.remaining() {
                return Pin::new(inner).poll_read(context, buffer);
            }
            ahead.reserve(*asked);
            let read = pin!(inner.read_buf(ahead)).poll(context);
            if ahead.is_empty() {
                *ahead = BytesMut::new();
            }
            let count = ready!(read)?;
            *asked = if count < FEW_BYTES { FEW_BYTES } else { AHEAD_BYTES };
        }
        let count = ahead.len().min(buffer.remaining());
        buffer.put_slice(ahead.get(..count).unwrap_or_default());
        ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_read_in_pieces_is_what_was_sent_and_then_the_end() {
        let (near, mut far) = duplex(300_000);
        let mut near = ReadAhead::new(near);
        let sent: Vec<u8> = (0..200_000_u32).map(|it| it.to_le_bytes()[0]).collect();
        far.write_all(&sent).await.unwrap();
        drop(far);
        let mut received = Vec::new();
        for size in [1, 4, 5, 32_000, 64 * 1024, 100_000, 7].into_iter().cycle() {
            let mut piece = vec![0; size];
            let count = near.read(&mut piece).await.unwrap();
            assert!(near.ahead.len() <= AHEAD_BYTES);
            if count == 0 {
                break;
            }
            received.extend_from_slice(&piece[..count]);
        }
        assert!(received == sent);
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn nothing_is_held_while_it_waits() {
        let (near, mut far) = duplex(64);
        let mut near = ReadAhead::new(near);
        far.write_all(b"ab").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'a');
        assert_eq!(near.read_u8().await.unwrap(), b'b');
        let waiting = futures_util::poll!(pin!(near.read_u8()));
        assert!(waiting.is_pending());
        assert_eq!(near.ahead.capacity(), 0);
    }
}

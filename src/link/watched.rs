//! A stream that its server knows of for as long as it lives, whoever holds it, and can cut.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};

use crate::{link::BoxStream, streams::ReadAhead};

/// What a server knows of one connection.
#[derive(Debug)]
pub(in crate::link) struct Watch {
    /// Counts the connection until it drops, after an upgrade too.
    _open: TaskTrackerToken,
    _place: OwnedSemaphorePermit,
    cut: CancellationToken,
}

impl Watch {
    pub(in crate::link) fn new(open: TaskTrackerToken, cut: CancellationToken, place: OwnedSemaphorePermit) -> Self {
        Self { _open: open, _place: place, cut }
    }
}

/// The stream. Reads and writes fail when it is cut.
pub(in crate::link) struct Watched {
    stream: ReadAhead<BoxStream>,
    /// One for each direction: after a split, two tasks wait.
    cut_reads: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_writes: Pin<Box<WaitForCancellationFutureOwned>>,
    _watch: Watch,
}

impl Watched {
    pub(in crate::link) fn new(stream: ReadAhead<BoxStream>, watch: Watch) -> Self {
        let cut_reads = Box::pin(watch.cut.clone().cancelled_owned());
        let cut_writes = Box::pin(watch.cut.clone().cancelled_owned());
        Self { stream, cut_reads, cut_writes, _watch: watch }
    }

    fn poll_write_with<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut ReadAhead<BoxStream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.cut_writes.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        write(Pin::new(&mut self.stream), context)
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_reads.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with(context, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |stream, context| stream.poll_write_vectored(context, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

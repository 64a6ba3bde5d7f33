//! The client's WebSocket: frames that come, and messages that go.

use std::{future::poll_fn, time::Duration};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::time::timeout;

use crate::{
    limits::FRAME_BYTES_MAX,
    session::{
        core::Event,
        frame::{Frame, FrameError},
    },
};

/// The subprotocol that is served.
pub(crate) const PROTOCOL: &str = "apc.terminal.v1";

/// An idle session's memory is mostly this; the default is 128 KiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Messages are written at once.
const WRITE_BUFFER_BYTES: usize = 0;

/// Two messages and their headers: one that is being written, and a pong.
const WRITE_BUFFER_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX + 1024;

/// For the last messages, once there is nothing more to say.
const FLUSH: Duration = Duration::from_secs(5);

/// Small buffers, bounded messages; there is no compression in this implementation.
pub(crate) fn configure<F>(upgrade: WebSocketUpgrade<F>) -> WebSocketUpgrade<F> {
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
}

/// The socket of one client, in its two halves: each may be waited for while the other is.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
}

/// What the client says.
#[derive(Debug)]
pub(crate) struct Incoming(SplitStream<WebSocket>);

/// What the client is told.
#[derive(Debug)]
pub(crate) struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    is_flushed: bool,
}

impl Socket {
    pub(crate) fn new(socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        Self { incoming: Incoming(stream), outgoing: Outgoing { sink, is_flushed: true } }
    }

    /// Sends what was not sent yet, and says that nothing follows.
    pub(crate) async fn finish(mut self) {
        drop(timeout(FLUSH, self.outgoing.sink.close()).await);
    }
}

impl Incoming {
    /// `Frame`, `Malformed`, and at last `Gone`. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Binary(message))) => match Frame::decode(&message) {
                    Ok(Some(frame)) => Event::Frame(frame),
                    Ok(None) => continue,
                    Err(error) => Event::Malformed(error),
                },
                Some(Ok(Message::Text(_))) => Event::Malformed(FrameError::NotBinary),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                // A message over the bound is an error here, before it is read.
                Some(Ok(Message::Close(_)) | Err(_)) | None => Event::Gone,
            };
        }
    }
}

impl Outgoing {
    /// Whether something is still on its way to the client.
    pub(crate) fn is_busy(&self) -> bool {
        !self.is_flushed
    }

    /// Takes the message once there is room for it; without one, waits until what was taken is sent. May be dropped while it
    /// waits.
    pub(crate) async fn advance(&mut self, message: &mut Option<Vec<u8>>) -> Result<(), axum::Error> {
        if message.is_none() {
            self.sink.flush().await?;
            self.is_flushed = true;
            return Ok(());
        }
        poll_fn(|context| self.sink.poll_ready_unpin(context)).await?;
        if let Some(message) = message.take() {
            self.is_flushed = false;
            self.sink.start_send_unpin(Message::Binary(message.into()))?;
        }
        Ok(())
    }
}

//! The client's WebSocket as a channel of frames and one of messages.

use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    api::tunnel::relay::Ends,
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

/// Frames between socket and core; more would only be memory.
const FRAMES: usize = 2;

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

/// The tasks of one socket. Dropping it ends them at once.
#[derive(Debug)]
pub(crate) struct Socket {
    _reader: AbortOnDropHandle<()>,
    writer: AbortOnDropHandle<()>,
}

impl Socket {
    /// Starts reading and writing.
    pub(crate) fn start(socket: WebSocket) -> (Self, Ends) {
        let (sink, stream) = socket.split();
        let (to_core, incoming) = mpsc::channel(FRAMES);
        let (outgoing, from_core) = mpsc::channel(1);
        let reader = AbortOnDropHandle::new(tokio::spawn(read(stream, to_core)));
        let writer = AbortOnDropHandle::new(tokio::spawn(write(sink, from_core)));
        (Self { _reader: reader, writer }, Ends { incoming, outgoing })
    }

    /// Lets the writer finish, when its channel was dropped.
    pub(crate) async fn finish(self) {
        drop(timeout(FLUSH, self.writer).await);
    }
}

async fn read(mut stream: SplitStream<WebSocket>, to_core: mpsc::Sender<Event>) {
    loop {
        let event = match stream.next().await {
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
        let is_last = event == Event::Gone;
        if to_core.send(event).await.is_err() || is_last {
            return;
        }
    }
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut from_core: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = from_core.recv().await {
        if sink.send(Message::Binary(message.into())).await.is_err() {
            return;
        }
    }
    drop(sink.close().await);
}

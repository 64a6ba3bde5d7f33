//! The shim's end of the socket that a manager speaks to.

use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::codec::{Framed, LinesCodec};
use uuid::Uuid;

use crate::{
    im::ImError,
    wire::{
        job::InstanceState,
        shim::{FromShim, SHIM_LINE_BYTES_MAX, SHIM_PROTOCOL, ShimStatus, ToShim},
    },
};

/// Lines of JSON on a socket.
pub(crate) type Lines = Framed<UnixStream, LinesCodec>;

/// Frames a socket.
pub(crate) fn lines(stream: UnixStream) -> Lines {
    Framed::new(stream, LinesCodec::new_with_max_length(SHIM_LINE_BYTES_MAX))
}

/// Sends one message.
pub(crate) async fn say(lines: &mut Lines, message: &impl Serialize) -> Result<(), ImError> {
    let text = serde_json::to_string(message).map_err(|error| ImError::Protocol(error.to_string()))?;
    lines.send(text).await.map_err(|error| ImError::Protocol(error.to_string()))
}

/// The next message; `None` at the end.
pub(crate) async fn hear<T: serde::de::DeserializeOwned>(lines: &mut Lines) -> Result<Option<T>, ImError> {
    let Some(line) = lines.next().await else { return Ok(None) };
    let line = line.map_err(|error| ImError::Protocol(error.to_string()))?;
    serde_json::from_str(&line).map(Some).map_err(|error| ImError::Protocol(error.to_string()))
}

/// Serves one manager at a time, the latest, until the status is `Removed` and has been told.
pub async fn serve(
    listener: UnixListener,
    instance: Uuid,
    status: watch::Receiver<ShimStatus>,
    commands: mpsc::Sender<ToShim>,
) {
    let mut end = status.clone();
    let mut connection = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connection.abort_all();
                connection.spawn(converse(stream, instance, status.clone(), commands.clone()));
            }
            over = end.wait_for(|it| it.state == InstanceState::Removed) => {
                drop(over);
                break;
            }
        }
    }
    while connection.join_next().await.is_some() {}
}

async fn converse(
    stream: UnixStream,
    instance: Uuid,
    mut status: watch::Receiver<ShimStatus>,
    commands: mpsc::Sender<ToShim>,
) -> Result<(), ImError> {
    let mut lines = lines(stream);
    let process = rustix::process::getpid().as_raw_nonzero().get();
    say(&mut lines, &FromShim::Hello { protocol: SHIM_PROTOCOL, instance, process }).await?;
    match hear(&mut lines).await? {
        Some(ToShim::Hello { protocol: SHIM_PROTOCOL }) => {}
        _ => return Err(ImError::Protocol("the manager speaks another version".to_owned())),
    }
    loop {
        let now = status.borrow_and_update().clone();
        let over = now.state == InstanceState::Removed;
        say(&mut lines, &FromShim::Status(now)).await?;
        if over {
            return Ok(());
        }
        loop {
            tokio::select! {
                changed = status.changed() => {
                    changed.map_err(|error| ImError::Protocol(error.to_string()))?;
                    break;
                }
                command = hear(&mut lines) => {
                    let Some(command) = command? else { return Ok(()) };
                    commands.send(command).await.map_err(|error| ImError::Protocol(error.to_string()))?;
                }
            }
        }
    }
}

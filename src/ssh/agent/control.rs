//! The socket between agent and shim: JSON packets, with pidfds beside them.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    io::{FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, sendmsg},
};
use thiserror::Error;
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::timeout,
};

use crate::{
    streams::poll,
    wire::agent::{AGENT_PACKET_BYTES_MAX, FromAgent, ToAgent},
};

/// For the shim to place a process.
const ENTER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a process may not go on.
#[derive(Debug, Error)]
pub(in crate::ssh) enum EnterError {
    #[error("the session could not be given a place of its own: {0}")]
    Refused(String),
    #[error("the session was given no place of its own in time")]
    TimedOut,
    #[error("the instance is being stopped")]
    Closed,
}

/// The agent's end of the socket.
#[derive(Debug)]
pub(in crate::ssh) struct Control {
    socket: AsyncFd<OwnedFd>,
    waiting: Mutex<Waiting>,
}

/// Requests without an answer.
#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    answers: BTreeMap<u64, oneshot::Sender<Option<String>>>,
    closed: bool,
}

impl Control {
    /// Takes the socket over; it is not inherited by what the agent starts.
    pub(in crate::ssh) fn new(socket: OwnedFd) -> io::Result<Control> {
        fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&socket, true)?;
        Ok(Control { socket: poll(socket, Interest::READABLE | Interest::WRITABLE)?, waiting: Mutex::default() })
    }

    /// The next message; none when the shim has closed its end. May be dropped while it waits.
    pub(in crate::ssh) async fn receive(&self) -> io::Result<Option<ToAgent>> {
        let mut packet = vec![0; AGENT_PACKET_BYTES_MAX];
        let receive = |socket: &OwnedFd| Ok(recv(socket, packet.as_mut_slice(), RecvFlags::TRUNC)?);
        let (_, length) = self.socket.async_io(Interest::READABLE, receive).await?;
        if length == 0 {
            return Ok(None);
        }
        // A packet that was cut is longer than the buffer, and so has no such part.
        let packet = packet.get(..length).ok_or(io::ErrorKind::InvalidData)?;
        serde_json::from_slice(packet).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Sends a message, with a descriptor beside it if there is one.
    pub(in crate::ssh) async fn send(&self, message: &FromAgent, beside: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let packet = serde_json::to_vec(message)?;
        let descriptors: Vec<BorrowedFd<'_>> = beside.into_iter().collect();
        let send = |socket: &OwnedFd| {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            let flags = SendFlags::NOSIGNAL;
            Ok(sendmsg(socket.as_fd(), &[IoSlice::new(&packet)], &mut ancillary, flags)?)
        };
        self.socket.async_io(Interest::WRITABLE, send).await.map(|_| ())
    }

    /// Asks the shim to place a process into the session's cgroup, and waits until it has.
    pub(in crate::ssh) async fn enter(&self, session: &str, process: BorrowedFd<'_>) -> Result<(), EnterError> {
        let (request, answer) = self.expect().ok_or(EnterError::Closed)?;
        let message = FromAgent::Enter { request, session: session.to_owned() };
        let asking = async {
            self.send(&message, Some(process)).await.map_err(|_| EnterError::Closed)?;
            match answer.await {
                Ok(None) => Ok(()),
                Ok(Some(error)) => Err(EnterError::Refused(error)),
                Err(_) => Err(EnterError::Closed),
            }
        };
        let res = timeout(ENTER_TIMEOUT, asking).await.unwrap_or(Err(EnterError::TimedOut));
        self.waiting().answers.remove(&request);
        res
    }

    /// The shim has answered; an answer that nobody waits for any more is none.
    pub(in crate::ssh) fn entered(&self, request: u64, error: Option<String>) {
        if let Some(answer) = self.waiting().answers.remove(&request) {
            let _gone = answer.send(error);
        }
    }

    /// No more answers come: whoever waits is told so, and so is whoever comes later.
    pub(in crate::ssh) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.answers.clear();
    }

    fn expect(&self) -> Option<(u64, oneshot::Receiver<Option<String>>)> {
        let mut waiting = self.waiting();
        if waiting.closed {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiting.last = waiting.last.checked_add(1)?;
        let request = waiting.last;
        waiting.answers.insert(request, sender);
        Some((request, receiver))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

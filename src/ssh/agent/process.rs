//! Starting a session's process: held before its program runs, until the shim has placed it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::Stdio,
};

use rustix::{
    buffer::spare_capacity,
    io::{Errno, FdFlags, fcntl_setfd, read},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal},
    termios::tcgetpgrp,
};
use tokio::{
    io::{AsyncWriteExt, Interest, unix::AsyncFd},
    net::unix::pipe,
    process::{Child, Command},
};

use crate::{
    limits::PIECE_BYTES,
    ssh::agent::{
        enter::Plan,
        outlet::Exit,
        reaper::{Awaited, Children},
        signal,
        terminal::{self, Size, Terminal},
    },
    streams::poll,
};

/// Bytes of one read.
const READ_BYTES: usize = 2 * PIECE_BYTES;

/// Bytes that a pipe holds, where the kernel lets us choose: several reads, so that who writes and who reads need not take
/// turns.
const PIPE_BYTES: usize = 256 * 1024;

/// Bytes that a process writes.
#[derive(Debug)]
pub(in crate::ssh) struct Output(AsyncFd<OwnedFd>);

impl Output {
    fn new(descriptor: OwnedFd) -> io::Result<Output> {
        poll(descriptor, Interest::READABLE).map(Output)
    }

    /// The next bytes; none at the end. May be dropped while it waits.
    pub(in crate::ssh) async fn read(&self) -> Option<Vec<u8>> {
        self.0.async_io(Interest::READABLE, |it| Ok(read_once(it)?)).await.ok().filter(|it| !it.is_empty())
    }

    /// Bytes that are there already.
    ///
    /// The system call is made whatever the poller knows: after the last writer's death this is all there will ever be.
    pub(in crate::ssh) fn read_now(&self) -> Option<Vec<u8>> {
        loop {
            match read_once(self.0.get_ref()) {
                Err(Errno::INTR) => (),
                // A terminal ends with EIO.
                Err(_) => return None,
                Ok(bytes) => return Some(bytes).filter(|it| !it.is_empty()),
            }
        }
    }
}

fn read_once(descriptor: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    read(descriptor, spare_capacity(&mut bytes))?;
    // Single keystrokes may wait for long.
    if bytes.len() < READ_BYTES / 2 {
        bytes.shrink_to_fit();
    }
    Ok(bytes)
}

/// Where a process reads from.
#[derive(Debug)]
pub(in crate::ssh) enum Input {
    Pipe(pipe::Sender),
    Terminal(AsyncFd<OwnedFd>),
    /// The process has closed it, or was told that there is no more.
    Closed,
}

impl Input {
    /// Writes what fits, waiting until something does; when nobody reads, everything counts as written.
    pub(in crate::ssh) async fn write_some(&mut self, bytes: &[u8]) -> usize {
        let written = match self {
            Input::Pipe(pipe) => pipe.write(bytes).await,
            Input::Terminal(master) => write_some(master, bytes).await,
            Input::Closed => return bytes.len(),
        };
        written.unwrap_or_else(|_| {
            *self = Input::Closed;
            bytes.len()
        })
    }

    /// No more input. A terminal stays open, for sizes and signals; what is still to be written is what a person would type.
    pub(in crate::ssh) fn end(&mut self) -> Vec<u8> {
        match self {
            Input::Terminal(master) => terminal::end_of_file(master.get_ref()),
            Input::Pipe(_) | Input::Closed => {
                *self = Input::Closed;
                Vec::new()
            }
        }
    }
}

async fn write_some(master: &AsyncFd<OwnedFd>, bytes: &[u8]) -> io::Result<usize> {
    master.async_io(Interest::WRITABLE, |it| Ok(rustix::io::write(it, bytes)?)).await
}

/// A process that waits before its program.
#[derive(Debug)]
pub(in crate::ssh) struct Held {
    process: Process,
    plan: pipe::Sender,
    /// What it will read and write.
    pub(in crate::ssh) streams: Streams,
}

/// The agent's ends of a process's standard streams.
#[derive(Debug)]
pub(in crate::ssh) struct Streams {
    pub(in crate::ssh) input: Input,
    pub(in crate::ssh) output: Output,
    /// None with a terminal, where both are one.
    pub(in crate::ssh) errors: Option<Output>,
}

/// Starts a process of the helper program that waits for its plan.
pub(in crate::ssh) fn hold(helper: &Path, children: &Children, terminal: Option<Terminal>) -> io::Result<Held> {
    let (waiting, plan) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut command = Command::new(helper);
    command.arg0("apc-agent").arg("enter").arg(number(&waiting)).env_clear().kill_on_drop(true);
    let streams = connect(&mut command, terminal)?;
    // Inherited by this one child: the agent has one thread, and nothing else starts meanwhile.
    fcntl_setfd(&waiting, FdFlags::empty())?;
    let child = command.spawn()?;
    drop(waiting);
    let id = child.id().and_then(|it| i32::try_from(it).ok()).and_then(Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let awaited = children.awaited(id);
    let descriptor = poll(pidfd_open(id, PidfdFlags::empty())?, Interest::READABLE)?;
    let process = Process { child, id, descriptor, awaited };
    Ok(Held { process, plan: pipe::Sender::from_owned_fd(plan)?, streams })
}

fn number(descriptor: &OwnedFd) -> String {
    std::os::fd::AsRawFd::as_raw_fd(descriptor).to_string()
}

fn connect(command: &mut Command, terminal: Option<Terminal>) -> io::Result<Streams> {
    if let Some(Terminal { master, slave, .. }) = terminal {
        command.stdin(Stdio::from(slave.try_clone()?)).stdout(Stdio::from(slave.try_clone()?)).stderr(slave);
        let output = Output::new(master.try_clone()?)?;
        return Ok(Streams { input: Input::Terminal(poll(master, Interest::WRITABLE)?), output, errors: None });
    }
    let (input, to) = roomy_pipe()?;
    let (from, output) = readable()?;
    let (from_errors, errors) = readable()?;
    command.stdin(input).stdout(output).stderr(errors);
    Ok(Streams {
        input: Input::Pipe(pipe::Sender::from_owned_fd(to)?),
        output: Output::new(from)?,
        errors: Some(Output::new(from_errors)?),
    })
}

/// A pipe whose near end does not block; the far end is a program's and must.
fn readable() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = roomy_pipe()?;
    rustix::io::ioctl_fionbio(&near, true)?;
    Ok((near, far))
}

fn roomy_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = pipe_with(PipeFlags::CLOEXEC)?;
    // Who has many pipes may be refused; then it holds what a pipe usually does.
    let _holds_less = fcntl_setpipe_size(&near, PIPE_BYTES);
    Ok((near, far))
}

impl Held {
    /// For the shim, which places the process by it.
    pub(in crate::ssh) fn descriptor(&self) -> BorrowedFd<'_> {
        self.process.descriptor.get_ref().as_fd()
    }

    /// Lets the process become what the plan says. Dropped without, it never runs a program.
    pub(in crate::ssh) async fn release(self, plan: &Plan) -> io::Result<(Process, Streams)> {
        let Held { process, plan: mut pipe, streams } = self;
        pipe.write_all(&serde_json::to_vec(plan)?).await?;
        Ok((process, streams))
    }
}

/// A running process, leader of its own group.
#[derive(Debug)]
pub(in crate::ssh) struct Process {
    child: Child,
    id: Pid,
    descriptor: AsyncFd<OwnedFd>,
    /// Dropped after the child.
    #[expect(dead_code, reason = "held for its drop")]
    awaited: Awaited,
}

impl Process {
    /// Waits until it has ended, without taking note of it: its id stays its own.
    pub(in crate::ssh) async fn ended(&self) {
        // The only errors are those of a poller that is being closed.
        let _closing = self.descriptor.readable().await;
    }

    /// Sends a signal to the foreground of the terminal, else to the whole group.
    pub(in crate::ssh) fn signal(&self, input: &Input, signal: Signal) {
        let foreground = match input {
            Input::Terminal(master) => tcgetpgrp(master.get_ref()).ok(),
            Input::Pipe(_) | Input::Closed => None,
        };
        self.signal_group(foreground.unwrap_or(self.id), signal);
    }

    /// Sends a signal to the whole group.
    pub(in crate::ssh) fn signal_all(&self, signal: Signal) {
        self.signal_group(self.id, signal);
    }

    fn signal_group(&self, group: Pid, signal: Signal) {
        if kill_process_group(group, signal).is_err() {
            // Before the process has made its group there is only itself.
            let _gone = pidfd_send_signal(self.descriptor.get_ref(), signal);
        }
    }

    /// How it ended.
    pub(in crate::ssh) async fn exit(&mut self) -> io::Result<Exit> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.wait().await?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Status(u32::try_from(code).unwrap_or(u32::MAX)),
            (None, number) => {
                Exit::Signal { name: signal::name(number.unwrap_or(0)), core_dumped: status.core_dumped() }
            }
        })
    }
}

/// Sets the terminal's size, where there is one.
pub(in crate::ssh) fn resize(input: &Input, size: Size) {
    if let Input::Terminal(master) = input {
        let _unchanged = terminal::resize(master.get_ref(), size);
    }
}

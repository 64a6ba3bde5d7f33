//! The process's own ends of a session: keyboard or pipe, screen or file, and the signals that it gets.

use std::{
    fs::File,
    io::{self, IoSliceMut, stderr, stdin, stdout},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::OFlags,
    io::{Errno, ReadWriteFlags, preadv2},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::spawn_blocking,
};

use crate::{
    cli::connect::{
        drive::{Input, Local, Signals, Streams},
        standard::{HERE, Standard},
        terminal::{self, Raw, Terminal},
    },
    limits::PIECE_BYTES,
    streams::poll,
};

/// Bytes of typed or pasted text read at a time; a terminal holds no more (termios(3)).
const KEYS_BYTES: usize = 4 * 1024;

/// Bytes read at a time of anything else.
const READ_BYTES: usize = 2 * PIECE_BYTES;

/// Makes the terminal raw where the session has one of ours, and starts to read.
pub(crate) fn start(has_pty: bool, terminal: Terminal) -> io::Result<Local> {
    let raw = if has_pty && terminal.has_input() { Some(Raw::enter()?) } else { None };
    let streams = Streams { output: Box::new(Standard::of(stdout())?), errors: Box::new(Standard::of(stderr())?) };
    Ok(Local { input: Input(read()?), signals: signals(has_pty)?, streams, raw, terminal: has_pty.then_some(terminal) })
}

/// What is typed or piped in, until it ends.
fn read() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(1);
    match terminal::without_waiting(stdin(), OFlags::RDONLY) {
        Some(terminal) => {
            let terminal = poll(terminal.into(), Interest::READABLE)?;
            drop(tokio::spawn(read_terminal(terminal, sender)));
        }
        None => {
            let input = File::from(stdin().as_fd().try_clone_to_owned()?);
            drop(tokio::spawn(read_other(Arc::new(input), sender)));
        }
    }
    Ok(receiver)
}

async fn read_terminal(terminal: AsyncFd<OwnedFd>, sender: mpsc::Sender<Vec<u8>>) {
    loop {
        let read = terminal.async_io(Interest::READABLE, |it| Ok(read_once(it, KEYS_BYTES, ReadWriteFlags::empty())?));
        if !pass_on(read.await, &sender).await {
            return;
        }
    }
}

/// A file, a pipe, whatever else it is: at once where something is there, else by a thread. Nobody waits for that: such a read
/// cannot be called off, and must not keep the process from ending.
async fn read_other(input: Arc<File>, sender: mpsc::Sender<Vec<u8>>) {
    let mut knows_nowait = true;
    loop {
        let read = if knows_nowait { read_once(&input, READ_BYTES, ReadWriteFlags::NOWAIT) } else { Err(Errno::AGAIN) };
        let read = match read {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                knows_nowait &= error == Errno::AGAIN;
                let input = Arc::clone(&input);
                let reading = spawn_blocking(move || Ok(read_once(&input, READ_BYTES, ReadWriteFlags::empty())?));
                reading.await.unwrap_or_else(|error| Err(error.into()))
            }
        };
        if !pass_on(read, &sender).await {
            return;
        }
    }
}

/// Whatever is there, which is nothing at the end.
fn read_once(input: impl AsFd, most: usize, flags: ReadWriteFlags) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; most];
    let count = preadv2(input, &mut [IoSliceMut::new(&mut bytes)], HERE, flags)?;
    bytes.truncate(count);
    bytes.shrink_to_fit();
    Ok(bytes)
}

/// Whether more may come.
async fn pass_on(read: io::Result<Vec<u8>>, sender: &mpsc::Sender<Vec<u8>>) -> bool {
    match read {
        Ok(bytes) => !bytes.is_empty() && sender.send(bytes).await.is_ok(),
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

/// With a terminal keys make the signals over there; without, ours are passed on.
fn signals(has_pty: bool) -> io::Result<mpsc::Receiver<Signals>> {
    let (sender, receiver) = mpsc::channel(8);
    let watch = |kind: SignalKind, what: Signals| -> io::Result<()> {
        let mut stream = signal(kind)?;
        let sender = sender.clone();
        drop(tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(what).await.is_err() {
                    return;
                }
            }
        }));
        Ok(())
    };
    watch(SignalKind::window_change(), Signals::Resized)?;
    watch(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()), Signals::Continued)?;
    let passed = [
        (SignalKind::interrupt(), "INT", 2),
        (SignalKind::quit(), "QUIT", 3),
        (SignalKind::terminate(), "TERM", 15),
        (SignalKind::hangup(), "HUP", 1),
        (SignalKind::user_defined1(), "USR1", 10),
        (SignalKind::user_defined2(), "USR2", 12),
    ];
    for (kind, name, number) in passed {
        let what = if has_pty { Signals::End(number) } else { Signals::Pass(name, number) };
        watch(kind, what)?;
    }
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Seek, Write, pipe},
        os::unix::net::UnixStream,
    };

    use super::*;

    async fn received(input: OwnedFd, write: impl FnOnce() + Send + 'static) -> Vec<u8> {
        let (sender, mut receiver) = mpsc::channel(1);
        drop(tokio::spawn(read_other(Arc::new(input.into()), sender)));
        // What is there is awaited, so that the first reads find nothing.
        tokio::task::yield_now().await;
        drop(spawn_blocking(write));
        let mut all = Vec::new();
        while let Some(bytes) = receiver.recv().await {
            all.extend(bytes);
        }
        all
    }

    #[tokio::test]
    async fn all_that_is_piped_in_arrives_whatever_it_comes_through() {
        let text: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        let (reader, mut writer) = pipe().unwrap();
        let sent = text.clone();
        assert!(received(reader.into(), move || writer.write_all(&sent).unwrap()).await == text);
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let sent = text.clone();
        assert!(received(reader.into(), move || writer.write_all(&sent).unwrap()).await == text);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&text).unwrap();
        file.rewind().unwrap();
        assert!(received(file.into(), || ()).await == text);
        assert_eq!(received(File::open("/dev/null").unwrap().into(), || ()).await, b"");
    }
}

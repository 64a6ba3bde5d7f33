//! The process's own ends of a session: keyboard or pipe, screen or file, and the signals that it gets.

use std::{
    io::{self, Read, stdin},
    thread,
};

use tokio::{
    io::{stderr, stdout},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::cli::connect::{
    drive::{Input, Local, Signals, Streams},
    terminal::{Raw, Terminal},
};

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;

/// Makes the terminal raw where the session has one of ours, and starts to read.
pub(crate) fn start(has_pty: bool, terminal: Terminal) -> io::Result<Local> {
    let raw = if has_pty && terminal.has_input() { Some(Raw::enter()?) } else { None };
    let streams = Streams { output: Box::new(stdout()), errors: Box::new(stderr()) };
    Ok(Local { input: Input(read()), signals: signals(has_pty)?, streams, raw, terminal: has_pty.then_some(terminal) })
}

/// A thread of its own, which nobody waits for: a read of a terminal cannot be called off, and must not keep the
/// process from ending.
fn read() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match stdin().lock().read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                    if sender.blocking_send(bytes).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(_) => return,
            }
        }
    });
    receiver
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

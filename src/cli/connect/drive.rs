//! Drives the client's core between a WebSocket and the process's own streams.

use std::{fmt, io, pin::Pin, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    cli::connect::{
        tell::tell,
        terminal::{Raw, Terminal},
    },
    session::{
        client::{Client, Ended, Event, Output},
        frame::{Exit, Frame, FrameError},
    },
};

/// The stream of the first request.
const FIRST: u16 = 0;

/// Signals of a kind that ends programs, after which the person means us and not the remote process.
const PATIENCE: u8 = 3;

/// Pieces of input, until it ends.
#[derive(Debug)]
pub struct Input(pub mpsc::Receiver<Vec<u8>>);

/// What happened to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// The terminal has another size.
    Resized,
    /// It was stopped and goes on.
    Continued,
    /// Pass this signal on (name without `SIG`, number).
    Pass(&'static str, u8),
    /// End the session: this signal (number) was for us.
    End(u8),
}

/// Where output goes.
pub struct Streams {
    /// Standard output.
    pub output: Box<dyn AsyncWrite + Send + Unpin>,
    /// Standard error.
    pub errors: Box<dyn AsyncWrite + Send + Unpin>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// The process's ends.
#[derive(Debug)]
pub struct Local {
    /// Standard input.
    pub input: Input,
    /// Signals.
    pub signals: mpsc::Receiver<Signals>,
    /// Standard output and standard error.
    pub streams: Streams,
    pub(crate) raw: Option<Raw>,
    pub(crate) terminal: Option<Terminal>,
}

impl Local {
    /// Ends that are no terminal.
    pub fn new(input: Input, signals: mpsc::Receiver<Signals>, streams: Streams) -> Self {
        Self { input, signals, streams, raw: None, terminal: None }
    }
}

/// A piece of output on its way: the streams come back when it is written.
type Writing = Pin<Box<dyn Future<Output = (Streams, usize, io::Result<()>)> + Send>>;

struct Driver {
    client: Client,
    began: Instant,
    local: Signalled,
    streams: Option<Streams>,
    writing: Option<Writing>,
    unsent: Vec<u8>,
    status: Option<u8>,
}

/// What of [`Local`] is not lent out.
struct Signalled {
    raw: Option<Raw>,
    terminal: Option<Terminal>,
    ending: u8,
}

/// Runs a session on a connection that the server has just upgraded, and answers the exit status.
pub async fn drive<S>(socket: WebSocketStream<S>, local: Local) -> u8
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Local { input: Input(mut input), mut signals, streams, raw, terminal } = local;
    let (incoming, outgoing, _tasks) = start(socket);
    let driver = Driver {
        client: Client::new(0),
        began: Instant::now(),
        local: Signalled { raw, terminal, ending: 0 },
        streams: Some(streams),
        writing: None,
        unsent: Vec::new(),
        status: None,
    };
    driver.run(incoming, outgoing, &mut input, &mut signals).await
}

impl Driver {
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Event>,
        outgoing: mpsc::Sender<Vec<u8>>,
        input: &mut mpsc::Receiver<Vec<u8>>,
        signals: &mut mpsc::Receiver<Signals>,
    ) -> u8 {
        let mut message = None;
        let (mut has_input, mut has_signals) = (true, true);
        loop {
            self.feed();
            self.show();
            if message.is_none() {
                message = self.client.next_frame().and_then(|it| it.encode().ok());
            }
            if self.client.is_over() && self.writing.is_none() {
                // The terminal is itself again before anything else is said.
                drop(self.local.raw.take());
                return self.status.unwrap_or(u8::MAX);
            }
            let takes_input = has_input && self.unsent.is_empty() && 0 < self.client.room(FIRST);
            let wake = self.began + Duration::from_millis(self.client.next_tick_ms());
            tokio::select! {
                event = incoming.recv(), if !self.client.is_over() => self.handle(event.unwrap_or_else(gone)),
                permit = outgoing.reserve(), if message.is_some() => match (permit, message.take()) {
                    (Ok(permit), Some(message)) => permit.send(message),
                    // The reader tells why.
                    (Err(_), _) | (_, None) => (),
                },
                (streams, count, result) = written(&mut self.writing), if self.writing.is_some() => {
                    self.wrote(streams, count, result.is_ok());
                }
                bytes = input.recv(), if takes_input => match bytes {
                    Some(bytes) => self.unsent = bytes,
                    None => {
                        has_input = false;
                        self.handle(Event::StdinEnded(FIRST));
                    }
                },
                signal = signals.recv(), if has_signals => match signal {
                    Some(signal) => self.obey(signal),
                    None => has_signals = false,
                },
                () = sleep_until(wake), if !self.client.is_over() => self.handle(Event::Tick),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.client.handle(now_ms, event);
    }

    /// Gives the core as much input as it has room for.
    fn feed(&mut self) {
        let count = self.client.room(FIRST).min(self.unsent.len());
        if 0 < count {
            let rest = self.unsent.split_off(count);
            let bytes = std::mem::replace(&mut self.unsent, rest);
            self.handle(Event::Stdin(FIRST, bytes));
        }
    }

    /// Shows what has come, one piece after the other, and its end only after all of it.
    fn show(&mut self) {
        while self.writing.is_none() {
            let Some(output) = self.client.next_output() else { return };
            match output {
                Output::Stdout(_, bytes) => self.write(bytes, false),
                Output::Stderr(_, bytes) => self.write(bytes, true),
                Output::Notice(text) => self.tell(&text),
                Output::Ended(_, ended) => self.end(&ended),
                Output::Opened(_) => self.resize(),
                Output::Eof(_) => (),
            }
        }
    }

    fn write(&mut self, bytes: Vec<u8>, is_error: bool) {
        let Some(mut streams) = self.streams.take() else { return };
        self.writing = Some(Box::pin(async move {
            let to = if is_error { &mut streams.errors } else { &mut streams.output };
            let result = match to.write_all(&bytes).await {
                Ok(()) => to.flush().await,
                Err(error) => Err(error),
            };
            (streams, bytes.len(), result)
        }));
    }

    fn wrote(&mut self, streams: Streams, count: usize, is_written: bool) {
        self.streams = Some(streams);
        self.writing = None;
        if !is_written {
            // As a program at the end of a pipe would have been killed by SIGPIPE.
            self.leave(128 + 13);
        }
        self.handle(Event::Wrote(FIRST, count));
    }

    fn end(&mut self, ended: &Ended) {
        // What we decided ourselves stays.
        if self.status.is_none() {
            self.status = Some(ended.status());
            match ended {
                Ended::Exit(Exit::Code(_) | Exit::Signal(_)) => (),
                Ended::Exit(Exit::Policy(why)) => self.tell(&format!("the session was ended: {why}")),
                Ended::Exit(Exit::Lost(why)) | Ended::Refused(why) => self.tell(why),
            }
        }
        self.handle(Event::Close);
    }

    fn leave(&mut self, status: u8) {
        self.status.get_or_insert(status);
        if self.client.is_over() {
            // All that is left is output that nobody takes.
            self.writing = None;
        }
        self.handle(Event::Close);
    }

    fn obey(&mut self, signal: Signals) {
        match signal {
            Signals::Resized => self.resize(),
            Signals::Continued => {
                if let Some(raw) = &self.local.raw {
                    raw.again();
                }
                self.resize();
            }
            Signals::End(number) => self.leave(number.saturating_add(128)),
            Signals::Pass(name, number) => {
                self.local.ending = self.local.ending.saturating_add(1);
                if self.local.ending < PATIENCE {
                    self.handle(Event::Signal(FIRST, name.to_owned()));
                } else {
                    self.leave(number.saturating_add(128));
                }
            }
        }
    }

    fn resize(&mut self) {
        if let Some(terminal) = self.local.terminal {
            self.handle(Event::Resize(FIRST, terminal.size()));
        }
    }

    fn tell(&self, text: &str) {
        tell(format_args!("{text}"), self.local.raw.is_some());
    }
}

async fn written(writing: &mut Option<Writing>) -> (Streams, usize, io::Result<()>) {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

fn gone() -> Event {
    Event::Gone("the connection was closed".to_owned())
}

type Tasks = [AbortOnDropHandle<()>; 2];

fn start<S>(socket: WebSocketStream<S>) -> (mpsc::Receiver<Event>, mpsc::Sender<Vec<u8>>, Tasks)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (to_core, incoming) = mpsc::channel(2);
    let (outgoing, mut from_core) = mpsc::channel::<Vec<u8>>(1);
    let reader = tokio::spawn(async move {
        loop {
            let event = match stream.next().await {
                Some(Ok(Message::Binary(message))) => match Frame::decode(&message) {
                    Ok(Some(frame)) => Event::Frame(frame),
                    Ok(None) => continue,
                    Err(error) => Event::Malformed(error),
                },
                Some(Ok(Message::Text(_) | Message::Frame(_))) => Event::Malformed(FrameError::NotBinary),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_))) | None => gone(),
                Some(Err(error)) => Event::Gone(error.to_string()),
            };
            let is_last = matches!(event, Event::Gone(_));
            if to_core.send(event).await.is_err() || is_last {
                return;
            }
        }
    });
    let writer = tokio::spawn(async move {
        while let Some(message) = from_core.recv().await {
            if sink.send(Message::Binary(message.into())).await.is_err() {
                return;
            }
        }
    });
    (incoming, outgoing, [AbortOnDropHandle::new(reader), AbortOnDropHandle::new(writer)])
}

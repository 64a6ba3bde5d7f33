//! Drives one session: the pure core between a client's WebSocket and the instance's SSH connection.
//!
//! Three things reach the core: frames as they come, what became of its actions (at most three are under way on each stream),
//! and what the live-session table says. All of it is one task: between the instance's connection and the client's nobody has
//! to be woken but this one.

use std::{collections::BTreeMap, future::ready, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{
        sessions::Control,
        tunnel::{
            instance::{Channel, ChannelEvent, ChannelReceiver, ChannelSender, Connection, Doing},
            socket::Socket,
        },
    },
    session::{
        core::{Action, Core, Event, Limits, Over},
        frame::{Frame, Opened, Stream},
    },
    wire::sign::Open,
};

/// For a channel to be closed in good order, before it is cut.
const CLOSE: Duration = Duration::from_secs(5);

/// For the client to take the last frames.
const FAREWELL: Duration = Duration::from_secs(5);

/// Decides what happens in a session, as policy is at that moment.
pub(crate) trait Judge: Send + Sync + 'static {
    /// A further request. The refusal is for people.
    fn decide(&self, stream: Stream, open: Open) -> Doing<'static, Result<Opened, String>>;

    /// Whether the session may still go on; else why it is over.
    fn recheck(&self) -> Doing<'static, Result<(), String>>;

    /// The instance runs the request; nothing of it was read yet.
    fn started(&self) -> Doing<'static, ()>;

    /// A request is over.
    fn done(&self, stream: Stream);
}

/// A session at work.
pub(crate) struct Relay {
    core: Core,
    began: Instant,
    connection: Arc<dyn Connection>,
    judge: Arc<dyn Judge>,
    requests: BTreeMap<Stream, Open>,
    running: BTreeMap<Stream, Running>,
    /// Cancelled when a stream is shut; whatever is under way for it ends.
    stops: BTreeMap<Stream, CancellationToken>,
    work: FuturesUnordered<Doing<'static, Done>>,
    draining: bool,
}

/// A channel that is open.
struct Running {
    sender: Arc<dyn ChannelSender>,
    receiver: Arc<Mutex<Box<dyn ChannelReceiver>>>,
}

/// What became of an action.
enum Done {
    Event(Event),
    Opened(Stream, Channel),
    Refused(Stream, String),
    Nothing,
}

impl Relay {
    /// Of a session whose first request is allowed.
    pub(crate) fn new(connection: Arc<dyn Connection>, judge: Arc<dyn Judge>, first: Open, opened: Opened) -> Self {
        Self {
            core: Core::new(0, Limits::default(), opened),
            began: Instant::now(),
            connection,
            judge,
            requests: BTreeMap::from([(0, first)]),
            running: BTreeMap::new(),
            stops: BTreeMap::new(),
            work: FuturesUnordered::new(),
            draining: false,
        }
    }

    /// Until it is over, and why it is. The connection is gone when this answers or is dropped.
    pub(crate) async fn run(mut self, socket: &mut Socket, mut control: watch::Receiver<Control>) -> Over {
        let Socket { incoming, outgoing } = socket;
        let mut message = None;
        let mut farewell_ends = None;
        loop {
            while let Some(action) = self.core.next_action() {
                self.perform(action);
            }
            if message.is_none() {
                message = self.core.next_frame(self.now_ms()).and_then(|it| encode(&it));
            }
            let over = self.core.over();
            if over.is_some_and(|it| message.is_none() || *it == Over::ClientGone) {
                break;
            }
            let give_up = over.map(|_| *farewell_ends.get_or_insert_with(|| Instant::now() + FAREWELL));
            if give_up.is_some_and(|it| it <= Instant::now()) {
                break;
            }
            let wake = give_up.unwrap_or_else(|| self.began + Duration::from_millis(self.core.next_tick_ms()));
            tokio::select! {
                // What ends a session goes before what it says.
                biased;
                Ok(()) = control.changed() => {
                    let told = control.borrow_and_update().clone();
                    self.obey(told);
                }
                advanced = outgoing.advance(&mut message), if message.is_some() || outgoing.is_busy() => {
                    if advanced.is_err() {
                        // Its connection takes nothing any more.
                        self.handle(Event::Gone);
                        break;
                    }
                }
                event = incoming.next() => {
                    let is_gone = event == Event::Gone;
                    self.handle(event);
                    if is_gone {
                        break;
                    }
                    self.tick_if_due();
                }
                Some(done) = self.work.next() => {
                    self.finish(done);
                    self.tick_if_due();
                }
                () = sleep_until(wake) => self.handle(Event::Tick),
            }
        }
        self.connection.cut();
        self.core.over().cloned().unwrap_or(Over::ClientGone)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn handle(&mut self, event: Event) {
        self.core.handle(self.now_ms(), event);
    }

    /// Whoever always has something to say, client or instance, would put off for ever what waits for a quiet moment: the end
    /// that policy has set above all.
    fn tick_if_due(&mut self) {
        if self.core.next_tick_ms() <= self.now_ms() {
            self.handle(Event::Tick);
        }
    }

    fn obey(&mut self, told: Control) {
        self.handle(Event::Limits(told.limits));
        if let Some(reason) = told.ended {
            self.revoke(reason);
        } else if let Some(drain) = told.drain.filter(|_| !std::mem::replace(&mut self.draining, true)) {
            let left = drain.deadline.saturating_duration_since(Instant::now());
            let deadline_ms = self.now_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
            self.handle(Event::Drain { message: drain.message, deadline_ms });
        }
    }

    /// Not one byte more goes to the instance or comes from it.
    fn revoke(&mut self, reason: String) {
        self.connection.cut();
        self.handle(Event::Revoked(reason));
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Event(event) => self.handle(event),
            Done::Opened(stream, channel) => {
                let receiver = Arc::new(Mutex::new(channel.receiver));
                self.running.insert(stream, Running { sender: channel.sender, receiver });
                self.handle(Event::Opened(stream));
            }
            Done::Refused(stream, why) => {
                self.judge.done(stream);
                self.handle(Event::Refused(stream, why));
            }
            Done::Nothing => (),
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Decide(stream, json) => self.decide(stream, &json),
            Action::Open(stream) => self.open(stream),
            Action::Read(stream) => self.read(stream),
            Action::Shut(stream) => self.shut(stream),
            Action::Write(stream, bytes) => self.send(stream, Event::Wrote(stream), |it| it.write(bytes)),
            Action::WriteEof(stream) => self.send(stream, Event::Wrote(stream), |it| it.end()),
            Action::Resize(stream, size) => self.send(stream, Event::Controlled(stream), |it| it.resize(size)),
            Action::Signal(stream, name) => self.send(stream, Event::Controlled(stream), |it| it.signal(name)),
        }
    }

    fn decide(&mut self, stream: Stream, json: &[u8]) {
        let Ok(open) = serde_json::from_slice::<Open>(json) else {
            let refused = Done::Refused(stream, "the request cannot be understood".to_owned());
            return self.work.push(Box::pin(ready(refused)));
        };
        self.requests.insert(stream, open.clone());
        let deciding = self.judge.decide(stream, open);
        self.start(stream, async move {
            match deciding.await {
                Ok(opened) => Done::Event(Event::Allowed(stream, opened)),
                Err(why) => Done::Refused(stream, why),
            }
        });
    }

    fn open(&mut self, stream: Stream) {
        let Some(open) = self.requests.remove(&stream) else { return };
        if let Some(what) = unsupported(&open) {
            let refused = Done::Refused(stream, format!("refused: {what} is not in this build"));
            return self.work.push(Box::pin(ready(refused)));
        }
        let (connection, judge) = (Arc::clone(&self.connection), Arc::clone(&self.judge));
        self.start(stream, async move {
            // Time has passed since the decision, and passes again until the instance has answered.
            if let Err(why) = judge.recheck().await {
                return Done::Event(Event::Revoked(why));
            }
            let opened = connection.open(&open).await;
            judge.started().await;
            if let Err(why) = judge.recheck().await {
                return Done::Event(Event::Revoked(why));
            }
            match opened {
                Ok(channel) => Done::Opened(stream, channel),
                Err(why) => Done::Refused(stream, why),
            }
        });
    }

    fn read(&mut self, stream: Stream) {
        let Some(running) = self.running.get(&stream) else { return };
        let receiver = Arc::clone(&running.receiver);
        self.start(stream, async move {
            Done::Event(match receiver.lock().await.next().await {
                Some(ChannelEvent::Data(output, bytes)) => Event::Data(stream, output, bytes),
                Some(ChannelEvent::Ended) => Event::OutputEnded(stream),
                Some(ChannelEvent::Exited(exit)) => Event::Exited(stream, exit),
                Some(ChannelEvent::Lost(why)) => Event::Lost(why),
                None => Event::Closed(stream),
            })
        });
    }

    /// Something towards the process; `event` says that it was taken.
    fn send(&mut self, stream: Stream, event: Event, act: impl FnOnce(Arc<dyn ChannelSender>) -> Doing<'static, ()>) {
        let Some(running) = self.running.get(&stream) else { return };
        let acting = act(Arc::clone(&running.sender));
        self.start(stream, async move {
            acting.await;
            Done::Event(event)
        });
    }

    fn shut(&mut self, stream: Stream) {
        self.judge.done(stream);
        self.requests.remove(&stream);
        if let Some(stop) = self.stops.remove(&stream) {
            stop.cancel();
        }
        if let Some(running) = self.running.remove(&stream) {
            self.work.push(Box::pin(async move {
                // One that is not closed in time goes with the connection.
                drop(timeout(CLOSE, Arc::clone(&running.sender).close()).await);
                Done::Nothing
            }));
        }
    }

    /// Begins work for a stream; it ends when the stream is shut.
    fn start(&mut self, stream: Stream, work: impl Future<Output = Done> + Send + 'static) {
        let stop = self.stops.entry(stream).or_default().clone();
        self.work.push(Box::pin(async move { stop.run_until_cancelled(work).await.unwrap_or(Done::Nothing) }));
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("core", &self.core).finish_non_exhaustive()
    }
}

/// What a later version serves.
fn unsupported(open: &Open) -> Option<String> {
    match open {
        Open::Shell { .. } | Open::Exec { .. } => None,
        Open::Subsystem { name } => Some(format!("the subsystem `{name}`")),
        Open::Forward { .. } => Some("forwarding".to_owned()),
    }
}

/// The core makes no frame that cannot be encoded; if it did, it would be our fault and not the client's.
fn encode(frame: &Frame) -> Option<Vec<u8>> {
    frame.encode().inspect_err(|error| tracing::error!(%error, "a frame cannot be sent")).ok()
}

//! The table of live sessions: entered before the policy revision is read again, so that no change is missed.

pub(crate) mod guard;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    gate::{Grant, Principal, record::timestamp},
    session::{core::Limits, frame::Stream},
    wire::{session::SessionView, sign::Open},
};

/// Sessions of one API server.
const SESSIONS_MAX: usize = 4_096;

/// Sessions of one principal on one API server.
const SESSIONS_OF_PRINCIPAL_MAX: usize = 128;

/// The live sessions of this API server. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: Mutex<BTreeMap<String, Arc<Live>>>,
    draining: Mutex<Option<Drain>>,
    /// A session was entered or has left.
    changed: Notify,
}

/// What a session is told from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Control {
    /// Bounds that policy sets now.
    pub(crate) limits: Limits,
    /// The server stops.
    pub(crate) drain: Option<Drain>,
    /// It is over, and why. Never taken back.
    pub(crate) ended: Option<String>,
}

/// The server stops.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    /// For people.
    pub(crate) message: String,
    /// When sessions are ended.
    pub(crate) deadline: Instant,
}

/// What a session is about; it never changes.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Session id.
    pub(crate) id: String,
    /// Who.
    pub(crate) principal: Principal,
    /// The job.
    pub(crate) job: Uuid,
    /// Its name.
    pub(crate) fqn: String,
    /// What the job is a console clone of.
    pub(crate) source: Option<Uuid>,
    /// The instance.
    pub(crate) instance: Uuid,
    /// Lease epoch of the instance.
    pub(crate) epoch: u64,
    /// The client's address as the router saw it.
    pub(crate) client: Option<IpAddr>,
    /// When it was opened, Unix milliseconds.
    pub(crate) opened_ms: i64,
}

/// One live session.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) subject: Subject,
    requests: Mutex<BTreeMap<Stream, Request>>,
    control: watch::Sender<Control>,
    /// Since when nobody could tell whether its grants hold.
    undecided: Mutex<Option<Instant>>,
}

/// A request that is open within a session.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What.
    pub(crate) open: Open,
    /// Why it may.
    pub(crate) grant: Arc<Grant>,
    /// Versions of the job, and of a clone's source, that were decided on.
    pub(crate) versions: (u64, Option<u64>),
}

/// Why a session was not entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnterError {
    /// There are too many.
    #[error("there are too many sessions")]
    Full,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

/// A session's place in the table, which is left when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    live: Arc<Live>,
    sessions: Sessions,
}

impl Sessions {
    /// All live sessions, ascending by id.
    pub fn list(&self) -> Vec<SessionView> {
        self.snapshot().iter().map(|it| it.view()).collect()
    }

    /// One live session.
    pub fn get(&self, id: &str) -> Option<SessionView> {
        self.live().get(id).map(|it| it.view())
    }

    /// Ends a session, with a reason that its client is told. False when there is none.
    pub fn end(&self, id: &str, reason: &str) -> bool {
        let live = self.live().get(id).cloned();
        live.is_some_and(|it| {
            it.end(reason);
            true
        })
    }

    /// No new sessions; those that live are told `message` now and are ended at `deadline`.
    pub fn drain(&self, message: &str, deadline: Instant) {
        let drain = Drain { message: message.to_owned(), deadline };
        // Under the lock by which sessions enter, so that none slips in unseen.
        let live = self.live();
        *lock(&self.inner.draining) = Some(drain.clone());
        for live in live.values() {
            live.control.send_modify(|it| it.drain = Some(drain.clone()));
        }
    }

    /// Waits until no session is left.
    pub async fn emptied(&self) {
        loop {
            let changed = self.inner.changed.notified();
            if self.live().is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Enters a session. From now on every change of what it depends on ends it or is found by it.
    pub(crate) fn enter(&self, subject: Subject, first: Request) -> Result<Ticket, EnterError> {
        let mut all = self.live();
        if lock(&self.inner.draining).is_some() {
            return Err(EnterError::Stopping);
        }
        let own = all.values().filter(|it| it.subject.principal.name() == subject.principal.name()).count();
        if SESSIONS_MAX <= all.len() || SESSIONS_OF_PRINCIPAL_MAX <= own {
            return Err(EnterError::Full);
        }
        let id = subject.id.clone();
        let control = Control { limits: limits([&first]), ..Control::default() };
        let live = Arc::new(Live {
            subject,
            requests: Mutex::new(BTreeMap::from([(0, first)])),
            control: watch::Sender::new(control),
            undecided: Mutex::default(),
        });
        all.insert(id, Arc::clone(&live));
        drop(all);
        self.inner.changed.notify_waiters();
        Ok(Ticket { live, sessions: self.clone() })
    }

    pub(crate) fn snapshot(&self) -> Vec<Arc<Live>> {
        self.live().values().cloned().collect()
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Live>>> {
        lock(&self.inner.live)
    }
}

impl Ticket {
    /// The session.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sessions.live().remove(&self.live.subject.id);
        self.sessions.inner.changed.notify_waiters();
    }
}

impl Live {
    /// What it is told from outside, from now on.
    pub(crate) fn control(&self) -> watch::Receiver<Control> {
        let mut res = self.control.subscribe();
        // What was said before is news to a new listener.
        res.mark_changed();
        res
    }

    /// Ends it; the first reason stays.
    pub(crate) fn end(&self, reason: &str) {
        self.control.send_if_modified(|it| {
            let is_first = it.ended.is_none();
            if is_first {
                it.ended = Some(reason.to_owned());
            }
            is_first
        });
    }

    /// Why it is over, if it is.
    pub(crate) fn ended(&self) -> Option<String> {
        self.control.borrow().ended.clone()
    }

    /// The requests that are open.
    pub(crate) fn requests(&self) -> Vec<(Stream, Request)> {
        lock(&self.requests).iter().map(|(stream, it)| (*stream, it.clone())).collect()
    }

    /// One of them.
    pub(crate) fn request(&self, stream: Stream) -> Option<Request> {
        lock(&self.requests).get(&stream).cloned()
    }

    /// A request was allowed.
    pub(crate) fn allow(&self, stream: Stream, request: Request) {
        lock(&self.requests).insert(stream, request);
        self.limit();
    }

    /// A request was allowed again; one that has ended meanwhile does not come back.
    pub(crate) fn allow_again(&self, stream: Stream, request: Request) {
        if let Some(present) = lock(&self.requests).get_mut(&stream) {
            *present = request;
        }
        self.limit();
    }

    fn limit(&self) {
        let limits = limits(lock(&self.requests).values());
        self.control.send_if_modified(|it| std::mem::replace(&mut it.limits, limits) != limits);
    }

    /// A request is over. The first one stays as long as the session: it is what the connection was made for.
    pub(crate) fn done(&self, stream: Stream) {
        if stream != 0 {
            lock(&self.requests).remove(&stream);
        }
    }

    /// Notes whether anyone could tell if its grants hold, and answers since when not.
    pub(crate) fn undecided_since(&self, is_undecided: bool) -> Option<Instant> {
        let mut undecided = lock(&self.undecided);
        *undecided = is_undecided.then(|| undecided.unwrap_or_else(Instant::now));
        *undecided
    }

    fn view(&self) -> SessionView {
        let subject = &self.subject;
        SessionView {
            id: subject.id.clone(),
            principal: subject.principal.name().to_owned(),
            job: subject.job,
            fqn: subject.fqn.clone(),
            instance: subject.instance,
            client_address: subject.client.map(|it| it.to_string()),
            opened: timestamp(subject.opened_ms),
            requests: lock(&self.requests).values().map(|it| describe(&it.open)).collect(),
        }
    }
}

/// A request for people and for the audit log. Untrusted text.
pub(crate) fn describe(open: &Open) -> String {
    match open {
        Open::Shell { .. } => "shell".to_owned(),
        Open::Exec { command, .. } => {
            let end = command.floor_char_boundary(1_024);
            format!("exec: {}", command.get(..end).unwrap_or_default())
        }
        Open::Subsystem { name } => format!("subsystem: {name}"),
        Open::Forward { host, port } => format!("forward: {host}:{port}"),
    }
}

/// The strictest of all requests.
fn limits<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Limits {
    let mut res = Limits::default();
    for request in requests {
        let of = |limit: Option<std::time::Duration>| limit.and_then(|it| u64::try_from(it.as_millis()).ok());
        res.idle_ms = res.idle_ms.into_iter().chain(of(request.grant.idle_timeout())).min();
        res.total_ms = res.total_ms.into_iter().chain(of(request.grant.session_max())).min();
    }
    res
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

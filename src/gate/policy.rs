//! The policy set in force, as one role sees it: signed heads only, never backwards, never one that does not compile.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
    task,
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    compile::{self, Changes, PolicySet, System},
    gate::{Kept, KeySet},
    limits::{DOCUMENT_BYTES_MAX, POLICY_DOCUMENTS_MAX},
    source::Source,
    store::{Entry, Key, Store, StoreError, WatchEvent},
    syntax::fqn::Fqn,
    wire::policy::{PolicyEntry, PolicyHead},
};

/// A store that was not heard of for so long may have moved on without us: new decisions are refused.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How often the store is asked whether it is still there.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// How long one answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the first look may take before a role refuses to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Changes back to which it is known what they can matter to, and how many realms they may have together.
const HISTORY_MAX: usize = 64;
const HISTORY_REALMS_MAX: usize = 100_000;

/// Pause before a watch that broke is taken up again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Separates signatures of heads from whatever else a key may ever sign.
const SIGNED_AS: &[u8] = b"gatehouse policy head 1\n";

/// Why there is no policy to decide by, or why a head was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No head was ever read.
    #[error("there is no policy set yet")]
    None,
    /// The store has been silent for too long.
    #[error("the policy set may be stale: the store does not answer")]
    Silent,
    /// The stored head is not JSON of a head.
    #[error("the policy head cannot be read")]
    Malformed,
    /// Not signed by a snapshot key that is trusted.
    #[error("the policy head is not signed by a trusted key")]
    BadSignature,
    /// Older than, or differing from, what was already accepted.
    #[error("the policy head says revision {offered}, but {accepted} was in force before")]
    Backwards {
        /// Of the head.
        offered: u64,
        /// Greatest that was ever accepted.
        accepted: u64,
    },
    /// More documents than a set may have.
    #[error("the policy set has {0} documents, more than it may have")]
    TooMany(usize),
    /// A document's text is not there, too large or not UTF-8.
    #[error("the policy document `{document}` cannot be read: {reason}")]
    Document {
        /// Which.
        document: String,
        /// Why.
        reason: String,
    },
    /// The documents do not make a set.
    #[error("the policy documents do not compile: {0}")]
    Uncompilable(String),
}

/// One policy set, whole and compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows by one with each change.
    pub revision: u64,
    /// What decides.
    pub set: PolicySet,
    /// The editable documents, ascending by name, as the head lists them.
    pub entries: Vec<PolicyEntry>,
    /// Tests kept beside them, ascending by name; their texts stay in the store.
    pub tests: Vec<PolicyEntry>,
    /// The documents' texts in their order.
    pub sources: Vec<Source>,
    /// Whether a rule may speak of the age of a login, which changes by itself.
    pub tests_login_age: bool,
    // INVARIANT (chain): each revision that was in force before, oldest first, with what changed until the next; the
    // last until this one.
    history: Vec<(u64, Arc<Changes>)>,
}

impl Snapshot {
    /// A set that no other was before, of no documents that anyone could change.
    pub fn first(revision: u64, set: PolicySet) -> Self {
        let (entries, tests, sources, history) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { revision, set, entries, tests, sources, tests_login_age: false, history }
    }

    /// Whether answers on a target are those of an earlier revision; no where that is not known.
    pub fn answers_as(&self, revision: u64, target: &Fqn) -> bool {
        let Some(since) = self.history.iter().position(|(it, _)| *it == revision) else {
            return revision == self.revision;
        };
        self.history.iter().skip(since).all(|(_, changes)| !changes.may_touch(target))
    }
}

/// Follows `policy/head`.
#[derive(Debug)]
pub struct PolicyView {
    current: ArcSwapOption<Snapshot>,
    keys: ArcSwap<KeySet>,
    revision: watch::Sender<u64>,
    started: watch::Sender<bool>,
    state: Mutex<State>,
    kept: Arc<tokio::sync::Mutex<Kept>>,
}

#[derive(Debug)]
struct State {
    heard: Instant,
    problem: Option<PolicyError>,
    /// The head in force, by which a second, different head of the same revision is told apart.
    head: Option<PolicyHead>,
}

/// The bytes that a head's signature is over.
pub fn head_bytes(head: &PolicyHead) -> Vec<u8> {
    let unsigned = PolicyHead { signature: String::new(), ..head.clone() };
    let mut bytes = SIGNED_AS.to_vec();
    // Writing a struct of strings and numbers to memory cannot fail; if it did, no signature would match.
    bytes.extend(serde_json::to_vec(&unsigned).unwrap_or_default());
    bytes
}

/// Key of the head.
pub fn head_key() -> Key {
    Key::new(["policy", "head"])
}

impl PolicyView {
    /// Follows the store until cancelled. Answers once the head was looked at; there may be none yet, or a bad one.
    pub async fn start(
        store: Arc<dyn Store>,
        keys: KeySet,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, StoreError> {
        Self::start_from(Kept::default(), store, keys, cancel).await
    }

    /// The same from a set that was kept, which saves compiling what did not change since.
    pub async fn start_from(
        kept: Kept,
        store: Arc<dyn Store>,
        keys: KeySet,
        cancel: CancellationToken,
    ) -> Result<Arc<Self>, StoreError> {
        let state = State { heard: Instant::now(), problem: None, head: None };
        let this = Arc::new(Self {
            current: ArcSwapOption::empty(),
            keys: ArcSwap::from_pointee(keys),
            revision: watch::Sender::new(0),
            started: watch::Sender::new(false),
            state: Mutex::new(state),
            kept: Arc::new(tokio::sync::Mutex::new(kept)),
        });
        let mut started = this.started.subscribe();
        tokio::spawn(Arc::clone(&this).follow(store, cancel));
        let looked = time::timeout(START_TIMEOUT, started.wait_for(|it| *it)).await;
        match looked {
            Ok(Ok(_)) => Ok(this),
            Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable("policy could not be read in time".to_owned())),
        }
    }

    /// The set to decide by.
    pub fn current(&self) -> Result<Arc<Snapshot>, PolicyError> {
        if SILENCE_MAX < self.silent_for() {
            return Err(PolicyError::Silent);
        }
        self.current.load_full().ok_or(PolicyError::None)
    }

    /// Revision in force; 0 before there is any.
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Tells each new revision once it is in force.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// How long the store has not been heard of.
    pub fn silent_for(&self) -> Duration {
        self.with_state(|state| state.heard.elapsed())
    }

    /// What is wrong with the newest head, while an older one stays in force.
    pub fn problem(&self) -> Option<PolicyError> {
        self.with_state(|state| state.problem.clone())
    }

    /// Replaces the trusted snapshot keys; holds for heads that come from now on.
    pub fn set_keys(&self, keys: KeySet) {
        self.keys.store(Arc::new(keys));
    }

    async fn follow(self: Arc<Self>, store: Arc<dyn Store>, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.follow_one_watch(store.as_ref()) => (),
            }
            tokio::select! { () = cancel.cancelled() => break, () = time::sleep(RETRY_PAUSE) => () }
        }
    }

    async fn follow_one_watch(&self, store: &dyn Store) {
        let mut events = match store.watch(&head_key()).await {
            Ok(events) => events,
            Err(error) => return tracing::warn!(%error, "policy cannot be watched"),
        };
        let mut probe = time::interval(PROBE_EVERY);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(WatchEvent::Value(entry)) => self.take(store, &entry).await,
                    // A set is never withdrawn: the last one stays in force.
                    Some(WatchEvent::Deleted(_, _)) => self.refuse(PolicyError::None),
                    Some(WatchEvent::CaughtUp(_)) => {
                        self.heard();
                        self.started.send_replace(true);
                    }
                    Some(WatchEvent::Resync) | None => return,
                },
                _ = probe.tick() => self.probe(store).await,
            }
        }
    }

    /// Asks for the head itself: an answer shows that the store is there, and a change that the watch lost is seen.
    async fn probe(&self, store: &dyn Store) {
        match time::timeout(PROBE_TIMEOUT, store.get(&head_key())).await {
            Ok(Ok(Some(entry))) => {
                self.heard();
                let newer = serde_json::from_slice::<PolicyHead>(&entry.value)
                    .is_ok_and(|head| self.revision() < head.revision);
                if newer {
                    self.take(store, &entry).await;
                }
            }
            Ok(Ok(None)) => self.heard(),
            Ok(Err(error)) => tracing::warn!(%error, "the store does not answer"),
            Err(_) => tracing::warn!("the store does not answer in time"),
        }
    }

    async fn take(&self, store: &dyn Store, entry: &Entry) {
        self.heard();
        match self.load(store, entry).await {
            Ok(None) => (),
            Ok(Some((head, snapshot))) => {
                let (revision, snapshot) = (snapshot.revision, Arc::new(snapshot));
                self.current.store(Some(Arc::clone(&snapshot)));
                self.with_state(|state| {
                    state.head = Some(head);
                    state.problem = None;
                });
                self.revision.send_replace(revision);
                tracing::info!(revision, "policy set in force");
                // Where one is being written, a later change writes the next.
                if let Ok(mut kept) = Arc::clone(&self.kept).try_lock_owned() {
                    task::spawn_blocking(move || kept.keep(&snapshot));
                }
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(&self, error: PolicyError) {
        tracing::error!(event = "policy.head.refused", %error, revision = self.revision(), "the policy set stays as it was");
        self.with_state(|state| state.problem = Some(error));
    }

    async fn load(&self, store: &dyn Store, entry: &Entry) -> Result<Option<(PolicyHead, Snapshot)>, PolicyError> {
        let head: PolicyHead = serde_json::from_slice(&entry.value).map_err(|_| PolicyError::Malformed)?;
        let keys = self.keys.load_full();
        let signed = keys.get(&head.kid).is_some_and(|key| key.verifies(&head_bytes(&head), &head.signature));
        if !signed {
            return Err(PolicyError::BadSignature);
        }
        let accepted = self.with_state(|state| state.head.clone());
        if accepted.as_ref() == Some(&head) {
            return Ok(None);
        }
        let before = accepted.map_or(0, |it| it.revision);
        if head.revision <= before {
            return Err(PolicyError::Backwards { offered: head.revision, accepted: before });
        }
        if POLICY_DOCUMENTS_MAX < head.documents.len() {
            return Err(PolicyError::TooMany(head.documents.len()));
        }
        let before = match self.current.load_full() {
            Some(in_force) => Some(in_force),
            None => self.kept.lock().await.take(),
        };
        let sources = read_documents(store, before.as_deref(), &head.documents).await?;
        let snapshot = compile_off_the_runtime(before, head.clone(), sources).await?;
        Ok(Some((head, snapshot)))
    }

    fn heard(&self) {
        self.with_state(|state| state.heard = Instant::now());
    }

    fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the texts of documents; of those that are in force already they are at hand.
pub(crate) async fn read_documents(
    store: &dyn Store,
    in_force: Option<&Snapshot>,
    documents: &[PolicyEntry],
) -> Result<Vec<Source>, PolicyError> {
    let at_hand = in_force.into_iter().flat_map(|it| it.entries.iter().zip(&it.sources));
    let at_hand: HashMap<(&str, &str), &Source> =
        at_hand.map(|(entry, source)| ((entry.name.as_str(), entry.digest.as_str()), source)).collect();
    let mut sources = Vec::with_capacity(documents.len());
    for document in documents {
        sources.push(match at_hand.get(&(document.name.as_str(), document.digest.as_str())) {
            Some(source) => (*source).clone(),
            None => read_document(store, document).await?,
        });
    }
    Ok(sources)
}

/// Reads a document's text, never more than a document may have.
async fn read_document(store: &dyn Store, entry: &PolicyEntry) -> Result<Source, PolicyError> {
    read_text(store, entry, "pol").await
}

/// Reads a file of tests in the same way.
pub(crate) async fn read_tests(store: &dyn Store, entry: &PolicyEntry) -> Result<Source, PolicyError> {
    read_text(store, entry, "decisions.toml").await
}

async fn read_text(store: &dyn Store, entry: &PolicyEntry, suffix: &str) -> Result<Source, PolicyError> {
    let problem = |reason: String| PolicyError::Document { document: entry.name.clone(), reason };
    let blob = store.open_blob(&entry.digest).await.map_err(|it| problem(it.to_string()))?;
    let bytes = read_bounded(blob).await.map_err(|it| problem(it.to_string()))?;
    Source::new(format!("{}.{suffix}", entry.name), bytes).map_err(|it| problem(it.to_string()))
}

async fn read_bounded(blob: Pin<Box<dyn AsyncRead + Send>>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    blob.take(bound).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

async fn compile_off_the_runtime(
    before: Option<Arc<Snapshot>>,
    head: PolicyHead,
    sources: Vec<Source>,
) -> Result<Snapshot, PolicyError> {
    let compiled = task::spawn_blocking(move || {
        let set = match &before {
            Some(before) => before.set.changed_to(&sources),
            None => compile::compile(&sources, System::Included),
        };
        let set = set.map_err(|findings| {
            let first = findings.first().map(|it| it.diagnostic.message.clone()).unwrap_or_default();
            PolicyError::Uncompilable(first)
        })?;
        let tests_login_age = sources.iter().any(|it| it.text().contains("auth.age"));
        Ok(Snapshot {
            revision: head.revision,
            history: before.map_or_else(Vec::new, |it| history(&it, &set)),
            set,
            entries: head.documents,
            tests: head.tests,
            sources,
            tests_login_age,
        })
    });
    compiled.await.map_err(|it| PolicyError::Uncompilable(it.to_string()))?
}

fn history(before: &Snapshot, set: &PolicySet) -> Vec<(u64, Arc<Changes>)> {
    let newest = (before.revision, Arc::new(before.set.changes_to(set)));
    let mut realms = 0_usize;
    let all = before.history.iter().chain([&newest]).rev().take(HISTORY_MAX).take_while(|(_, changes)| {
        realms = realms.saturating_add(changes.realms());
        realms <= HISTORY_REALMS_MAX
    });
    let mut kept: Vec<(u64, Arc<Changes>)> = all.cloned().collect();
    kept.reverse();
    kept
}

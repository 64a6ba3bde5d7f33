//! What is wrong with the documents of a set, found beside the conversation with the editor.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use tokio::sync::Notify;
use tower_lsp_server::{Client, ls_types::Uri};

use crate::{
    compile::{Finding, System, check_parsed},
    diagnostic::Diagnostic,
    limits::DIAGNOSTICS_SHOWN_MAX,
    lint::lint_on_threads,
    lsp::{
        convert,
        document::Document,
        text::Encoding,
        workspace::{Set, SetKey, Workspace},
    },
    source::Source,
    syntax::Parse,
};

/// Bytes of a set up to which errors and lints are told together. In a larger one errors come first: whoever types waits
/// for neither.
const TOGETHER_BYTES_MAX: usize = 64 * 1024;

/// What was found in each document of a set, by place.
pub(super) fn findings(set: &Set) -> Vec<Vec<Diagnostic>> {
    by_document(&documents(set), with_lints(set, errors(set)))
}

/// The errors alone.
fn errors(set: &Set) -> Vec<Finding> {
    check_parsed(&documents(set), System::Included)
}

/// The errors that were found, and the lints.
fn with_lints(set: &Set, mut errors: Vec<Finding>) -> Vec<Finding> {
    if let Some(settings) = &set.settings {
        let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        errors.extend(lint_on_threads(&documents(set), System::Included, settings, threads));
    }
    errors
}

fn documents(set: &Set) -> Vec<(&Source, &Parse)> {
    set.documents.iter().map(|it| (&it.source, it.parse())).collect()
}

fn by_document(given: &[(&Source, &Parse)], all: Vec<Finding>) -> Vec<Vec<Diagnostic>> {
    let mut by_document = vec![Vec::new(); given.len()];
    for it in all {
        if let Some(own) = by_document.get_mut(it.source) {
            own.push(it.diagnostic);
        }
    }
    for own in &mut by_document {
        own.sort_by_key(|it| (it.span.start, it.code));
        own.truncate(DIAGNOSTICS_SHOWN_MAX);
    }
    by_document
}

/// Sets of which something changed, and the one who looks through them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    keys: Mutex<BTreeSet<SetKey>>,
    wake: Notify,
}

impl Changes {
    /// Says that something of a set changed. However many keystrokes come while a set is looked through, it is looked
    /// through once more.
    pub(super) fn push(&self, key: SetKey) {
        lock(&self.keys).insert(key);
        self.wake.notify_one();
    }

    fn is_pending(&self, key: &SetKey) -> bool {
        lock(&self.keys).contains(key)
    }
}

/// Tells the editor what is wrong with the sets that changed, for as long as there is an editor.
pub(super) async fn run(changes: Arc<Changes>, workspace: Arc<Mutex<Workspace>>, client: Client) {
    let mut told = Told::default();
    loop {
        changes.wake.notified().await;
        loop {
            let next = lock(&changes.keys).pop_first();
            let Some(key) = next else { break };
            let (set, encoding) = {
                let workspace = lock(&workspace);
                (workspace.set(&key), workspace.encoding)
            };
            let set = Arc::new(set);
            let Some(errors) = beside(&set, errors).await else { continue };
            if is_large(&set) {
                told.tell(&client, &key, &set, errors.clone(), encoding).await;
                // Lints of a text that is not there any more help nobody.
                if changes.is_pending(&key) {
                    continue;
                }
            }
            let Some(all) = beside(&set, |set| with_lints(set, errors)).await else { continue };
            told.tell(&client, &key, &set, all, encoding).await;
        }
    }
}

/// What a look at a set gives, taken beside the conversation; none where it panicked. That is told on standard error, and
/// the next change is looked through again.
async fn beside<T: Send + 'static>(set: &Arc<Set>, look: impl FnOnce(&Set) -> T + Send + 'static) -> Option<T> {
    let set = Arc::clone(set);
    tokio::task::spawn_blocking(move || look(&set)).await.ok()
}

fn is_large(set: &Set) -> bool {
    set.documents.iter().map(|it| it.source.text().len()).sum::<usize>() > TOGETHER_BYTES_MAX
}

/// What of one document the editor is to show.
type OfDocument = (Uri, Option<i32>, Vec<tower_lsp_server::ls_types::Diagnostic>);

/// What the editor was told.
#[derive(Default)]
struct Told(BTreeMap<SetKey, BTreeMap<String, OfDocument>>);

impl Told {
    /// Tells what was found in a set.
    async fn tell(&mut self, client: &Client, key: &SetKey, set: &Set, all: Vec<Finding>, encoding: Encoding) {
        let of_document = |(document, own): (&Arc<Document>, Vec<Diagnostic>)| {
            let own = own.iter().map(|it| convert::diagnostic(document, it, encoding)).collect();
            (document.uri.clone(), document.version, own)
        };
        let found = set.documents.iter().zip(by_document(&documents(set), all)).map(of_document).collect();
        self.publish(client, key.clone(), found).await;
    }

    async fn publish(&mut self, client: &Client, key: SetKey, found: Vec<OfDocument>) {
        let mut before = self.0.remove(&key).unwrap_or_default();
        let mut now = BTreeMap::new();
        for (uri, version, diagnostics) in found {
            let is_new = match before.remove(uri.as_str()) {
                Some((_, told_version, told)) => told_version != version || told != diagnostics,
                None => version.is_some() || !diagnostics.is_empty(),
            };
            if is_new {
                client.publish_diagnostics(uri.clone(), diagnostics.clone(), version).await;
            }
            now.insert(uri.to_string(), (uri, version, diagnostics));
        }
        // What is not in the set any more has nothing wrong with it.
        for (uri, _, told) in before.into_values() {
            if !told.is_empty() {
                client.publish_diagnostics(uri, Vec::new(), None).await;
            }
        }
        if !now.is_empty() {
            self.0.insert(key, now);
        }
    }
}

/// The lock, whoever panicked with it: what it guards is whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

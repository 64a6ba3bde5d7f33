//! The thread through which all writes go.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::store::{
    Key, Revision, StoreError,
    embedded::database::Database,
    watchers::{Subscription, Watchers},
};

/// Changes in one commit.
const BATCH_MAX: usize = 256;
/// Bytes of values and records in one commit, the first change aside.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the thread is asked to do.
#[derive(Debug)]
pub(in crate::store::embedded) enum Job {
    /// A write, and where its answer goes once it is durable.
    Change(Change, oneshot::Sender<Result<Outcome, StoreError>>),
    /// A watch below a prefix, begun between two commits.
    Watch(Key, oneshot::Sender<Result<Subscription, StoreError>>),
    /// Let the file go.
    Stop,
}

/// A write.
#[derive(Debug)]
pub(in crate::store::embedded) enum Change {
    /// As [`crate::store::Store::put`].
    Put { key: Key, expected: Option<Revision>, value: Vec<u8> },
    /// As [`crate::store::Store::delete`].
    Delete { key: Key, expected: Revision },
    /// As [`crate::store::Log::append`].
    Append { log: Arc<str>, records: Vec<Vec<u8>> },
}

/// What came of a write.
#[derive(Debug)]
pub(in crate::store::embedded) enum Outcome {
    /// By this write.
    Written(Revision),
    /// From this position.
    Appended(u64),
}

/// Works until it is told to stop or nobody is left to tell it anything.
pub(in crate::store::embedded) fn run(database: &Database, mut jobs: mpsc::Receiver<Job>) {
    let mut watchers = Watchers::default();
    let mut next = jobs.blocking_recv();
    while let Some(job) = next.take() {
        match job {
            Job::Stop => break,
            Job::Watch(prefix, answer) => {
                let snapshot = database.list(&prefix);
                drop(answer.send(snapshot.map(|(entries, at)| watchers.add(prefix, entries, at))));
            }
            Job::Change(change, answer) => {
                let (changes, answers, other) = batch(change, answer, &mut jobs);
                commit(database, &mut watchers, &changes, answers);
                next = other;
            }
        }
        if next.is_none() {
            next = jobs.blocking_recv();
        }
    }
    database.close();
}

type Answer = oneshot::Sender<Result<Outcome, StoreError>>;

/// Takes what else waits to be changed, and the first job that is something else.
fn batch(change: Change, answer: Answer, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Change>, Vec<Answer>, Option<Job>) {
    let mut bytes = change.bytes();
    let (mut changes, mut answers) = (vec![change], vec![answer]);
    while changes.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
        match jobs.try_recv() {
            Ok(Job::Change(change, answer)) => {
                bytes = bytes.saturating_add(change.bytes());
                changes.push(change);
                answers.push(answer);
            }
            Ok(other) => return (changes, answers, Some(other)),
            Err(_) => break,
        }
    }
    (changes, answers, None)
}

/// Watchers hear of it before the writers do: whoever has an answer knows that every watch has the change in its queue.
fn commit(database: &Database, watchers: &mut Watchers, changes: &[Change], answers: Vec<Answer>) {
    match database.commit(changes) {
        Ok(committed) => {
            committed.events.into_iter().for_each(|event| watchers.publish(event));
            for (answer, outcome) in answers.into_iter().zip(committed.outcomes) {
                drop(answer.send(outcome));
            }
        }
        Err(error) => {
            tracing::error!(%error, "the store could not be written");
            // Nobody can tell whether the commit is there; whoever watches looks anew.
            watchers.resync();
            for answer in answers {
                drop(answer.send(Err(StoreError::Unavailable(error.to_string()))));
            }
        }
    }
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
            Self::Append { records, .. } => records.iter().map(Vec::len).sum(),
        }
    }
}

//! A watch that begins again by itself, for those who keep a picture of what is below a prefix.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};

use crate::store::{Entry, Key, Revision, Store, StoreError, WatchEvent};

/// Before a watch that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What a follower is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// Everything there is; forget what was said before.
    Snapshot(Vec<Entry>, Revision),
    /// A key has this value.
    Value(Entry),
    /// A key is gone.
    Deleted(Key, Revision),
    /// The store does not answer; what is known may be old from now on. A snapshot follows when it does again.
    Lost(String),
}

/// Follows everything below `prefix` until the receiver is dropped.
pub fn follow(store: Arc<dyn Store>, prefix: Key) -> mpsc::Receiver<Followed> {
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(async move {
        loop {
            let lost = match once(&*store, &prefix, &sender).await {
                Ok(()) => continue,
                Err(Some(error)) => Followed::Lost(error.to_string()),
                Err(None) => return,
            };
            if sender.send(lost).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(RETRY_AFTER) => (),
                () = sender.closed() => return,
            }
        }
    });
    receiver
}

/// One watch, until `Resync`. An error without a cause: nobody listens.
async fn once(store: &dyn Store, prefix: &Key, sender: &mpsc::Sender<Followed>) -> Result<(), Option<StoreError>> {
    let mut events = store.watch(prefix).await.map_err(Some)?;
    let mut snapshot = Some(Vec::new());
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = sender.closed() => return Err(None),
        };
        let event = event.ok_or_else(|| Some(StoreError::Unavailable("it has stopped".to_owned())))?;
        let told = match (event, &mut snapshot) {
            (WatchEvent::Resync, _) => return Ok(()),
            (WatchEvent::Value(entry), Some(entries)) => {
                entries.push(entry);
                continue;
            }
            (WatchEvent::CaughtUp(at), entries) => Followed::Snapshot(entries.take().unwrap_or_default(), at),
            (WatchEvent::Value(entry), None) => Followed::Value(entry),
            (WatchEvent::Deleted(key, at), _) => Followed::Deleted(key, at),
        };
        sender.send(told).await.map_err(|_| None)?;
    }
}

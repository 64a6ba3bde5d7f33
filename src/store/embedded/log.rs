//! A log in the embedded store.

use std::sync::Arc;

use crate::{
    limits::STORE_VALUE_BYTES_MAX,
    store::{
        Key, Log, StoreError, StoreFuture,
        embedded::{
            Embedded, closed,
            writer::{Change, Outcome},
        },
    },
};

/// One named log.
#[derive(Debug)]
pub(in crate::store::embedded) struct EmbeddedLog {
    store: Embedded,
    name: Arc<str>,
}

impl EmbeddedLog {
    pub(in crate::store::embedded) fn new(store: Embedded, name: &str) -> Self {
        Self { store, name: name.into() }
    }
}

impl Log for EmbeddedLog {
    fn append(&self, records: Vec<Vec<u8>>) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            if records.iter().any(|it| STORE_VALUE_BYTES_MAX < it.len()) {
                return Err(StoreError::TooLarge(Key::new([self.name.to_string()])));
            }
            let log = Arc::clone(&self.name);
            match self.store.change(Change::Append { log, records }).await? {
                Outcome::Appended(first) => Ok(first),
                Outcome::Written(_) => Err(closed()),
            }
        })
    }

    fn read(&self, from: u64, limit: usize) -> StoreFuture<'_, Vec<(u64, Vec<u8>)>> {
        let name = Arc::clone(&self.name);
        Box::pin(self.store.read(move |database| database.log_read(&name, from, limit)))
    }

    fn head(&self) -> StoreFuture<'_, u64> {
        let name = Arc::clone(&self.name);
        Box::pin(self.store.read(move |database| database.log_head(&name)))
    }
}

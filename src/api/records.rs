//! Typed reading and compare-and-set writing of stored records.

use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub(crate) use crate::store::json::{Record as Stored, put as save};
use crate::store::{
    Key, Store, StoreError,
    json::{self, decode},
};

/// How often a removal is tried again when someone else changes the record meanwhile.
const ATTEMPTS: usize = 16;

/// `job/<uuid>`.
pub(crate) fn job_key(uuid: Uuid) -> Key {
    Key::new(["job".to_owned(), uuid.to_string()])
}

/// `job-name/<fqn>`.
pub(crate) fn name_key(fqn: &str) -> Key {
    Key::new(["job-name", fqn])
}

/// `instance/<uuid>`.
pub(crate) fn instance_key(uuid: Uuid) -> Key {
    Key::new(["instance".to_owned(), uuid.to_string()])
}

/// `package/<fqn>`.
pub(crate) fn package_key(fqn: &str) -> Key {
    Key::new(["package", fqn])
}

/// `console/<session>`.
pub(crate) fn console_key(session: &str) -> Key {
    Key::new(["console", session])
}

/// Value of a probe for absence, which a crash may have left.
pub(crate) const PROBE: &[u8] = b"null";

/// Reads a record; a probe for one is none.
pub(crate) async fn load<T: DeserializeOwned>(store: &dyn Store, key: &Key) -> Result<Option<Stored<T>>, StoreError> {
    let Some(entry) = store.get(key).await?.filter(|it| it.value != PROBE) else { return Ok(None) };
    Ok(Some(Stored { value: decode(&entry)?, revision: entry.revision }))
}

/// Reads all records below a prefix, ascending. One that cannot be understood is logged and left out.
pub(crate) async fn load_all<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &'static str,
) -> Result<Vec<Stored<T>>, StoreError> {
    let entries = store.list(&Key::new([prefix])).await?;
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries.into_iter().filter(|it| it.value != PROBE) {
        match decode(&entry) {
            Ok(value) => records.push(Stored { value, revision: entry.revision }),
            Err(error) => tracing::error!(%error, "a stored record is left out"),
        }
    }
    Ok(records)
}

/// What a change does with a record.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// Writes this.
    To(T),
    /// Leaves it.
    Leave,
}

/// Changes a record by `change`, again and again while others change it too. Answers what is stored afterwards and by
/// which write; `None` when there is no such record.
pub(crate) async fn change<T: Serialize + DeserializeOwned, E: From<StoreError>>(
    store: &dyn Store,
    key: &Key,
    mut change: impl FnMut(&T) -> Result<Change<T>, E>,
) -> Result<Option<Stored<T>>, E> {
    json::update(store, key, |found: Option<T>| match found {
        None => Ok(json::Change::Keep),
        Some(found) => Ok(match change(&found)? {
            Change::To(value) => json::Change::Put(value),
            Change::Leave => json::Change::Keep,
        }),
    })
    .await
}

/// Deletes a record whatever it is. Answers whether there was one.
pub(crate) async fn remove(store: &dyn Store, key: &Key) -> Result<bool, StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(entry) = store.get(key).await? else { return Ok(false) };
        match store.delete(key, entry.revision).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Conflict(_)) => tokio::task::yield_now().await,
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict(key.clone()))
}

/// Whether there is truly no such record: reading may be late by a moment, writing never is.
pub(crate) async fn is_surely_absent(store: &dyn Store, key: &Key) -> Result<bool, StoreError> {
    let revision = match store.put(key, None, PROBE.to_vec()).await {
        Ok(revision) => revision,
        // A crash may have left a probe. If it is one that is under way, one of the two takes it away.
        Err(StoreError::Conflict(_)) => match store.get(key).await? {
            Some(entry) if entry.value == PROBE => entry.revision,
            Some(_) | None => return Ok(false),
        },
        Err(error) => return Err(error),
    };
    match store.delete(key, revision).await {
        Ok(()) => Ok(true),
        Err(StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

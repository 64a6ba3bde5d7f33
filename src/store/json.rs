//! Records as JSON in a store.

use serde::{Serialize, de::DeserializeOwned};

use crate::store::{Entry, Key, Revision, Store, StoreError};

/// A record with the write it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<T> {
    /// The record.
    pub value: T,
    /// By which write.
    pub revision: Revision,
}

/// What [`update`] makes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Write this.
    Put(T),
    /// Remove it.
    Delete,
    /// Leave it.
    Keep,
}

/// Tries of one update. Each lost race means that another writer got on, so that many tell of a fault.
const TRIES_MAX: usize = 64;

/// Reads a record.
pub async fn get<T: DeserializeOwned>(store: &dyn Store, key: &Key) -> Result<Option<Record<T>>, StoreError> {
    let Some(entry) = store.get(key).await? else { return Ok(None) };
    Ok(Some(Record { value: decode(&entry)?, revision: entry.revision }))
}

/// Writes a record if the key is at `expected`.
pub async fn put<T: Serialize>(
    store: &dyn Store,
    key: &Key,
    expected: Option<Revision>,
    value: &T,
) -> Result<Revision, StoreError> {
    store.put(key, expected, encode(key, value)?).await
}

/// All records below a prefix, ascending by key.
pub async fn list<T: DeserializeOwned>(store: &dyn Store, prefix: &Key) -> Result<Vec<(Key, Record<T>)>, StoreError> {
    let decoded = |entry: Entry| {
        let value = decode(&entry)?;
        Ok((entry.key, Record { value, revision: entry.revision }))
    };
    store.list(prefix).await?.into_iter().map(decoded).collect()
}

/// Changes a record: `change` sees what is there and says what shall be; it is asked again when somebody was faster.
///
/// Answers what is there afterwards. An error of `change` ends it with nothing written. On [`Change::Keep`] what
/// `change` has seen may be stale by a moment, as any reading may be.
pub async fn update<T, E>(
    store: &dyn Store,
    key: &Key,
    mut change: impl FnMut(Option<T>) -> Result<Change<T>, E>,
) -> Result<Option<Record<T>>, E>
where
    T: Serialize + DeserializeOwned,
    E: From<StoreError>,
{
    for _ in 0..TRIES_MAX {
        let entry = store.get(key).await?;
        let present = entry.as_ref().map(decode).transpose()?;
        let revision = entry.as_ref().map(|it| it.revision);
        let written = match change(present)? {
            Change::Keep => {
                return Ok(entry.map(|it| Ok(Record { value: decode(&it)?, revision: it.revision })).transpose()?);
            }
            Change::Put(value) => match put(store, key, revision, &value).await {
                Ok(revision) => Ok(Some(Record { value, revision })),
                Err(error) => Err(error),
            },
            Change::Delete => match revision {
                Some(revision) => store.delete(key, revision).await.map(|()| None),
                None => return Ok(None),
            },
        };
        match written {
            Err(StoreError::Conflict(_)) => tokio::task::yield_now().await,
            Err(error) => return Err(error.into()),
            Ok(record) => return Ok(record),
        }
    }
    Err(StoreError::Conflict(key.clone()).into())
}

/// Reads an entry's value.
pub fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T, StoreError> {
    serde_json::from_slice(&entry.value).map_err(|error| StoreError::Damaged(entry.key.clone(), error.to_string()))
}

/// Writes a value.
pub fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Damaged(key.clone(), error.to_string()))
}

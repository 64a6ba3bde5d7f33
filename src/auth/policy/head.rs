//! The head as its writer handles it: read, signed, replaced.

use std::io::Cursor;

use crate::{
    auth::{AuthError, keyring::Keyring},
    gate::{head_bytes, head_key},
    source::Source,
    store::{Revision, Store, json},
    wire::policy::{PolicyEntry, PolicyHead},
};

/// A head with the write it came from.
#[derive(Debug, Clone)]
pub(in crate::auth) struct Head {
    pub(in crate::auth) head: PolicyHead,
    pub(in crate::auth) at: Revision,
}

/// The head in the store, if it is there and is one of ours: nothing is built on a head that someone else made.
pub(in crate::auth) async fn read(store: &dyn Store, keyring: &Keyring) -> Result<Option<Head>, AuthError> {
    let Some(record) = json::get::<PolicyHead>(store, &head_key()).await? else { return Ok(None) };
    let head = record.value;
    let key = keyring.snapshot_keys().get(&head.kid);
    if !key.is_some_and(|it| it.verifies(&head_bytes(&head), &head.signature)) {
        return Err(AuthError::Key("the policy head in the store is not signed by a key of ours".to_owned()));
    }
    Ok(Some(Head { head, at: record.revision }))
}

/// Signs a head and puts it in the place of the one at `expected`.
pub(in crate::auth) async fn replace(
    store: &dyn Store,
    keyring: &Keyring,
    expected: Option<Revision>,
    revision: u64,
    documents: Vec<PolicyEntry>,
    tests: Vec<PolicyEntry>,
) -> Result<PolicyHead, AuthError> {
    let key = &keyring.snapshots.key;
    let engine = env!("CARGO_PKG_VERSION").to_owned();
    let mut head =
        PolicyHead { revision, engine, documents, tests, kid: key.id().to_owned(), signature: String::new() };
    head.signature = key.sign(&head_bytes(&head))?;
    json::put(store, &head_key(), expected, &head).await?;
    Ok(head)
}

/// Keeps a text and answers its entry.
pub(in crate::auth) async fn keep(
    store: &dyn Store,
    name: &str,
    source: &Source,
    version: u64,
    author: &str,
) -> Result<PolicyEntry, AuthError> {
    let digest = store.put_blob(Box::pin(Cursor::new(source.text().as_bytes().to_vec()))).await?;
    Ok(PolicyEntry { name: name.to_owned(), version, digest, author: author.to_owned() })
}

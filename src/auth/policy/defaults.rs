//! The documents of a first start, and the way back to them when everyone has locked themselves out.

use crate::{
    audit::Event,
    auth::{
        AuthError,
        keyring::Keyring,
        policy::head::{self, Head},
    },
    compile::system::default_sources,
    gate::{Clock, Witness, head_key, record},
    store::Store,
    wire::policy::{PolicyEntry, PolicyHead},
};

/// Author of documents that nobody wrote.
const AUTHOR: &str = "gatehouse";

/// Writes the default documents where there is no policy set yet. Several auth roles may do so at once: one wins.
pub async fn ensure_defaults(store: &dyn Store, keyring: &Keyring, first_admin: &str) -> Result<(), AuthError> {
    if head::read(store, keyring).await?.is_some() {
        return Ok(());
    }
    let documents = default_documents(store, first_admin).await?;
    match head::replace(store, keyring, None, 1, documents, Vec::new()).await {
        Ok(_) | Err(AuthError::Store(crate::store::StoreError::Conflict(_))) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Break-glass: replaces all documents by the defaults, whatever is in force, with a new first admin, and drops the tests. Only who may use
/// the store and the keys can do so, and it is written down before it is done.
pub async fn reset(
    store: &dyn Store,
    keyring: &Keyring,
    witness: &dyn Witness,
    clock: &dyn Clock,
    first_admin: &str,
) -> Result<PolicyHead, AuthError> {
    let documents = default_documents(store, first_admin).await?;
    let present = store.get(&head_key()).await?;
    // A head that cannot be believed cannot say how far it had come. Each write of it moved the store on by at least
    // one, so that the store's own count is never behind.
    let next = match head::read(store, keyring).await {
        Ok(Some(Head { head, .. })) => head.revision.saturating_add(1),
        Ok(None) => 1,
        Err(_) => present.as_ref().map_or(1, |it| it.revision.0.saturating_add(1)),
    };
    let mut item = record::item(Event::PolicyChanged.as_str(), "policy::/", "operator", clock.unix_ms());
    item.payload.insert("reset".to_owned(), format!("first admin is `{first_admin}`"));
    item.payload.insert("revision".to_owned(), next.to_string());
    witness.record(item).await.map_err(|_| AuthError::Gate(crate::gate::GateError::Unrecorded))?;
    head::replace(store, keyring, present.map(|it| it.revision), next, documents, Vec::new()).await
}

async fn default_documents(store: &dyn Store, first_admin: &str) -> Result<Vec<PolicyEntry>, AuthError> {
    let mut sources = default_sources(first_admin).map_err(|error| AuthError::Invalid(error.to_string()))?;
    sources.sort_by(|a, b| a.document().cmp(b.document()));
    let mut documents = Vec::new();
    for source in &sources {
        documents.push(head::keep(store, source.document(), source, 1, AUTHOR).await?);
    }
    Ok(documents)
}

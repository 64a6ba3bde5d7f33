//! Leases in the store: written before their clone, deleted after it.

use crate::{
    api::{
        jobs,
        records::{Change, change, console_key, load, remove, save},
    },
    store::{Store, StoreError},
    wire::job::ConsoleLease,
};

/// Writes a new lease.
pub(crate) async fn begin(store: &dyn Store, lease: &ConsoleLease) -> Result<(), StoreError> {
    save(store, &console_key(&lease.session), None, lease).await.map(drop)
}

/// Lets a lease go on. `false` when it is gone or someone else's by now.
pub(crate) async fn renew(store: &dyn Store, session: &str, owner: &str) -> Result<bool, StoreError> {
    let key = console_key(session);
    let renewed = change(store, &key, |lease: &ConsoleLease| {
        if lease.owner != owner {
            return Ok::<_, StoreError>(Change::Leave);
        }
        Ok(Change::To(ConsoleLease { epoch: lease.epoch.saturating_add(1), ..lease.clone() }))
    });
    Ok(renewed.await?.is_some_and(|lease| lease.value.owner == owner))
}

/// Takes a lease that was last seen as `seen`. `false` when it has changed meanwhile: its owner lives, or another
/// sweeper was quicker.
pub(crate) async fn take(store: &dyn Store, seen: &ConsoleLease, owner: &str) -> Result<bool, StoreError> {
    let key = console_key(&seen.session);
    let Some(found) = load::<ConsoleLease>(store, &key).await? else { return Ok(false) };
    if found.value != *seen {
        return Ok(false);
    }
    let taken = ConsoleLease { owner: owner.to_owned(), epoch: seen.epoch.saturating_add(1), ..seen.clone() };
    match save(store, &key, Some(found.revision), &taken).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes the clone, and the lease only when nothing of the clone is left. Safe to repeat from any point.
pub(crate) async fn end(store: &dyn Store, session: &str) -> Result<Option<ConsoleLease>, StoreError> {
    let key = console_key(session);
    let Some(lease) = load::<ConsoleLease>(store, &key).await? else { return Ok(None) };
    jobs::delete(store, lease.value.clone, &lease.value.clone_fqn).await?;
    remove(store, &key).await?;
    Ok(Some(lease.value))
}

//! Ending logins before their tokens expire.

use crate::{
    auth::AuthError,
    gate::{Clock, Principal, Revoked, revoked_principal, revoked_session},
    store::{
        Key, Store, StoreError,
        json::{self, Change},
    },
    wire::user::NameOwner,
};

/// Ends the login that a token belongs to, and every token of it.
pub async fn revoke_session(store: &dyn Store, principal: &Principal) -> Result<(), AuthError> {
    write(store, &revoked_session(principal.sid()), i64::MAX).await
}

/// Ends every login of a principal until now. Who may still log in can do so again.
pub async fn revoke_all(store: &dyn Store, name: &str, clock: &dyn Clock) -> Result<(), AuthError> {
    write(store, &revoked_principal(name), clock.unix_seconds()).await
}

/// Ends every login that a subject has had so far, under whatever names policy gave it.
pub(in crate::auth) async fn revoke_subject(
    store: &dyn Store,
    own: &NameOwner,
    clock: &dyn Clock,
) -> Result<(), AuthError> {
    for (key, owner) in json::list::<NameOwner>(store, &Key::new(["principal-name"])).await? {
        if owner.value == *own
            && let Some(name) = key.segments().last()
        {
            revoke_all(store, name, clock).await?;
        }
    }
    Ok(())
}

async fn write(store: &dyn Store, key: &Key, issued_until: i64) -> Result<(), AuthError> {
    json::update(store, key, |present: Option<Revoked>| {
        // Never less than was revoked already.
        let issued_until = present.map_or(issued_until, |it| it.issued_until.max(issued_until));
        Ok::<_, StoreError>(Change::Put(Revoked { issued_until }))
    })
    .await?;
    Ok(())
}

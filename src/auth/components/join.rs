//! How components on other hosts join and stay: a token that works once, then the key that it was used with.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    auth::{
        AuthError,
        components::{SigningRequest, Validity},
        keyring::Keyring,
        random,
    },
    gate::Clock,
    link::{Credentials, Identity, LinkError, Role},
    store::{Key, Store, StoreError, json},
    wire::join::{ComponentCertificate, ComponentRecord, JoinRecord, JoinRequest, JoinToken, RenewRequest},
};

/// Longest life of a join token.
const JOIN_SECONDS_MAX: u64 = 7 * 86_400;

/// Issues component certificates.
#[derive(Debug)]
pub struct Components {
    cluster: String,
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// How long a certificate lasts.
    seconds: i64,
}

impl Components {
    /// Of one cluster, with certificates that last `seconds`.
    pub fn new(
        cluster: &str,
        keyring: Arc<Keyring>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        seconds: u64,
    ) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(0);
        Self { cluster: cluster.to_owned(), keyring, store, clock, seconds }
    }

    /// Credentials of a role in this process. Call [`Components::refresh`] every [`Components::refresh_every`].
    pub fn credentials(&self, role: Role, id: &str) -> Result<Credentials, AuthError> {
        let (chain, key, trust) = self.certify_new(role, id)?;
        Credentials::from_pem(&chain, &key, &trust).map_err(|error| unusable(&error))
    }

    /// Replaces the credentials of a role in this process by fresh ones.
    pub fn refresh(&self, credentials: &Credentials) -> Result<(), AuthError> {
        let identity =
            credentials.identity().ok_or_else(|| AuthError::Invalid("there is no identity yet".to_owned()))?;
        let (chain, key, trust) = self.certify_new(identity.role, &identity.id)?;
        credentials.replace(&chain, &key, &trust).map_err(|error| unusable(&error))
    }

    /// After how long credentials are to be refreshed.
    pub fn refresh_every(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.seconds.unsigned_abs() / 2)
    }

    /// A token by which one component of a role may join once. Only its hash is kept.
    pub async fn join_token(&self, role: Role, lasts_seconds: u64) -> Result<(JoinToken, i64), AuthError> {
        if !may_join(role) {
            return Err(AuthError::Invalid(format!("a component of role `{role}` does not join")));
        }
        if lasts_seconds == 0 || JOIN_SECONDS_MAX < lasts_seconds {
            return Err(AuthError::Invalid(format!("a join token lasts 1 to {JOIN_SECONDS_MAX} seconds")));
        }
        let expires = self.clock.unix_seconds().saturating_add(i64::try_from(lasts_seconds).unwrap_or(0));
        let secret = hex::encode(random::bytes::<32>()?);
        let record = JoinRecord { role: role.as_str().to_owned(), expires };
        json::put(&*self.store, &join_key(&secret), None, &record).await?;
        let fingerprint = self.keyring.components().fingerprint();
        Ok((JoinToken { cluster: self.cluster.clone(), secret, fingerprint }, expires))
    }

    /// Uses up a token and certifies the key of the request under a new identity.
    pub async fn join(&self, request: &JoinRequest) -> Result<ComponentCertificate, AuthError> {
        // The request is read first: a token is not wasted on one that cannot be certified.
        let csr = SigningRequest::from_pem(&request.csr)?;
        let role = self.redeem(&request.token).await?;
        let now = self.clock.unix_seconds();
        let id = Uuid::new_v4().to_string();
        let identity = Identity::new(role, &id, &self.cluster).map_err(|error| unusable(&error))?;
        let record = ComponentRecord { key: csr.key_id(), joined: now };
        json::put(&*self.store, &component_key(&identity), None, &record).await?;
        tracing::info!(event = "component.joined", %identity, "a component joined");
        self.keyring.components().certify(&identity, &csr, self.validity())
    }

    /// Another certificate for a component that joined, by the key that it joined with: whoever passes the request on,
    /// an API server too, gets nothing for a key of its own.
    pub async fn renew(&self, identity: &Identity, request: &RenewRequest) -> Result<ComponentCertificate, AuthError> {
        let csr = SigningRequest::from_pem(&request.csr)?;
        let unknown = || AuthError::Peer("no such component with this key has joined".to_owned());
        if identity.cluster != self.cluster || !may_join(identity.role) {
            return Err(unknown());
        }
        let record = json::get::<ComponentRecord>(&*self.store, &component_key(identity)).await?.ok_or_else(unknown)?;
        if record.value.key != csr.key_id() {
            return Err(unknown());
        }
        self.keyring.components().certify(identity, &csr, self.validity())
    }

    /// Ends a component: its certificate is not renewed any more.
    pub async fn remove(&self, identity: &Identity) -> Result<(), AuthError> {
        let key = component_key(identity);
        let entry = self.store.get(&key).await?.ok_or_else(|| AuthError::NotFound(identity.uri()))?;
        Ok(self.store.delete(&key, entry.revision).await?)
    }

    /// Deletes the record of a token; who deletes it is the one that may join. One answer for all that is wrong.
    async fn redeem(&self, secret: &str) -> Result<Role, AuthError> {
        let refused = || AuthError::Peer("the join token is unknown, used or expired".to_owned());
        let key = join_key(secret);
        let record = json::get::<JoinRecord>(&*self.store, &key).await?.ok_or_else(refused)?;
        match self.store.delete(&key, record.revision).await {
            Ok(()) => (),
            Err(StoreError::Conflict(_)) => return Err(refused()),
            Err(error) => return Err(error.into()),
        }
        let record = record.value;
        if record.expires <= self.clock.unix_seconds() {
            return Err(refused());
        }
        Role::ALL.into_iter().find(|it| it.as_str() == record.role && may_join(*it)).ok_or_else(refused)
    }

    fn validity(&self) -> Validity {
        Validity { now: self.clock.unix_seconds(), seconds: self.seconds }
    }

    fn certify_new(&self, role: Role, id: &str) -> Result<(String, String, String), AuthError> {
        let identity = Identity::new(role, id, &self.cluster).map_err(|error| unusable(&error))?;
        let certified = self.keyring.components().certify_new(&identity, self.validity())?;
        Ok((certified.certificate.chain, certified.key.to_string(), certified.certificate.trust))
    }
}

/// API servers and auth hold state; they are set up by the operator beside it and never join by token.
fn may_join(role: Role) -> bool {
    match role {
        Role::Im | Role::Router => true,
        Role::Api | Role::Auth => false,
    }
}

fn join_key(secret: &str) -> Key {
    Key::new(["join".to_owned(), hex::encode(Sha256::digest(secret.as_bytes()))])
}

fn component_key(identity: &Identity) -> Key {
    Key::new(["component", identity.role.as_str(), &identity.id])
}

fn unusable(error: &(impl std::fmt::Display + ?Sized)) -> AuthError {
    AuthError::Key(error.to_string())
}

impl From<LinkError> for AuthError {
    fn from(error: LinkError) -> Self {
        Self::Key(error.to_string())
    }
}

//! The auth role: logins, tokens, policy documents, and the only keys that sign.
//!
//! [`Keyring`] has the private keys, each for one purpose. [`Logins`] turns passwords into tokens by policy,
//! [`PolicyWriter`] is the only writer of the signed policy head, [`Signer`] certifies the keys of sessions after a
//! decision of its own, [`Components`] certifies components. [`router`] serves them to other roles, [`admin`] to the
//! operator.

mod components;
mod error;
mod keyring;
mod login;
mod policy;
mod random;
mod revoke;
mod sealer;
mod server;
mod signer;
mod users;

use std::{path::PathBuf, sync::Arc};

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

pub use self::{
    components::{ComponentAuthority, Components},
    error::AuthError,
    keyring::{Keyring, KeyringError, Purpose, SigningKey, add_key},
    login::{LOGIN_TARGET, Logins},
    policy::{PolicyWriter, ensure_defaults, reset},
    revoke::{revoke_all, revoke_session},
    sealer::{SealError, Sealer},
    server::{admin, router},
    signer::Signer,
    users::Users,
};
use crate::{
    gate::{Authenticator, Clock, Gate, Kept, PolicyView, Revocations, Witness},
    store::Store,
    wire::join::Authorities,
};

/// What an auth role is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The cluster's name.
    pub cluster: String,
    /// Folder of the keys; made with mode 0700 if absent.
    pub keys: PathBuf,
    /// Where state is.
    pub store: Arc<dyn Store>,
    /// Where the compiled policy set is kept.
    pub kept: Kept,
    /// The audit log, with a chain of its own.
    pub witness: Arc<dyn Witness>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The cluster's zone.
    pub zone: TimeZone,
    /// Name of the first admin, for the documents of a first start.
    pub first_admin: String,
    /// The longest that a token lasts, in seconds; policy may say less.
    pub token_seconds: u64,
    /// How long a component's certificate lasts, in seconds.
    pub component_seconds: u64,
}

/// A running auth role.
#[derive(Debug)]
pub struct Auth {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    gate: Arc<Gate>,
    users: Arc<Users>,
    logins: Logins,
    policy: PolicyWriter,
    signer: Signer,
    components: Components,
}

/// Why an auth role does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its keys.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// What it wants to do first.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Auth {
    /// Opens or makes the keys, writes the default documents at a first start, and follows policy and revocations until
    /// cancelled.
    pub async fn start(setup: Setup, cancel: CancellationToken) -> Result<Arc<Self>, StartError> {
        let Setup { cluster, keys, store, kept, witness, clock, zone, first_admin, token_seconds, component_seconds } =
            setup;
        let keyring = Arc::new(Keyring::open(&keys, &cluster)?);
        ensure_defaults(&*store, &keyring, &first_admin).await?;
        let trusted = keyring.snapshot_keys().clone();
        let view = PolicyView::start_from(kept, Arc::clone(&store), trusted, cancel.clone()).await?;
        let revocations = Revocations::start(Arc::clone(&store), cancel).await?;
        let tokens = keyring.token_keys().clone();
        let authenticator = Arc::new(Authenticator::new(&cluster, tokens, revocations, Arc::clone(&clock)));
        let gate = Arc::new(Gate::new(view, authenticator, witness, Arc::clone(&clock), zone));
        let users = Arc::new(Users::new(Arc::clone(&store))?);
        let shared = || (Arc::clone(&gate), Arc::clone(&keyring), Arc::clone(&store));
        let (login_gate, login_keyring, login_store) = shared();
        let (policy_gate, policy_keyring, policy_store) = shared();
        let (signer_gate, signer_keyring, signer_store) = shared();
        Ok(Arc::new(Self {
            logins: Logins::new(&cluster, login_gate, login_keyring, login_store, Arc::clone(&users), token_seconds),
            policy: PolicyWriter::new(policy_gate, policy_keyring, policy_store),
            signer: Signer::new(signer_gate, signer_keyring, signer_store),
            components: Components::new(&cluster, Arc::clone(&keyring), Arc::clone(&store), clock, component_seconds),
            store,
            keyring,
            gate,
            users,
        }))
    }

    /// Its gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Local users.
    pub fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Logins.
    pub fn logins(&self) -> &Logins {
        &self.logins
    }

    /// The writer of policy.
    pub fn policy(&self) -> &PolicyWriter {
        &self.policy
    }

    /// The signer of sessions.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Certificates of components.
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// The private keys.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The public halves, for other roles.
    pub fn authorities(&self) -> Authorities {
        Authorities {
            instance_users: self.keyring.instance_user_authorities(),
            external_users: self.keyring.external_users.openssh(),
            hosts: self.keyring.hosts.openssh(),
            tokens: self.keyring.token_keys().to_wire(),
            snapshots: self.keyring.snapshot_keys().to_wire(),
            audit: self.keyring.audit_keys().to_wire(),
            components: self.keyring.components().trust().to_owned(),
        }
    }
}

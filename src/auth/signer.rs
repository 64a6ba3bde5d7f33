//! The signer: decides by itself, from the user's own token and the store, and only then certifies a session's key.
//!
//! What an API server says beside the token is a claim to be checked: which instance, which request. A stolen API server
//! without a user's token gets nothing, and with one no more than that user may have.

use std::{net::IpAddr, sync::Arc};

use russh::keys::ssh_key::{
    PublicKey,
    certificate::{Builder, CertType},
};
use uuid::Uuid;

use crate::{
    auth::{AuthError, keyring::Keyring, random},
    gate::{Gate, Grant, Principal, SessionTarget},
    link::{Identity, Role},
    store::{Key, Store, json},
    wire::{
        job::{InstanceRecord, Job},
        sign::{Open, SESSION_OPTION, SessionOption, SignSession, SignedSession},
    },
};

/// A certificate is good for a minute in all: this long before its signing, for the skew of clocks, ...
const BACKDATE_SECONDS: i64 = 10;
/// ... and this long after.
const VALID_SECONDS: i64 = 50;

/// Bytes of an OpenSSH Ed25519 public key with a comment.
const PUBLIC_KEY_BYTES_MAX: usize = 1_024;

/// Signs certificates of sessions.
#[derive(Debug)]
pub struct Signer {
    gate: Arc<Gate>,
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
}

impl Signer {
    /// By its own gate.
    pub fn new(gate: Arc<Gate>, keyring: Arc<Keyring>, store: Arc<dyn Store>) -> Self {
        Self { gate, keyring, store }
    }

    /// Answers an API server's request for one session's certificate.
    pub async fn sign(&self, peer: &Identity, request: &SignSession) -> Result<SignedSession, AuthError> {
        if peer.role != Role::Api {
            return Err(AuthError::Peer("only an API server has sessions to sign for".to_owned()));
        }
        check_session(&request.session, peer)?;
        let public_key = session_key(&request.public_key)?;
        let client = client_address(request.client_address.as_deref())?;
        let principal = self.gate.authenticate(Some(&request.token))?;
        let (instance, job, source) = self.look_up(&principal, request.instance, client).await?;
        let target = SessionTarget {
            job: &job,
            source: source.as_ref(),
            instance: instance.uuid,
            session: &request.session,
            open: &request.open,
            client,
        };
        let grant = self.gate.open_session(&principal, &target).await?;
        if !ssh_is_enabled(&job) {
            return Err(AuthError::SshNotEnabled(job.fqn));
        }
        // The lease may have moved while we decided: the certificate must be for the one in force.
        let epoch = self.epoch(&instance).await?;
        self.gate.still_holds(&grant).map_err(|stale| AuthError::Conflict(stale.to_string()))?;
        let certificate = self.certify(&grant, &request.session, epoch, &public_key)?;
        Ok(SignedSession { certificate, revision: grant.revision() })
    }

    /// The instance, its job and, for a console clone, the job that it was cloned from, all as the store has them now.
    /// What is absent and what the user may not know of get one answer.
    async fn look_up(
        &self,
        principal: &Principal,
        uuid: Uuid,
        client: Option<IpAddr>,
    ) -> Result<(InstanceRecord, Job, Option<Job>), AuthError> {
        let instance = self.instance(uuid).await?;
        let job = match &instance {
            Some(instance) => self.job(instance.job).await?,
            None => None,
        };
        let job = self.gate.find_job(principal, job, &uuid.to_string(), client).await?;
        let instance = instance.ok_or_else(|| AuthError::NotFound(uuid.to_string()))?;
        let Some(lease) = &job.console else { return Ok((instance, job, None)) };
        let gone = || AuthError::NotFound(lease.source_fqn.clone());
        let source = self.job(lease.source).await?.ok_or_else(gone)?;
        Ok((instance, job, Some(source)))
    }

    async fn instance(&self, uuid: Uuid) -> Result<Option<InstanceRecord>, AuthError> {
        let key = Key::new(["instance".to_owned(), uuid.to_string()]);
        let found = json::get::<InstanceRecord>(&*self.store, &key).await?;
        // A record that names another instance than its key is damage, and not to be signed for.
        Ok(found.map(|it| it.value).filter(|it| it.uuid == uuid))
    }

    async fn job(&self, uuid: Uuid) -> Result<Option<Job>, AuthError> {
        let found = json::get::<Job>(&*self.store, &Key::new(["job".to_owned(), uuid.to_string()])).await?;
        Ok(found.map(|it| it.value).filter(|it| it.uuid == uuid))
    }

    async fn epoch(&self, decided: &InstanceRecord) -> Result<u64, AuthError> {
        match self.instance(decided.uuid).await? {
            Some(now) if now == *decided => Ok(now.epoch),
            Some(_) | None => Err(AuthError::Conflict("the instance was moved: try again".to_owned())),
        }
    }

    /// Certifies a key for the session that a grant is for, and for nothing else.
    fn certify(&self, grant: &Grant, session: &str, epoch: u64, public_key: &PublicKey) -> Result<String, AuthError> {
        let failed = |error: &dyn std::fmt::Display| AuthError::Key(error.to_string());
        let now = self.gate.clock().unix_seconds();
        let second = |at: i64| u64::try_from(at).map_err(|error| failed(&error));
        let after = second(now.saturating_sub(BACKDATE_SECONDS))?;
        // Never longer than the decision that it rests on.
        let before = second(now.saturating_add(VALID_SECONDS).min(grant.valid_until()))?;
        let option = SessionOption { session: session.to_owned(), epoch, user: grant.user().map(ToOwned::to_owned) };
        let option = serde_json::to_string(&option).map_err(|error| failed(&error))?;
        let mut builder = Builder::new(random::bytes::<32>()?, public_key.key_data().clone(), after, before)
            .map_err(|error| failed(&error))?;
        builder
            .serial(u64::from_be_bytes(random::bytes()?))
            .and_then(|it| it.cert_type(CertType::User))
            .and_then(|it| it.key_id(session))
            .and_then(|it| it.critical_option(SESSION_OPTION, option))
            .map_err(|error| failed(&error))?;
        builder.valid_principal(checked_principal(&grant.instance().to_string())?).map_err(|error| failed(&error))?;
        if wants_terminal(grant.open()) {
            builder.extension("permit-pty", "").map_err(|error| failed(&error))?;
        }
        let certificate = builder.sign(&self.keyring.instance_users.key).map_err(|error| failed(&error))?;
        certificate.to_openssh().map_err(|error| failed(&error))
    }
}

/// `[A-Za-z0-9-]{1,64}`, and it begins with the id of the API server that asks: no server speaks for another's session.
fn check_session(session: &str, peer: &Identity) -> Result<(), AuthError> {
    let plain = session.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    let own = session.strip_prefix(&peer.id).and_then(|it| it.strip_prefix('-')).is_some_and(|it| !it.is_empty());
    if plain && own && session.len() <= 64 {
        return Ok(());
    }
    Err(AuthError::Invalid("the session's id is not one of the API server that asks".to_owned()))
}

/// Reads the session's key: Ed25519 only, whatever else the format can hold.
fn session_key(text: &str) -> Result<PublicKey, AuthError> {
    let invalid = || AuthError::Invalid("the session's key is no Ed25519 public key in OpenSSH format".to_owned());
    if PUBLIC_KEY_BYTES_MAX < text.len() {
        return Err(invalid());
    }
    let key = PublicKey::from_openssh(text).map_err(|_| invalid())?;
    if key.key_data().ed25519().is_none() { Err(invalid()) } else { Ok(key) }
}

fn client_address(text: Option<&str>) -> Result<Option<IpAddr>, AuthError> {
    let invalid = |_| AuthError::Invalid("the client's address is no IP address".to_owned());
    text.map(|it| it.parse().map_err(invalid)).transpose()
}

/// OpenSSH reads a comma in a list of principals as two (CVE-2026-35414), so none is ever signed.
fn checked_principal(principal: &str) -> Result<&str, AuthError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':');
    if !principal.is_empty() && principal.bytes().all(plain) {
        return Ok(principal);
    }
    Err(AuthError::Invalid("the certificate's principal has a character that it may not have".to_owned()))
}

fn ssh_is_enabled(job: &Job) -> bool {
    job.ports.iter().any(|it| it.number == 222) && job.tags.get("ssh").is_some_and(|it| it == "true")
}

fn wants_terminal(open: &Open) -> bool {
    match open {
        Open::Shell { pty } | Open::Exec { pty, .. } => pty.is_some(),
        Open::Subsystem { .. } | Open::Forward { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_one_word() {
        assert!(checked_principal("8d5ad6ae-3c3b-4e5c-9c4e-3b0f5bb0a2d1").is_ok());
        assert!(checked_principal("gatehouse:8d5ad6ae").is_ok());
        for bad in ["", "a,b", "a b", "a\nb", "a\0", "*", "ä", "root@host", "\u{1b}[2J"] {
            assert!(checked_principal(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_belongs_to_the_server_that_asks() {
        let peer = Identity::new(Role::Api, "api-1", "demo").unwrap();
        assert!(check_session("api-1-0f", &peer).is_ok());
        let long = format!("api-1-{}", "a".repeat(59));
        for bad in ["", "api-1", "api-1-", "api-2-0f", "api-10f", "api-1-0f/x", "api-1-0f,", "api-1-\u{e4}", &long] {
            assert!(check_session(bad, &peer).is_err(), "{bad:?}");
        }
    }
}

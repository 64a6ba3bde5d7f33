//! Signs where the audit log's chains end. Writers on API servers hold no key: the auth role reads what they wrote.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    audit::{AuditError, Ends, audit_head_bytes, audit_head_key},
    auth::{AuthError, keyring::Keyring},
    gate::KeySet,
    store::{Log, Revision, Store, StoreError, json},
    wire::audit::AuditHead,
};

/// Between two looks at the log: so much of its end may be without a head after a crash.
const SEAL_EVERY: Duration = Duration::from_secs(1);

/// Why there is no new head. The old one stays, and `apc audit verify` tells.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The head in the store is signed by nobody whom we trust.
    #[error("the signed head of the audit log is not signed by a key of ours")]
    NotOurs,
    /// The log is not the one that was sealed.
    #[error("the audit log does not go on from its signed head: record {position}: {reason}")]
    Broken {
        /// Of the first record that is wrong.
        position: u64,
        /// For people.
        reason: String,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Key(#[from] AuthError),
}

/// Follows the log and keeps its signed head in the store.
#[derive(Debug)]
pub struct Sealer {
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    log: Arc<dyn Log>,
    /// What was sealed last, and the write of it; none until the store was asked, and after every error.
    sealed: Option<(Ends, Option<Revision>)>,
}

impl Sealer {
    /// Of one log.
    pub fn new(keyring: Arc<Keyring>, store: Arc<dyn Store>, log: Arc<dyn Log>) -> Self {
        Self { keyring, store, log, sealed: None }
    }

    /// Seals what has come, every second, until `stop`. Call [`Sealer::seal`] once more when every writer has stopped.
    pub async fn run(&mut self, stop: &CancellationToken) {
        let mut told = None;
        loop {
            // One line for one cause: a log that was tampered with stays so.
            let problem = self.seal().await.err().map(|error| error.to_string());
            if let Some(problem) = problem.as_ref().filter(|it| told.as_ref() != Some(*it)) {
                tracing::error!(event = "audit.seal.failed", %problem, "the audit log is not sealed");
            }
            told = problem;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SEAL_EVERY) => (),
            }
        }
    }

    /// Reads what was written since the last head and signs where it ends. A log that does not go on from the head is
    /// never signed.
    pub async fn seal(&mut self) -> Result<(), SealError> {
        let (mut ends, revision) = match self.sealed.take() {
            Some(sealed) => sealed,
            None => self.restore().await?,
        };
        let before = ends.position;
        if let Some(broken) = ends.advance(&*self.log, |_, _| Ok(())).await? {
            return Err(SealError::Broken { position: broken.position, reason: broken.reason });
        }
        let revision = match revision {
            Some(revision) if ends.position == before => revision,
            Some(_) | None => self.sign(&ends, revision).await?,
        };
        self.sealed = Some((ends, Some(revision)));
        Ok(())
    }

    async fn restore(&self) -> Result<(Ends, Option<Revision>), SealError> {
        let Some(record) = json::get::<AuditHead>(&*self.store, &audit_head_key()).await? else {
            return Ok((Ends::default(), None));
        };
        if !is_signed(&record.value, self.keyring.audit_keys()) {
            return Err(SealError::NotOurs);
        }
        let ends = Ends::of_head(&record.value);
        if !ends.are_in(&*self.log).await? {
            let reason = "it is not the one that the head speaks of".to_owned();
            return Err(SealError::Broken { position: ends.position.saturating_sub(1), reason });
        }
        Ok((ends, Some(record.revision)))
    }

    async fn sign(&self, ends: &Ends, expected: Option<Revision>) -> Result<Revision, SealError> {
        let key = &self.keyring.audit.key;
        let (position, writers) = (ends.position, ends.writers.clone());
        let mut head = AuditHead { position, writers, kid: key.id().to_owned(), signature: String::new() };
        head.signature = key.sign(&audit_head_bytes(&head))?;
        Ok(json::put(&*self.store, &audit_head_key(), expected, &head).await?)
    }
}

/// Whether a head is signed by a key that is trusted for it.
fn is_signed(head: &AuditHead, keys: &KeySet) -> bool {
    keys.get(&head.kid).is_some_and(|key| key.verifies(&audit_head_bytes(head), &head.signature))
}

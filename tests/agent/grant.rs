//! A grant, made the only way there is: by a policy set, a token and a decision that was written down.

use std::{collections::BTreeMap, io::Cursor, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse::{
    gate::{
        Authenticator, Clock, Gate, Grant, ISSUER, KeySet, PolicyView, PublicKey, Recorded, Revocations, SessionTarget,
        SystemClock, Witness, head_bytes, head_key,
    },
    store::{Store, embedded::Embedded},
    wire::{
        audit::AuditItem,
        job::{Job, JobKind, JobState, Process, Resources},
        policy::{PolicyEntry, PolicyHead},
        sign::Open,
        token::{Fact, TokenClaims},
    },
};
use jiff::tz::TimeZone;
use russh::keys::{PrivateKey, signature::Signer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::other_key;

const POLICY: &str = r#"job::/sandbox/tom { if (auth_server@apcera.me->name == "tom") { permit ssh, shell, exec } }"#;

/// Tom may enter this instance of his job.
pub(crate) async fn grant(instance: Uuid, open: &Open) -> Grant {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(Embedded::open(directory.path()).unwrap());
    let key = other_key();
    publish(store.as_ref(), &key).await;
    let (keys, cancel) = (KeySet::new([public(&key)]), CancellationToken::new());
    let policy = PolicyView::start(Arc::clone(&store), keys.clone(), cancel.clone()).await.unwrap();
    let revocations = Revocations::start(Arc::clone(&store), cancel.clone()).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let authenticator = Arc::new(Authenticator::new("test", keys, revocations, Arc::clone(&clock)));
    let gate = Gate::new(policy, authenticator, Arc::new(Nowhere), Arc::clone(&clock), TimeZone::UTC);
    let principal = gate.authenticate(Some(&token(&key, clock.unix_seconds()))).unwrap();
    let job = job();
    let target = SessionTarget { job: &job, source: None, instance, session: "api-test", open, client: None };
    let mut revision = gate.policy().subscribe();
    tokio::time::timeout(Duration::from_secs(10), revision.wait_for(|it| *it == 1)).await.unwrap().unwrap();
    let grant = gate.open_session(&principal, &target).await.unwrap();
    cancel.cancel();
    grant
}

#[derive(Debug)]
struct Nowhere;

impl Witness for Nowhere {
    fn record(&self, _item: AuditItem) -> Recorded<'_> {
        Box::pin(async { Ok(()) })
    }
}

async fn publish(store: &dyn Store, key: &PrivateKey) {
    let digest = store.put_blob(Box::pin(Cursor::new(POLICY.as_bytes().to_vec()))).await.unwrap();
    let mut head = PolicyHead {
        revision: 1,
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        documents: vec![PolicyEntry { name: "tom".to_owned(), version: 1, digest, author: "test".to_owned() }],
        tests: Vec::new(),
        kid: public(key).id(),
        signature: String::new(),
    };
    head.signature = signed(key, &head_bytes(&head));
    store.put(&head_key(), None, serde_json::to_vec(&head).unwrap()).await.unwrap();
}

fn token(key: &PrivateKey, now: i64) -> String {
    let claims = TokenClaims {
        iss: ISSUER.to_owned(),
        aud: "test".to_owned(),
        sub: "tom".to_owned(),
        sid: "login".to_owned(),
        jti: "token".to_owned(),
        iat: now,
        exp: now + 600,
        facts: vec![Fact { issuer: ISSUER.to_owned(), claim_type: "name".to_owned(), value: "tom".to_owned() }],
    };
    let header = serde_json::json!({"typ": "JWT", "alg": "EdDSA", "kid": public(key).id()});
    let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
    let text = format!("{}.{}", encode(header.to_string().into_bytes()), encode(serde_json::to_vec(&claims).unwrap()));
    let signature = signed(key, text.as_bytes());
    format!("{text}.{signature}")
}

fn public(key: &PrivateKey) -> PublicKey {
    PublicKey::new(key.public_key().key_data().ed25519().unwrap().0)
}

fn signed(key: &PrivateKey, message: &[u8]) -> String {
    let signature: russh::keys::ssh_key::Signature = key.try_sign(message).unwrap();
    URL_SAFE_NO_PAD.encode(signature.as_bytes())
}

fn job() -> Job {
    Job {
        uuid: Uuid::new_v4(),
        fqn: "job::/sandbox/tom::web".to_owned(),
        kind: JobKind::App,
        owner: "tom".to_owned(),
        state: JobState::Started,
        version: 1,
        num_instances: 1,
        process: Process {
            command: Vec::new(),
            environment: BTreeMap::new(),
            user: "root".to_owned(),
            working_directory: "/".to_owned(),
        },
        packages: Vec::new(),
        ports: Vec::new(),
        tags: BTreeMap::from([("ssh".to_owned(), "true".to_owned())]),
        resources: Resources::default(),
        restart: true,
        console: None,
        generation: 1,
        running: None,
        message: None,
    }
}

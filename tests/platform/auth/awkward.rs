//! The same on a store that reads stale, leaves gaps and asks to begin again: late, but never a wrong yes.

use std::{sync::Arc, time::Duration};

use gatehouse::{
    auth::{AuthError, SigningKey},
    gate::{Authenticator, BearerError, Clock, FixedClock, KeySet, Revocations},
    link::Role,
    store::{
        Store, StoreError,
        fake::{Fake, Fault},
    },
    wire::join::JoinRequest,
};
use rcgen::{CertificateParams, KeyPair};
use tokio_util::sync::CancellationToken;

use crate::auth::{NOW, Scene, grant, tokens::claims};

async fn scene(seed: u64) -> (Scene, Fake) {
    let store = Fake::new(seed);
    let scene = Scene::start_on(Arc::new(store.clone()), tempfile::tempdir().unwrap(), NOW).await;
    (scene, store)
}

/// Tries until it is done; what comes before must be one of the errors that staleness explains.
macro_rules! eventually {
    ($call:expr, $stale:pat) => {{
        let mut tries = 0;
        loop {
            match $call {
                Ok(done) => break done,
                Err($stale) if tries < 50 => tries += 1,
                Err(error) => panic!("{error:?} after {tries} tries"),
            }
        }
    }};
}

#[tokio::test]
async fn logins_changes_and_joins_come_through() {
    for seed in [1, 5, 9_001, 77_777] {
        let (scene, _) = scene(seed).await;
        scene.add_user("tom").await;
        let token = eventually!(scene.log_in("tom").await, AuthError::Login(_) | AuthError::Busy);
        scene.auth.gate().authenticate(Some(&token.access_token)).unwrap();
        for round in 0..5_u64 {
            let text = grant(&format!("job::/a{round}"), "tom", "read");
            let list = eventually!(scene.put_policy(&scene.root, &[("a", &text)]).await, AuthError::Conflict(_));
            assert_eq!(list.revision, scene.auth.gate().policy().revision(), "in force when answered");
        }
        let (token, _) = scene.auth.components().join_token(Role::Im, 60).await.unwrap();
        let csr = CertificateParams::default().serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let request = JoinRequest { token: token.secret, csr };
        eventually!(scene.auth.components().join(&request).await, AuthError::Peer(_));
        for _ in 0..5 {
            assert!(scene.auth.components().join(&request).await.is_err(), "once is once, however stale the read");
        }
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_no_success() {
    let (scene, store) = scene(3).await;
    store.set_fault(Some(Fault::LosesAnswers));
    let lost = scene.put_policy(&scene.root, &[("a", "job::/a { { permit read } }")]).await;
    assert!(lost.is_err(), "{lost:?}");
    store.set_fault(Some(Fault::Refuses));
    assert!(scene.log_in("root").await.is_err());
    assert!(scene.auth.components().join_token(Role::Im, 60).await.is_err());
    store.set_fault(None);
    eventually!(scene.put_policy(&scene.root, &[("b", "job::/b { { permit read } }")]).await, AuthError::Conflict(_));
}

#[tokio::test(start_paused = true)]
async fn without_revocations_nobody_is_believed() {
    let store = Fake::new(3);
    store.set_fault(Some(Fault::Refuses));
    let cancel = CancellationToken::new();
    let refused = Revocations::start(Arc::new(store.clone()) as Arc<dyn Store>, cancel.clone()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    store.set_fault(None);
    let revocations = Revocations::start(Arc::new(store), cancel).await.unwrap();
    let clock = Arc::new(FixedClock::at(NOW)) as Arc<dyn Clock>;
    let none = Authenticator::new("demo", KeySet::default(), revocations, clock);
    assert!(tokio::time::timeout(Duration::from_secs(1), async { none.verify("a.b.c") }).await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn while_revocations_are_out_of_sight_nobody_is_believed_for_long() {
    let store = Fake::new(9);
    let cancel = CancellationToken::new();
    let revocations = Revocations::start(Arc::new(store.clone()), cancel.clone()).await.unwrap();
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let key = SigningKey::from_pem(&pair.serialize_pem()).unwrap();
    let clock = Arc::new(FixedClock::at(NOW)) as Arc<dyn Clock>;
    let authenticator = Authenticator::new("demo", KeySet::new([key.public()]), Arc::clone(&revocations), clock);
    let token = key.token(&claims()).unwrap();
    authenticator.verify(&token).unwrap();
    let mut changes = revocations.subscribe();
    store.set_fault(Some(Fault::Refuses));
    store.resync();
    changes.changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    authenticator.verify(&token).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(authenticator.verify(&token).unwrap_err(), BearerError::Unavailable);
    store.set_fault(None);
    changes.mark_unchanged();
    changes.changed().await.unwrap();
    authenticator.verify(&token).unwrap();
}

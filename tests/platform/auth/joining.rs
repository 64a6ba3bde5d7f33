//! Joining: a token works once and in time; afterwards the key that joined is what counts.

use gatehouse::{
    auth::AuthError,
    link::{Credentials, Identity, Role},
    store::Key,
    wire::join::{ComponentCertificate, JoinRequest, RenewRequest},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType};
use x509_parser::pem::Pem;

use crate::auth::{NOW, Scene};

fn csr_of(key: &KeyPair) -> String {
    CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
}

async fn join(scene: &Scene, token: &str, key: &KeyPair) -> Result<ComponentCertificate, AuthError> {
    scene.auth.components().join(&JoinRequest { token: token.to_owned(), csr: csr_of(key) }).await
}

async fn secret(scene: &Scene, role: Role) -> String {
    scene.auth.components().join_token(role, 600).await.unwrap().0.secret
}

fn is_refused<T: std::fmt::Debug>(result: &Result<T, AuthError>) {
    assert!(matches!(result, Err(AuthError::Peer(_))), "{result:?}");
}

#[tokio::test]
async fn a_token_joins_one_component_once() {
    let scene = Scene::start().await;
    let (token, expires) = scene.auth.components().join_token(Role::Im, 600).await.unwrap();
    assert_eq!((token.cluster.as_str(), expires), ("demo", NOW + 600));
    assert_eq!(token.fingerprint, scene.auth.keyring().components().fingerprint());
    let key = KeyPair::generate().unwrap();
    let joined = join(&scene, &token.secret, &key).await.unwrap();
    let identity: Identity = joined.identity.parse().unwrap();
    assert_eq!((identity.role, identity.cluster.as_str()), (Role::Im, "demo"));
    let credentials = Credentials::from_pem(&joined.chain, &key.serialize_pem(), &joined.trust).unwrap();
    assert_eq!(credentials.identity(), Some(identity));
    assert_eq!(joined.expires, NOW + 86_400);
    is_refused(&join(&scene, &token.secret, &KeyPair::generate().unwrap()).await);
}

#[tokio::test]
async fn of_two_who_race_with_one_token_one_joins() {
    let scene = Scene::start().await;
    let token = secret(&scene, Role::Im).await;
    let (a, b) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (a, b) = tokio::join!(join(&scene, &token, &a), join(&scene, &token, &b));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

#[tokio::test]
async fn a_token_ends_in_time_and_is_kept_only_as_a_hash() {
    let scene = Scene::start().await;
    let token = secret(&scene, Role::Im).await;
    let kept = scene.store.list(&Key::new(["join"])).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert!(!format!("{kept:?}").contains(&token) && !String::from_utf8_lossy(&kept[0].value).contains(&token));
    scene.clock.advance(600);
    is_refused(&join(&scene, &token, &KeyPair::generate().unwrap()).await);
    scene.clock.advance(-600);
    is_refused(&join(&scene, &token, &KeyPair::generate().unwrap()).await);
    for unknown in ["", "0", &"0".repeat(64), &"ä".repeat(32)] {
        is_refused(&join(&scene, unknown, &KeyPair::generate().unwrap()).await);
    }
}

#[tokio::test]
async fn a_bad_request_does_not_use_up_the_token() {
    let scene = Scene::start().await;
    let token = secret(&scene, Role::Router).await;
    let good = csr_of(&KeyPair::generate().unwrap());
    let mut forged = x509_parser::pem::parse_x509_pem(good.as_bytes()).unwrap().1;
    let last = forged.contents.len() - 1;
    forged.contents[last] ^= 1;
    let forged = pem(&forged);
    for csr in ["", "nonsense", &good[..good.len() / 2], &"x".repeat(9_000), &forged] {
        let request = JoinRequest { token: token.clone(), csr: csr.to_owned() };
        let refused = scene.auth.components().join(&request).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{csr:?}: {refused:?}");
    }
    join(&scene, &token, &KeyPair::generate().unwrap()).await.unwrap();
}

fn pem(pem: &Pem) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----\n", pem.label, STANDARD.encode(&pem.contents))
}

#[tokio::test]
async fn only_the_key_of_a_request_counts() {
    let scene = Scene::start().await;
    let key = KeyPair::generate().unwrap();
    let mut wishes = CertificateParams::default();
    wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let other = "gatehouse://demo/auth/auth-1".to_owned();
    wishes.subject_alt_names = vec![SanType::URI(other.try_into().unwrap())];
    let csr = wishes.serialize_request(&key).unwrap().pem().unwrap();
    let token = secret(&scene, Role::Im).await;
    let joined = scene.auth.components().join(&JoinRequest { token, csr }).await.unwrap();
    let leaf = x509_parser::pem::parse_x509_pem(joined.chain.as_bytes()).unwrap().1;
    let identity = Identity::from_certificate(&leaf.contents).unwrap();
    assert_eq!(identity.role, Role::Im);
    let leaf = leaf.parse_x509().unwrap();
    assert!(!leaf.is_ca());
    assert_eq!(leaf.validity().not_after.timestamp(), NOW + 86_400);
}

#[tokio::test]
async fn roles_that_hold_state_do_not_join() {
    let scene = Scene::start().await;
    for role in [Role::Api, Role::Auth] {
        assert!(matches!(scene.auth.components().join_token(role, 600).await, Err(AuthError::Invalid(_))));
    }
    for seconds in [0, 8 * 86_400, u64::MAX] {
        assert!(matches!(scene.auth.components().join_token(Role::Im, seconds).await, Err(AuthError::Invalid(_))));
    }
}

#[tokio::test]
async fn a_component_renews_by_the_key_that_it_joined_with() {
    let scene = Scene::start().await;
    let key = KeyPair::generate().unwrap();
    let joined = join(&scene, &secret(&scene, Role::Im).await, &key).await.unwrap();
    let identity: Identity = joined.identity.parse().unwrap();
    let renew = |csr: String| RenewRequest { identity: joined.identity.clone(), csr };
    scene.clock.advance(43_200);
    let renewed = scene.auth.components().renew(&identity, &renew(csr_of(&key))).await.unwrap();
    assert_eq!((renewed.identity.as_str(), renewed.expires), (joined.identity.as_str(), NOW + 43_200 + 86_400));
    Credentials::from_pem(&renewed.chain, &key.serialize_pem(), &renewed.trust).unwrap();
    // Who passes the request on gains nothing for a key of its own, nor for another component.
    let own = csr_of(&KeyPair::generate().unwrap());
    is_refused(&scene.auth.components().renew(&identity, &renew(own)).await);
    let other = Identity { id: "00000000-0000-0000-0000-000000000000".to_owned(), ..identity.clone() };
    is_refused(&scene.auth.components().renew(&other, &renew(csr_of(&key))).await);
    let elsewhere = Identity { cluster: "other".to_owned(), ..identity.clone() };
    is_refused(&scene.auth.components().renew(&elsewhere, &renew(csr_of(&key))).await);
    let api = Identity { role: Role::Api, ..identity.clone() };
    is_refused(&scene.auth.components().renew(&api, &renew(csr_of(&key))).await);
    scene.auth.components().remove(&identity).await.unwrap();
    is_refused(&scene.auth.components().renew(&identity, &renew(csr_of(&key))).await);
}

#[tokio::test]
async fn roles_of_one_process_have_identities_too_and_keep_them() {
    let scene = Scene::start().await;
    let credentials = scene.auth.components().credentials(Role::Api, "api-1").unwrap();
    let identity = credentials.identity().unwrap();
    assert_eq!(identity.uri(), "gatehouse://demo/api/api-1");
    scene.auth.components().refresh(&credentials).unwrap();
    assert_eq!(credentials.identity(), Some(identity));
    assert!(scene.auth.components().credentials(Role::Api, "a,b").is_err());
}

//! The signer: every reason for which there is no certificate, each by itself, and what the one that there is says.

use std::sync::atomic::Ordering;

use gatehouse::{
    auth::{AuthError, revoke_session},
    gate::{BearerError, GateError},
    link::{Identity, Role},
    store::{Key, json},
    wire::{
        job::{InstanceRecord, Job},
        sign::{Open, Pty, SESSION_OPTION, SessionOption, SignSession, SignedSession},
    },
};
use russh::keys::{
    Certificate, PrivateKey,
    ssh_key::{
        HashAlg,
        private::{Ed25519Keypair, KeypairData},
    },
};
use uuid::Uuid;

use crate::auth::{NOW, Scene, gate::clone_of, grant, job};

/// A scene with tom's running job.
struct Stage {
    scene: Scene,
    job: Job,
    instance: InstanceRecord,
    token: String,
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32])), "").unwrap()
}

fn api() -> Identity {
    Identity::new(Role::Api, "api-1", "demo").unwrap()
}

async fn stage() -> Stage {
    let scene = Scene::start().await;
    let job = job("job::/sandbox/tom::web");
    scene.add_job(&job).await;
    let instance = scene.add_instance(&job).await;
    let token = scene.token("tom").await;
    Stage { scene, job, instance, token }
}

impl Stage {
    fn request(&self) -> SignSession {
        SignSession {
            token: self.token.clone(),
            instance: self.instance.uuid,
            session: "api-1-0f".to_owned(),
            public_key: key(1).public_key().to_openssh().unwrap(),
            open: Open::Shell { pty: None },
            client_address: Some("192.0.2.1".to_owned()),
        }
    }

    async fn sign(&self, change: impl FnOnce(&mut SignSession)) -> Result<SignedSession, AuthError> {
        let mut request = self.request();
        change(&mut request);
        self.scene.auth.signer().sign(&api(), &request).await
    }

    async fn replace<T: serde::Serialize>(&self, key: Key, value: &T) {
        let revision = self.scene.store.get(&key).await.unwrap().unwrap().revision;
        json::put(&*self.scene.store, &key, Some(revision), value).await.unwrap();
    }

    async fn replace_job(&self, job: &Job) {
        self.replace(Key::new(["job".to_owned(), self.job.uuid.to_string()]), job).await;
    }
}

fn certificate(signed: &SignedSession) -> Certificate {
    Certificate::from_openssh(&signed.certificate).unwrap()
}

#[tokio::test]
async fn a_certificate_is_for_one_session_in_one_instance() {
    let stage = stage().await;
    let signed = stage.sign(|_| ()).await.unwrap();
    assert_eq!(signed.revision, 1);
    let cert = certificate(&signed);
    assert!(cert.cert_type().is_user());
    assert_eq!(cert.valid_principals(), [stage.instance.uuid.to_string()]);
    assert_eq!((cert.valid_after(), cert.valid_before()), (NOW.unsigned_abs() - 10, NOW.unsigned_abs() + 50));
    assert_eq!(cert.public_key(), key(1).public_key().key_data());
    assert_eq!(cert.critical_options().len(), 1);
    let option: SessionOption = serde_json::from_str(&cert.critical_options()[SESSION_OPTION]).unwrap();
    assert_eq!(option, SessionOption { session: "api-1-0f".to_owned(), epoch: 7, user: None });
    assert!(cert.extensions().is_empty());
    let authorities = stage.scene.auth.keyring().instance_user_authorities();
    let authority = russh::keys::PublicKey::from_openssh(&authorities[0]).unwrap();
    cert.validate_at(NOW.unsigned_abs(), &[authority.fingerprint(HashAlg::Sha256)]).unwrap();
    let again = certificate(&stage.sign(|_| ()).await.unwrap());
    assert_ne!(cert.serial(), again.serial());
    assert_ne!(cert.nonce(), again.nonce());
}

#[tokio::test]
async fn a_terminal_is_in_the_certificate_only_where_one_was_asked_for() {
    let stage = stage().await;
    let pty = Some(Pty { term: "xterm".to_owned(), columns: 80, rows: 24, modes: Vec::new() });
    for open in [Open::Shell { pty: pty.clone() }, Open::Exec { command: "id".to_owned(), pty }] {
        let cert = certificate(&stage.sign(|it| it.open = open).await.unwrap());
        assert_eq!(cert.extensions().keys().collect::<Vec<_>>(), ["permit-pty"]);
    }
    let cert = certificate(&stage.sign(|it| it.open = Open::Subsystem { name: "sftp".to_owned() }).await.unwrap());
    assert!(cert.extensions().is_empty());
}

#[tokio::test]
async fn policy_can_name_the_user() {
    let stage = stage().await;
    stage.scene.set_policy(&[("users", "job::/sandbox { { ssh.user \"app\" } }")]).await;
    let cert = certificate(&stage.sign(|_| ()).await.unwrap());
    let option: SessionOption = serde_json::from_str(&cert.critical_options()[SESSION_OPTION]).unwrap();
    assert_eq!(option.user.as_deref(), Some("app"));
}

#[tokio::test]
async fn without_a_users_token_an_api_server_gets_nothing() {
    let stage = stage().await;
    let other = "A".repeat(stage.token.len());
    for token in ["", "x.y.z", &stage.token[..stage.token.len() - 1], &other] {
        let refused = stage.sign(|it| it.token = token.to_owned()).await;
        assert!(matches!(refused, Err(AuthError::Gate(GateError::Bearer(BearerError::Invalid)))), "{refused:?}");
    }
}

#[tokio::test]
async fn an_expired_or_revoked_token_signs_nothing() {
    let stage = stage().await;
    stage.scene.clock.advance(86_400);
    let refused = stage.sign(|_| ()).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Bearer(BearerError::Expired)))), "{refused:?}");
    stage.scene.clock.advance(-86_400);
    stage.sign(|_| ()).await.unwrap();
    let gate = stage.scene.auth.gate();
    let principal = gate.authenticate(Some(&stage.token)).unwrap();
    let mut changes = gate.authenticator().revocations().subscribe();
    changes.mark_unchanged();
    revoke_session(&*stage.scene.store, &principal).await.unwrap();
    changes.changed().await.unwrap();
    let refused = stage.sign(|_| ()).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Bearer(BearerError::Revoked)))), "{refused:?}");
}

#[tokio::test]
async fn only_an_api_server_asks_and_only_for_its_own_sessions() {
    let stage = stage().await;
    for role in [Role::Router, Role::Im, Role::Auth] {
        let peer = Identity::new(role, "api-1", "demo").unwrap();
        let refused = stage.scene.auth.signer().sign(&peer, &stage.request()).await;
        assert!(matches!(refused, Err(AuthError::Peer(_))), "{role}: {refused:?}");
    }
    let long = format!("api-1-{}", "a".repeat(60));
    for session in ["", "api-2-0f", "api-1-", "api-1-a,b", "api-1-a\nb", "api-1-ä", "../api-1-0f", &long] {
        let refused = stage.sign(|it| it.session = session.to_owned()).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{session:?}: {refused:?}");
    }
}

#[tokio::test]
async fn only_an_ed25519_key_is_certified() {
    let stage = stage().await;
    let p256 = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc= x";
    let cert = stage.sign(|_| ()).await.unwrap().certificate;
    let private = key(1).to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap().to_string();
    let long = format!("{} {}", key(1).public_key().to_openssh().unwrap(), "x".repeat(2_000));
    for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", p256, &cert, &private, &long] {
        let refused = stage.sign(|it| it.public_key = text.to_owned()).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{text:?}: {refused:?}");
    }
    for address in ["", "localhost", "192.0.2.1:80", "192.0.2.1, 10.0.0.1"] {
        let refused = stage.sign(|it| it.client_address = Some(address.to_owned())).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{address:?}");
    }
}

#[tokio::test]
async fn what_is_absent_and_what_is_hidden_look_alike() {
    let stage = stage().await;
    let hidden = job("job::/prod::web");
    stage.scene.add_job(&hidden).await;
    let other = stage.scene.add_instance(&hidden).await;
    let nowhere = stage.sign(|it| it.instance = Uuid::nil()).await.unwrap_err().to_api();
    let invisible = stage.sign(|it| it.instance = other.uuid).await.unwrap_err().to_api();
    assert_eq!((nowhere.code.as_str(), invisible.code.as_str()), ("not_found", "not_found"));
    assert_eq!(nowhere.message, format!("`{}` was not found", Uuid::nil()));
    assert_eq!(invisible.message, format!("`{}` was not found", other.uuid));
}

#[tokio::test]
async fn who_may_read_but_not_enter_is_told_what_is_missing() {
    let stage = stage().await;
    let mary = stage.scene.token("mary").await;
    stage.scene.set_policy(&[("mary", &grant("job::/sandbox/tom", "mary", "read"))]).await;
    let refused = stage.sign(|it| it.token = mary).await.unwrap_err().to_api();
    assert_eq!(refused.message, r#"missing claim "permit ssh" on "job::/sandbox/tom::web""#);
    assert_eq!(refused.missing_claims, ["permit ssh"]);
}

#[tokio::test]
async fn the_signer_decides_by_the_request_that_is_opened() {
    let stage = stage().await;
    let mary = stage.scene.token("mary").await;
    let rule =
        "job::/sandbox/tom { if (auth_server@apcera.me->name == \"mary\" && command == \"id\") { permit exec } }";
    stage.scene.set_policy(&[("mary", rule)]).await;
    let exec = |command: &str| Open::Exec { command: command.to_owned(), pty: None };
    let signed = stage.sign(|it| (it.token, it.open) = (mary.clone(), exec("id"))).await;
    signed.unwrap();
    for open in [exec("id; sh"), exec("sh"), Open::Shell { pty: None }] {
        assert!(stage.sign(|it| (it.token, it.open) = (mary.clone(), open)).await.is_err());
    }
}

#[tokio::test]
async fn ssh_that_is_off_stays_off() {
    let stage = stage().await;
    let mut off = stage.job.clone();
    off.tags.insert("ssh".to_owned(), "false".to_owned());
    stage.replace_job(&off).await;
    let refused = stage.sign(|_| ()).await;
    assert!(matches!(refused, Err(AuthError::SshNotEnabled(_))), "{refused:?}");
    let mut closed = stage.job.clone();
    closed.ports.clear();
    stage.replace_job(&closed).await;
    assert!(matches!(stage.sign(|_| ()).await, Err(AuthError::SshNotEnabled(_))));
    stage.replace_job(&stage.job).await;
    stage.sign(|_| ()).await.unwrap();
}

#[tokio::test]
async fn the_certificate_is_under_the_lease_in_force() {
    let stage = stage().await;
    let moved = InstanceRecord { epoch: 8, im: Uuid::new_v4(), ..stage.instance.clone() };
    let at = Key::new(["instance".to_owned(), stage.instance.uuid.to_string()]);
    stage.replace(at.clone(), &moved).await;
    let cert = certificate(&stage.sign(|_| ()).await.unwrap());
    let option: SessionOption = serde_json::from_str(&cert.critical_options()[SESSION_OPTION]).unwrap();
    assert_eq!(option.epoch, 8);
    // A record that names another instance than its key is not signed for.
    let swapped = InstanceRecord { uuid: Uuid::new_v4(), ..moved };
    stage.replace(at, &swapped).await;
    assert!(matches!(stage.sign(|_| ()).await, Err(AuthError::Gate(GateError::NotFound(_)))));
}

#[tokio::test]
async fn no_record_no_certificate() {
    let stage = stage().await;
    stage.scene.ears.deaf.store(true, Ordering::SeqCst);
    let refused = stage.sign(|_| ()).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Unrecorded))), "{refused:?}");
}

#[tokio::test]
async fn restrictions_that_cannot_be_enforced_sign_nothing() {
    let stage = stage().await;
    stage.scene.set_policy(&[("limits", "job::/ { { ssh.record full } }")]).await;
    let refused = stage.sign(|_| ()).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Unenforceable(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_console_is_signed_for_by_both_its_names() {
    let stage = stage().await;
    let scene = &stage.scene;
    let app = job("job::/prod::web");
    let clone = clone_of(&app);
    scene.add_job(&app).await;
    scene.add_job(&clone).await;
    let instance = scene.add_instance(&clone).await;
    let refused = stage.sign(|it| it.instance = instance.uuid).await.unwrap_err().to_api();
    assert_eq!(refused.message, r#"missing claim "permit ssh" on "job::/prod::web""#);
    scene.set_policy(&[("prod", &grant("job::/prod", "tom", "ssh"))]).await;
    stage.sign(|it| it.instance = instance.uuid).await.unwrap();
    // The source's own instances are not what a console of it is for.
    let orphan = clone_of(&job("job::/gone::web"));
    scene.add_job(&orphan).await;
    let instance = scene.add_instance(&orphan).await;
    let refused = stage.sign(|it| it.instance = instance.uuid).await;
    assert!(matches!(refused, Err(AuthError::NotFound(_))), "{refused:?}");
}

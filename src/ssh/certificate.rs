//! Whether a session certificate opens this instance now: a pure function and a list of the serials it has seen.

use std::collections::BTreeMap;

use russh::keys::{
    Algorithm, Certificate,
    ssh_key::{certificate::CertType, public::KeyData},
};
use thiserror::Error;
use uuid::Uuid;

use crate::wire::sign::{SESSION_OPTION, SessionOption};

/// Seconds from the first to the last moment of a certificate. The signer makes them valid for a minute and begins
/// some seconds early, for clocks that differ.
pub const VALID_SECONDS_MAX: u64 = 120;

/// Serials that are remembered; each for at most [`VALID_SECONDS_MAX`]. Over it, nothing is accepted.
pub const SERIALS_MAX: usize = 4_096;

/// The one extension that our certificates carry.
const EXTENSION: &str = "permit-pty";

/// Bytes of a session id.
const SESSION_BYTES_MAX: usize = 64;

/// What an instance trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Whose principal it is.
    pub instance: Uuid,
    /// Of the present lease.
    pub epoch: u64,
    /// Public keys of the authorities.
    pub authorities: Vec<KeyData>,
}

/// Why a certificate does not count. For the log: the peer is told nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another kind of key, which our signer never certifies.
    #[error("not an ed25519 key certified by an ed25519 authority")]
    Algorithm,
    /// A host certificate.
    #[error("not a user certificate")]
    Type,
    /// Signed by somebody else.
    #[error("unknown authority")]
    Authority,
    /// Altered.
    #[error("bad signature")]
    Signature,
    /// For another instance, for several, or for any (the empty list, CVE-2024-7594).
    #[error("its principals are not this instance alone")]
    Principal,
    /// Longer than our signer makes them.
    #[error("valid for too long")]
    Long,
    /// Not yet, or no longer.
    #[error("not valid now")]
    Time,
    /// Missing, malformed, or beside others.
    #[error("its critical options are not one well-formed session")]
    Options,
    /// Something that our signer never grants.
    #[error("unknown extension")]
    Extension,
    /// The instance has been leased anew since.
    #[error("of another lease epoch")]
    Epoch,
    /// Used before.
    #[error("used before")]
    Replay,
    /// Too many in a short time; refusing is safer than forgetting.
    #[error("too many certificates in too short a time")]
    Exhausted,
}

/// Serials of certificates that were accepted and are still valid.
#[derive(Debug, Default)]
pub struct Serials {
    seen: BTreeMap<u64, u64>,
}

impl Serials {
    /// Takes note of a serial until its certificate expires. A replay, and one too many, are refused.
    fn take(&mut self, serial: u64, valid_before: u64, now: u64) -> Result<(), Refusal> {
        self.seen.retain(|_, expires| now < *expires);
        if self.seen.contains_key(&serial) {
            return Err(Refusal::Replay);
        }
        if SERIALS_MAX <= self.seen.len() {
            return Err(Refusal::Exhausted);
        }
        self.seen.insert(serial, valid_before);
        Ok(())
    }
}

/// Accepts a certificate, once, and says which session it is for.
///
/// `now` is in Unix seconds. The possession of the key is proven elsewhere, before this is asked. The order matters in one
/// point: a serial is noted last, so that no forgery can use up a serial of somebody's.
pub fn accept(
    certificate: &Certificate,
    trust: &Trust,
    serials: &mut Serials,
    now: u64,
) -> Result<SessionOption, Refusal> {
    signed(certificate, &trust.authorities)?;
    if certificate.valid_principals() != [trust.instance.to_string()] {
        return Err(Refusal::Principal);
    }
    valid(certificate, now)?;
    let session = session(certificate)?;
    if certificate.extensions().iter().any(|(name, value)| name != EXTENSION || !value.is_empty()) {
        return Err(Refusal::Extension);
    }
    if session.epoch != trust.epoch {
        return Err(Refusal::Epoch);
    }
    serials.take(certificate.serial(), certificate.valid_before(), now)?;
    Ok(session)
}

fn signed(certificate: &Certificate, authorities: &[KeyData]) -> Result<(), Refusal> {
    let ed25519 = |key: &KeyData| key.algorithm() == Algorithm::Ed25519;
    if !ed25519(certificate.public_key()) || !ed25519(certificate.signature_key()) {
        return Err(Refusal::Algorithm);
    }
    if certificate.cert_type() != CertType::User {
        return Err(Refusal::Type);
    }
    if !authorities.contains(certificate.signature_key()) {
        return Err(Refusal::Authority);
    }
    certificate.verify_signature().map_err(|_| Refusal::Signature)
}

/// RFC: PROTOCOL.certkeys; `valid after <= now < valid before`.
fn valid(certificate: &Certificate, now: u64) -> Result<(), Refusal> {
    let (after, before) = (certificate.valid_after(), certificate.valid_before());
    let length = before.checked_sub(after).ok_or(Refusal::Time)?;
    if VALID_SECONDS_MAX < length {
        return Err(Refusal::Long);
    }
    if now < after || before <= now { Err(Refusal::Time) } else { Ok(()) }
}

/// Exactly one critical option, ours; its session id goes into a cgroup's path, so its alphabet is checked here too.
fn session(certificate: &Certificate) -> Result<SessionOption, Refusal> {
    let options = certificate.critical_options();
    let value = options.get(SESSION_OPTION).filter(|_| options.len() == 1).ok_or(Refusal::Options)?;
    let session: SessionOption = serde_json::from_str(value).map_err(|_| Refusal::Options)?;
    if is_session_id(&session.session) { Ok(session) } else { Err(Refusal::Options) }
}

/// `[A-Za-z0-9-]{1,64}`.
fn is_session_id(text: &str) -> bool {
    let letters = text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    letters && !text.is_empty() && text.len() <= SESSION_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use russh::keys::{
        PrivateKey,
        key::safe_rng,
        ssh_key::{EcdsaCurve, certificate::Builder},
    };

    use super::*;

    const NOW: u64 = 1_800_000_000;

    struct Fixture {
        authority: PrivateKey,
        trust: Trust,
        serials: Serials,
    }

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    impl Fixture {
        fn new() -> Fixture {
            let authority = key();
            let instance = Uuid::from_u128(0x0123_4567_89ab_4cde_8f01_2345_6789_abcd);
            let trust = Trust { instance, epoch: 7, authorities: vec![authority.public_key().key_data().clone()] };
            Fixture { authority, trust, serials: Serials::default() }
        }

        fn principal(&self) -> String {
            self.trust.instance.to_string()
        }

        /// A good one but for what `change` does.
        fn sign(&self, change: impl FnOnce(&mut Draft)) -> Certificate {
            let mut draft = Draft {
                serial: 1,
                kind: CertType::User,
                principals: vec![self.principal()],
                options: vec![(SESSION_OPTION.into(), r#"{"session":"api-1","epoch":7,"user":null}"#.into())],
                extensions: vec![("permit-pty".into(), String::new())],
                after: NOW - 10,
                before: NOW + 60,
            };
            change(&mut draft);
            let subject = key().public_key().key_data().clone();
            let mut builder =
                Builder::new_with_random_nonce(&mut safe_rng(), subject, draft.after, draft.before).unwrap();
            builder.serial(draft.serial).unwrap().cert_type(draft.kind).unwrap();
            if draft.principals.is_empty() {
                builder.all_principals_valid().unwrap();
            }
            for it in draft.principals {
                builder.valid_principal(it).unwrap();
            }
            for (name, value) in draft.options {
                builder.critical_option(name, value).unwrap();
            }
            for (name, value) in draft.extensions {
                builder.extension(name, value).unwrap();
            }
            builder.sign(&self.authority).unwrap()
        }

        fn refused(&mut self, change: impl FnOnce(&mut Draft)) -> Refusal {
            let certificate = self.sign(change);
            self.accept(&certificate).unwrap_err()
        }

        fn accept(&mut self, certificate: &Certificate) -> Result<SessionOption, Refusal> {
            accept(certificate, &self.trust, &mut self.serials, NOW)
        }
    }

    struct Draft {
        serial: u64,
        kind: CertType,
        principals: Vec<String>,
        options: Vec<(String, String)>,
        extensions: Vec<(String, String)>,
        after: u64,
        before: u64,
    }

    #[test]
    fn a_good_certificate_opens_its_session_once() {
        let mut fixture = Fixture::new();
        let certificate = fixture.sign(|_| ());
        let session = fixture.accept(&certificate).unwrap();
        assert_eq!((session.session.as_str(), session.epoch, session.user), ("api-1", 7, None));
        assert_eq!(fixture.accept(&certificate), Err(Refusal::Replay));
        // The serial counts, not the bytes.
        assert_eq!(fixture.refused(|it| it.before = NOW + 61), Refusal::Replay);
    }

    #[test]
    fn a_host_certificate_is_refused() {
        assert_eq!(Fixture::new().refused(|it| it.kind = CertType::Host), Refusal::Type);
    }

    #[test]
    fn an_unknown_authority_is_refused() {
        let mut fixture = Fixture::new();
        fixture.trust.authorities = vec![key().public_key().key_data().clone()];
        assert_eq!(fixture.refused(|_| ()), Refusal::Authority);
        fixture.trust.authorities.clear();
        assert_eq!(fixture.refused(|_| ()), Refusal::Authority);
    }

    #[test]
    fn an_altered_certificate_is_refused() {
        let mut fixture = Fixture::new();
        let good = fixture.sign(|_| ());
        let bytes = good.to_bytes().unwrap();
        let mut altered = 0;
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            if let Ok(certificate) = Certificate::from_bytes(&bytes) {
                altered += 1;
                assert!(fixture.accept(&certificate).is_err(), "byte {at}");
            }
        }
        assert!(100 < altered, "{altered}");
        fixture.accept(&good).unwrap();
    }

    #[test]
    fn an_ecdsa_key_is_refused() {
        let mut fixture = Fixture::new();
        let other = PrivateKey::random(&mut safe_rng(), Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }).unwrap();
        let sign = |subject: &PrivateKey, authority: &PrivateKey| {
            let mut builder =
                Builder::new_with_random_nonce(&mut safe_rng(), subject.public_key().key_data().clone(), NOW, NOW + 60)
                    .unwrap();
            builder.valid_principal("x").unwrap();
            builder.sign(authority).unwrap()
        };
        let certificate = sign(&other, &fixture.authority);
        assert_eq!(fixture.accept(&certificate), Err(Refusal::Algorithm));
        fixture.trust.authorities.push(other.public_key().key_data().clone());
        let certificate = sign(&key(), &other);
        assert_eq!(fixture.accept(&certificate), Err(Refusal::Algorithm));
    }

    #[test]
    fn the_principal_is_this_instance_alone_byte_for_byte() {
        let mut fixture = Fixture::new();
        let own = fixture.principal();
        let strangers = [
            vec![],
            vec![String::new()],
            vec![Uuid::nil().to_string()],
            vec![own.to_uppercase()],
            vec![own.replace('-', "")],
            vec![format!("{own} ")],
            vec![format!("{own},root")],
            vec![format!("root,{own}")],
            vec![format!("{own}\n")],
            vec![own.clone(), own.clone()],
            vec![own.clone(), "root".into()],
            vec!["*".into()],
        ];
        for principals in strangers {
            let text = format!("{principals:?}");
            assert_eq!(fixture.refused(|it| it.principals = principals), Refusal::Principal, "{text}");
        }
    }

    #[test]
    fn the_window_is_short_and_now() {
        let mut fixture = Fixture::new();
        let mut of = |after, before| {
            fixture.refused(|it| {
                it.after = after;
                it.before = before;
            })
        };
        assert_eq!(of(NOW - 60, NOW + 61), Refusal::Long);
        assert_eq!(of(0, u64::MAX), Refusal::Long);
        assert_eq!(of(NOW - 60, NOW), Refusal::Time);
        assert_eq!(of(NOW + 1, NOW + 60), Refusal::Time);
        let exact = fixture.sign(|it| {
            it.after = NOW;
            it.before = NOW + 120;
        });
        fixture.accept(&exact).unwrap();
    }

    #[test]
    fn the_critical_options_are_our_one_alone() {
        let mut fixture = Fixture::new();
        let good = (SESSION_OPTION.to_owned(), r#"{"session":"a","epoch":7,"user":null}"#.to_owned());
        assert_eq!(fixture.refused(|it| it.options = vec![]), Refusal::Options);
        let beside = vec![good.clone(), ("force-command".into(), "true".into())];
        assert_eq!(fixture.refused(|it| it.options = beside), Refusal::Options);
        for value in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"session":"a","epoch":7,"user":null,"more":1}"#,
            r#"{"session":"a","epoch":"7","user":null}"#,
            r#"{"session":"a","epoch":-7,"user":null}"#,
            r#"{"session":"","epoch":7,"user":null}"#,
            r#"{"session":"../a","epoch":7,"user":null}"#,
            r#"{"session":"a b","epoch":7,"user":null}"#,
            r#"{"session":"a","epoch":7,"user":null} x"#,
        ] {
            let options = vec![(SESSION_OPTION.to_owned(), value.to_owned())];
            assert_eq!(fixture.refused(|it| it.options = options), Refusal::Options, "{value}");
        }
        let long = format!(r#"{{"session":"{}","epoch":7,"user":null}}"#, "a".repeat(65));
        assert_eq!(fixture.refused(|it| it.options = vec![(SESSION_OPTION.into(), long)]), Refusal::Options);
    }

    #[test]
    fn an_extension_that_is_not_ours_is_refused() {
        let mut fixture = Fixture::new();
        for name in ["permit-agent-forwarding", "permit-port-forwarding", "permit-X11-forwarding", "x@y"] {
            let extensions = vec![("permit-pty".into(), String::new()), (name.into(), String::new())];
            assert_eq!(fixture.refused(|it| it.extensions = extensions), Refusal::Extension, "{name}");
        }
        let none = fixture.sign(|it| it.extensions = vec![]);
        fixture.accept(&none).unwrap();
    }

    #[test]
    fn another_epoch_is_refused() {
        let mut fixture = Fixture::new();
        let certificate = fixture.sign(|_| ());
        for epoch in [0, 6, 8, u64::MAX] {
            fixture.trust.epoch = epoch;
            assert_eq!(fixture.accept(&certificate), Err(Refusal::Epoch));
        }
    }

    #[test]
    fn serials_are_forgotten_only_when_their_certificates_have_expired() {
        let mut serials = Serials::default();
        for serial in 0..SERIALS_MAX as u64 {
            serials.take(serial, NOW + 60, NOW).unwrap();
        }
        assert_eq!(serials.take(u64::MAX, NOW + 60, NOW), Err(Refusal::Exhausted));
        assert_eq!(serials.take(1, NOW + 60, NOW + 59), Err(Refusal::Replay));
        serials.take(u64::MAX, NOW + 120, NOW + 60).unwrap();
        assert_eq!(serials.seen.len(), 1);
    }
}

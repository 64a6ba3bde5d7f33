//! Bearer tokens: each way in which one is not ours is refused, by itself.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse::{
    auth::{SigningKey, revoke_all, revoke_session},
    gate::{Authenticator, BearerError, Clock, FixedClock, ISSUER, KeySet, Revocations},
    limits::{TOKEN_BYTES_MAX, TOKEN_FACTS_BYTES_MAX},
    store::{Store, fake::Fake},
    wire::token::{Fact, TokenClaims},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::auth::NOW;

struct Bench {
    authenticator: Authenticator,
    key: SigningKey,
    clock: Arc<FixedClock>,
    store: Arc<dyn Store>,
    _cancel: tokio_util::sync::DropGuard,
}

fn new_key() -> SigningKey {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    SigningKey::from_pem(&pair.serialize_pem()).unwrap()
}

async fn bench() -> Bench {
    let store: Arc<dyn Store> = Arc::new(Fake::new(3));
    let (cancel, clock, key) = (CancellationToken::new(), Arc::new(FixedClock::at(NOW)), new_key());
    let revocations = Revocations::start(Arc::clone(&store), cancel.clone()).await.unwrap();
    let clock_of_it = Arc::clone(&clock) as Arc<dyn Clock>;
    let authenticator = Authenticator::new("demo", KeySet::new([key.public()]), revocations, clock_of_it);
    Bench { authenticator, key, clock, store, _cancel: cancel.drop_guard() }
}

fn fact(issuer: &str, claim_type: &str, value: &str) -> Fact {
    Fact { issuer: issuer.to_owned(), claim_type: claim_type.to_owned(), value: value.to_owned() }
}

pub(super) fn claims() -> TokenClaims {
    TokenClaims {
        iss: ISSUER.to_owned(),
        aud: "demo".to_owned(),
        sub: "tom".to_owned(),
        sid: "s1".to_owned(),
        jti: "t1".to_owned(),
        iat: NOW - 60,
        exp: NOW + 60,
        facts: vec![fact(ISSUER, "name", "tom"), fact("local", "group", "dev")],
    }
}

impl Bench {
    fn verify(&self, token: &str) -> Result<(), BearerError> {
        self.authenticator.verify(token).map(drop)
    }

    fn with(&self, change: impl FnOnce(&mut TokenClaims)) -> Result<(), BearerError> {
        let mut claims = claims();
        change(&mut claims);
        self.verify(&self.key.token(&claims).unwrap())
    }

    /// Signs any header and payload, as text.
    fn raw(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(message.as_bytes()).unwrap();
        format!("{message}.{signature}")
    }

    fn header(&self) -> Value {
        json!({"typ": "JWT", "alg": "EdDSA", "kid": self.key.id()})
    }
}

fn invalid(result: Result<(), BearerError>, what: &str) {
    assert_eq!(result, Err(BearerError::Invalid), "{what}");
}

#[tokio::test]
async fn a_good_token_makes_a_principal() {
    let bench = bench().await;
    let principal = bench.authenticator.verify(&bench.key.token(&claims()).unwrap()).unwrap();
    assert_eq!((principal.name(), principal.sid(), principal.jti(), principal.kind()), ("tom", "s1", "t1", "user"));
    assert_eq!((principal.issued(), principal.expires()), (NOW - 60, NOW + 60));
    assert_eq!(principal.facts().len(), 2);
    // The raw signer of these tests makes good tokens too, so that what it changes is what is refused.
    let payload = serde_json::to_string(&claims()).unwrap();
    assert_eq!(bench.verify(&bench.raw(&bench.header().to_string(), &payload)), Ok(()));
}

#[tokio::test]
async fn a_token_ends_at_the_second_that_it_says() {
    let bench = bench().await;
    let token = bench.key.token(&claims()).unwrap();
    bench.clock.advance(59);
    assert_eq!(bench.verify(&token), Ok(()));
    bench.clock.advance(1);
    assert_eq!(bench.verify(&token), Err(BearerError::Expired));
    bench.clock.advance(-1);
    assert_eq!(bench.verify(&token), Ok(()), "a clock that jumps back makes it good again, nothing else");
}

#[tokio::test]
async fn another_key_signs_nothing() {
    let bench = bench().await;
    let other = new_key();
    invalid(bench.verify(&other.token(&claims()).unwrap()), "unknown key id");
    // The other's signature under our key's id.
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(bench.key.id().to_owned());
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ed_der(&pair.serialize_der())).unwrap();
    invalid(bench.verify(&forged), "our id, their signature");
}

#[tokio::test]
async fn a_key_that_is_taken_away_takes_its_tokens_with_it() {
    let bench = bench().await;
    let (old, new) = (bench.key.token(&claims()).unwrap(), new_key());
    bench.authenticator.set_keys(KeySet::new([bench.key.public(), new.public()]));
    assert_eq!(bench.verify(&old), Ok(()), "overlap");
    assert_eq!(bench.verify(&new.token(&claims()).unwrap()), Ok(()));
    bench.authenticator.set_keys(KeySet::new([new.public()]));
    invalid(bench.verify(&old), "its key is gone");
}

#[tokio::test]
async fn no_changed_character_goes_unseen() {
    let bench = bench().await;
    let token = bench.key.token(&claims()).unwrap();
    for at in 0..token.len() {
        invalid(bench.verify(&token[..at]), &format!("cut at {at}"));
        for other in ['A', 'B', '_', '.', '=', ' '] {
            let mut changed: Vec<char> = token.chars().collect();
            if changed[at] == other {
                continue;
            }
            changed[at] = other;
            invalid(bench.verify(&changed.into_iter().collect::<String>()), &format!("`{other}` at {at}"));
        }
    }
    for wrapped in
        [format!("{token}."), format!(".{token}"), format!("{token} "), format!("{token}\n"), token.repeat(2)]
    {
        assert!(bench.verify(&wrapped).is_err(), "{wrapped:?}");
    }
    for text in ["", ".", "..", "...", "a.b.c", "\0.\0.\0", "ä.ö.ü"] {
        invalid(bench.verify(text), text);
    }
}

#[tokio::test]
async fn the_header_steers_nothing() {
    let bench = bench().await;
    let payload = serde_json::to_string(&claims()).unwrap();
    for (field, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("eddsa")),
        ("alg", json!("ES256")),
        ("alg", json!(null)),
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("typ", json!(null)),
        ("kid", json!("")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!(["a"])),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": bench.key.public().encoded()})),
        ("jku", json!("https://example.com/keys")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
    ] {
        let mut header = bench.header();
        header[field] = value.clone();
        invalid(bench.verify(&bench.raw(&header.to_string(), &payload)), &format!("{field}: {value}"));
    }
    for field in ["typ", "alg", "kid"] {
        let mut header = bench.header();
        header.as_object_mut().unwrap().remove(field);
        invalid(bench.verify(&bench.raw(&header.to_string(), &payload)), &format!("without {field}"));
    }
    let twice = format!(r#"{{"alg":"none",{}"#, &bench.header().to_string()[1..]);
    invalid(bench.verify(&bench.raw(&twice, &payload)), "alg twice");
}

#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    let bench = bench().await;
    let kid = Some(bench.key.id().to_owned());
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let header = Header { kid: kid.clone(), ..Header::new(algorithm) };
        for secret in
            [bench.key.public().encoded().into_bytes(), URL_SAFE_NO_PAD.decode(bench.key.public().encoded()).unwrap()]
        {
            let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
            invalid(bench.verify(&token), "HMAC");
        }
    }
    let unsigned =
        bench.raw(&bench.header().to_string().replace("EdDSA", "none"), &serde_json::to_string(&claims()).unwrap());
    let (message, _) = unsigned.rsplit_once('.').unwrap();
    invalid(bench.verify(&format!("{message}.")), "no signature");
}

#[tokio::test]
async fn claims_are_exactly_those_of_a_token_of_ours() {
    let bench = bench().await;
    invalid(bench.with(|it| it.iss = "Google".to_owned()), "issuer");
    invalid(bench.with(|it| it.iss.push(' ')), "issuer with a blank");
    invalid(bench.with(|it| it.aud = "production".to_owned()), "another cluster");
    invalid(bench.with(|it| it.aud = String::new()), "no cluster");
    invalid(bench.with(|it| it.sid = String::new()), "no login");
    invalid(bench.with(|it| it.jti = String::new()), "no id");
    invalid(bench.with(|it| it.iat = NOW + 61), "issued in the future");
    assert_eq!(bench.with(|it| it.iat = NOW + 59), Ok(()), "the skew of two clocks");
    invalid(bench.with(|it| it.exp = it.iat), "no life");
    invalid(bench.with(|it| (it.iat, it.exp) = (i64::MAX, i64::MIN)), "a life turned round");
    assert_eq!(bench.with(|it| (it.iat, it.exp) = (i64::MIN, i64::MAX)), Ok(()));
    invalid(bench.with(|it| it.sub = "root".to_owned()), "the name is another");
    invalid(bench.with(|it| it.facts.clear()), "no name");
    invalid(bench.with(|it| it.facts.push(fact(ISSUER, "name", "root"))), "two names");
    invalid(bench.with(|it| it.facts.push(fact(ISSUER, "name", "tom"))), "the name twice");
    invalid(bench.with(|it| it.facts.push(fact("", "client.address", "10.0.0.1"))), "context");
    invalid(bench.with(|it| it.facts.push(fact("approval", "by", "boss"))), "an approval");
}

#[tokio::test]
async fn json_that_two_parsers_could_read_differently_is_refused() {
    let bench = bench().await;
    let header = bench.header().to_string();
    let payload = serde_json::to_string(&claims()).unwrap();
    let inner = &payload[1..payload.len() - 1];
    for (what, payload) in [
        ("twice the same", format!(r#"{{{inner},"sub":"tom"}}"#)),
        ("two names", format!(r#"{{"sub":"root",{inner}}}"#)),
        ("two audiences", format!(r#"{{"aud":"other",{inner}}}"#)),
        ("unknown claim", format!(r#"{{{inner},"admin":true}}"#)),
        ("nbf", format!(r#"{{{inner},"nbf":0}}"#)),
        ("no claims", "{}".to_owned()),
        ("no object", "[]".to_owned()),
        ("behind the end", format!("{payload} x")),
        ("audience is a list", payload.replace(r#""aud":"demo""#, r#""aud":["demo"]"#)),
        ("expiry is text", payload.replace(&format!(r#""exp":{}"#, NOW + 60), r#""exp":"never""#)),
        ("expiry is a fraction", payload.replace(&format!(r#""exp":{}"#, NOW + 60), r#""exp":1e99"#)),
        ("expiry is null", payload.replace(&format!(r#""exp":{}"#, NOW + 60), r#""exp":null"#)),
        ("no expiry", payload.replace(&format!(r#","exp":{}"#, NOW + 60), "")),
        ("a fact has more", payload.replace(r#""value":"dev""#, r#""value":"dev","x":1"#)),
    ] {
        invalid(bench.verify(&bench.raw(&header, &payload)), what);
    }
}

#[tokio::test]
async fn size_is_looked_at_before_anything_else() {
    let bench = bench().await;
    assert_eq!(bench.verify(&"x".repeat(TOKEN_BYTES_MAX + 1)), Err(BearerError::TooLarge));
    invalid(bench.verify(&"x".repeat(TOKEN_BYTES_MAX)), "of the greatest size");
    // A token that fits, with facts that do not.
    let long = "x".repeat(TOKEN_FACTS_BYTES_MAX);
    invalid(bench.with(|it| it.facts.push(fact("local", "email", &long))), "facts");
}

#[tokio::test]
async fn a_revoked_login_is_over_and_no_other() {
    let bench = bench().await;
    let mine = bench.key.token(&claims()).unwrap();
    let other = bench.key.token(&TokenClaims { sid: "s2".to_owned(), ..claims() }).unwrap();
    let principal = bench.authenticator.verify(&mine).unwrap();
    let mut changes = bench.authenticator.revocations().subscribe();
    changes.mark_unchanged();
    revoke_session(&*bench.store, &principal).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(bench.verify(&mine), Err(BearerError::Revoked));
    assert_eq!(bench.authenticator.still_good(&principal), Err(BearerError::Revoked));
    assert_eq!(bench.verify(&other), Ok(()));
}

#[tokio::test]
async fn all_logins_of_a_principal_end_at_once_and_new_ones_begin() {
    let bench = bench().await;
    let mine = bench.key.token(&claims()).unwrap();
    let mut changes = bench.authenticator.revocations().subscribe();
    changes.mark_unchanged();
    revoke_all(&*bench.store, "tom", bench.clock.as_ref()).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(bench.verify(&mine), Err(BearerError::Revoked));
    assert_eq!(bench.with(|it| it.iat = NOW + 1), Ok(()), "a later login");
    let other = |it: &mut TokenClaims| (it.sub, it.facts[0].value) = ("mary".to_owned(), "mary".to_owned());
    assert_eq!(bench.with(other), Ok(()), "another's");
}

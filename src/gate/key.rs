//! Ed25519 public keys by key id, and the one way a signature is checked.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use sha2::{Digest, Sha256};

use crate::wire::token::TokenKey;

/// A raw Ed25519 public key (RFC 8032).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From 32 bytes.
    pub fn new(raw: [u8; 32]) -> Self {
        Self(raw)
    }

    /// The key's id: its JWK thumbprint (RFC 7638 with RFC 8037), so that an id cannot name another key.
    pub fn id(&self) -> String {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.encoded());
        URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.as_bytes()))
    }

    /// Base64url of the raw key, as a JWK writes it.
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Whether `signature` (base64url without padding) is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.decoding(), Algorithm::EdDSA).unwrap_or(false)
    }

    pub(crate) fn decoding(&self) -> DecodingKey {
        DecodingKey::from_ed_der(&self.0)
    }
}

/// Keys that are trusted for one purpose. Rotation is overlap: add the new one, later take the old one away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublicKey>);

impl KeySet {
    /// Of these keys.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.id(), key)).collect())
    }

    /// From what the auth role says; `None` where an entry is no key or its id is not its own.
    pub fn from_wire(keys: &[TokenKey]) -> Option<Self> {
        keys.iter().map(read).collect::<Option<Vec<_>>>().map(Self::new)
    }

    /// For other roles.
    pub fn to_wire(&self) -> Vec<TokenKey> {
        self.0.iter().map(|(kid, key)| TokenKey { kid: kid.clone(), x: key.encoded() }).collect()
    }

    /// The key of this id.
    pub fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(id)
    }
}

fn read(wire: &TokenKey) -> Option<PublicKey> {
    let raw = URL_SAFE_NO_PAD.decode(&wire.x).ok()?;
    let key = PublicKey(raw.try_into().ok()?);
    (key.id() == wire.kid).then_some(key)
}

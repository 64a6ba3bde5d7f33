//! Ed25519 keys that sign tokens and policy heads.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use rcgen::{KeyPair, PKCS_ED25519};
use zeroize::Zeroizing;

use crate::{auth::AuthError, gate::PublicKey, wire::token::TokenClaims};

/// A private Ed25519 key with its id.
pub struct SigningKey {
    key: EncodingKey,
    public: PublicKey,
    id: String,
}

impl SigningKey {
    /// A new one, as PEM (PKCS #8).
    pub(in crate::auth) fn generate() -> Result<Zeroizing<String>, rcgen::Error> {
        Ok(Zeroizing::new(KeyPair::generate_for(&PKCS_ED25519)?.serialize_pem()))
    }

    /// From PEM (PKCS #8).
    pub fn from_pem(pem: &str) -> Result<Self, AuthError> {
        let unusable = |error: &dyn fmt::Display| AuthError::Key(error.to_string());
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_ED25519).map_err(|error| unusable(&error))?;
        let raw = pair.public_key_raw().try_into().map_err(|error| unusable(&error))?;
        let public = PublicKey::new(raw);
        Ok(Self { key: EncodingKey::from_ed_der(pair.serialized_der()), public, id: public.id() })
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs bytes: base64url without padding.
    pub fn sign(&self, message: &[u8]) -> Result<String, AuthError> {
        crypto::sign(message, &self.key, Algorithm::EdDSA).map_err(|error| AuthError::Key(error.to_string()))
    }

    /// Makes a token (RFC 7519) with exactly the header that a gate accepts.
    pub fn token(&self, claims: &TokenClaims) -> Result<String, AuthError> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| AuthError::Key(error.to_string()))
    }
}

impl fmt::Debug for SigningKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

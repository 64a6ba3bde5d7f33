//! Tokens: the claims of the JWT, and the OAuth 2.0 token endpoint (RFC 6749, RFC 7009).

use serde::{Deserialize, Serialize};

/// A fact in a token, a request or the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Empty for context.
    #[serde(default)]
    pub issuer: String,
    /// Claim type.
    #[serde(rename = "type")]
    pub claim_type: String,
    /// Text.
    pub value: String,
}

/// Claims of a token (RFC 7519); EdDSA only, header `kid` names the key, `typ` is `JWT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenClaims {
    /// `auth_server@apcera.me`.
    pub iss: String,
    /// The cluster's name.
    pub aud: String,
    /// The principal's name as policy gave it.
    pub sub: String,
    /// The login; revoking it ends every token of it.
    pub sid: String,
    /// This token.
    pub jti: String,
    /// Issued at, Unix seconds.
    pub iat: i64,
    /// Expires, Unix seconds.
    pub exp: i64,
    /// Facts of all issuers, `auth_server@apcera.me` included; at most 4 KiB as JSON.
    pub facts: Vec<Fact>,
}

/// Body of `POST /oauth2/token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenRequest {
    /// RFC 6749 section 4.3, for local users.
    Password {
        /// User.
        username: String,
        /// Password.
        password: String,
    },
}

/// Answer of `POST /oauth2/token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenResponse {
    /// The JWT.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
}

/// `GET /v1/info` with a token: who one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Cluster's name.
    pub cluster: String,
    /// Program version.
    pub version: String,
    /// Policy revision in force.
    pub policy_revision: u64,
    /// The principal's name.
    pub principal: String,
    /// Namespace that short names stand in.
    pub default_namespace: String,
    /// Facts of the token.
    pub facts: Vec<Fact>,
    /// When the token expires, Unix seconds.
    pub token_expires: i64,
}

/// A public token key, answer of `GET /oauth2/keys` (in a list).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// Key id.
    pub kid: String,
    /// Raw Ed25519 public key, base64url.
    pub x: String,
}

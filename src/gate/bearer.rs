//! Bearer tokens: what they must be before anyone is a principal.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use crate::{
    eval,
    gate::{Clock, ISSUER, KeySet, Principal, Revocations},
    limits::{TOKEN_BYTES_MAX, TOKEN_FACTS_BYTES_MAX},
    wire::token::{Fact, TokenClaims},
};

/// How far a token's issue may lie ahead of our clock: the skew of two hosts. Expiry has no such grace.
const ISSUED_AHEAD_SECONDS_MAX: i64 = 60;

/// The issuer of approvals, which no token may speak for.
const APPROVAL: &str = "approval";

/// Why there is no principal. The client is told no more than this; nothing of the token is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// None was sent.
    #[error("log in first: the request has no token")]
    Missing,
    /// Larger than any token of ours.
    #[error("the token is larger than a token may be")]
    TooLarge,
    /// Not a token of ours: form, header, key, signature, audience, claims.
    #[error("the token is not valid")]
    Invalid,
    /// It was good.
    #[error("the token has expired: log in again")]
    Expired,
    /// Someone ended the login, or all of the principal's.
    #[error("the login was revoked: log in again")]
    Revoked,
    /// Whether it was revoked cannot be known, so it counts as revoked for now.
    #[error("revocations cannot be read at the moment")]
    Unavailable,
}

/// Verifies tokens (RFC 7519, RFC 8725): one algorithm, keys by id, issuer, audience, expiry, revocation.
#[derive(Debug)]
pub struct Authenticator {
    cluster: String,
    keys: ArcSwap<KeySet>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

/// The only header that a token of ours has: nothing in it may steer the check (`jku`, `jwk`, `crit`, ...).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    typ: String,
    alg: String,
    kid: String,
}

impl Authenticator {
    /// Of the tokens of one cluster.
    pub fn new(cluster: &str, keys: KeySet, revocations: Arc<Revocations>, clock: Arc<dyn Clock>) -> Self {
        Self { cluster: cluster.to_owned(), keys: ArcSwap::from_pointee(keys), revocations, clock }
    }

    /// Replaces the trusted keys; tokens of a key that is gone are refused from now on.
    pub fn set_keys(&self, keys: KeySet) {
        self.keys.store(Arc::new(keys));
    }

    /// The revocations that it goes by.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Verifies a token, cheapest check first.
    pub fn verify(&self, token: &str) -> Result<Principal, BearerError> {
        if TOKEN_BYTES_MAX < token.len() {
            return Err(BearerError::TooLarge);
        }
        let claims = self.signed_claims(token)?;
        let principal = self.principal(claims)?;
        self.still_good(&principal)?;
        Ok(principal)
    }

    /// Whether a principal's token is neither expired nor revoked by now.
    pub fn still_good(&self, principal: &Principal) -> Result<(), BearerError> {
        if principal.expires() <= self.clock.unix_seconds() {
            return Err(BearerError::Expired);
        }
        self.revocations.check(principal)
    }

    fn signed_claims(&self, token: &str) -> Result<TokenClaims, BearerError> {
        let header = header(token).ok_or(BearerError::Invalid)?;
        if header.typ != "JWT" || header.alg != "EdDSA" {
            return Err(BearerError::Invalid);
        }
        let keys = self.keys.load();
        let key = keys.get(&header.kid).ok_or(BearerError::Invalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The crate's checks of times and names have a leeway, skip absent claims and read the system's clock; ours
        // below do not.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = jsonwebtoken::decode::<TokenClaims>(token, &key.decoding(), &validation);
        token.map(|it| it.claims).map_err(|_| BearerError::Invalid)
    }

    fn principal(&self, claims: TokenClaims) -> Result<Principal, BearerError> {
        let now = self.clock.unix_seconds();
        let lasting = claims.iat < claims.exp && claims.iat <= now.saturating_add(ISSUED_AHEAD_SECONDS_MAX);
        let ours =
            claims.iss == ISSUER && claims.aud == self.cluster && !claims.sid.is_empty() && !claims.jti.is_empty();
        if !ours || !lasting || !facts_are_sound(&claims) {
            return Err(BearerError::Invalid);
        }
        let facts = claims.facts.into_iter().map(eval_fact).collect();
        Ok(Principal::verified(claims.sub, (claims.sid, claims.jti), facts, (claims.iat, claims.exp)))
    }
}

fn header(token: &str) -> Option<TokenHeader> {
    let mut parts = token.split('.');
    let (header, _, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}

/// Every fact has an issuer, else it would count as context; none speaks for approvals; the name is said once.
fn facts_are_sound(claims: &TokenClaims) -> bool {
    let bytes = serde_json::to_vec(&claims.facts).map_or(usize::MAX, |it| it.len());
    let names: Vec<&str> = claims
        .facts
        .iter()
        .filter(|it| it.issuer == ISSUER && it.claim_type == "name")
        .map(|it| it.value.as_str())
        .collect();
    bytes <= TOKEN_FACTS_BYTES_MAX
        && names == [claims.sub.as_str()]
        && !claims.sub.is_empty()
        && claims.facts.iter().all(|it| !it.issuer.is_empty() && it.issuer != APPROVAL)
}

fn eval_fact(fact: Fact) -> eval::Fact {
    eval::Fact::new(fact.issuer, fact.claim_type, fact.value)
}

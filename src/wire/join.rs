//! How a component gets its certificate, and what it then has to know of the cluster's keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::wire::token::TokenKey;

/// What `apcd` prints for a component that is to join: one word without white space or quotes.
///
/// `gatehouse-join:<cluster>:<secret>:<SHA-256 of the component authority's certificate, hex>`. It is a secret until
/// it was used or has expired. By the fingerprint the joining side knows whom it speaks to before it says anything.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The cluster's name.
    pub cluster: String,
    /// 64 hex digits.
    pub secret: String,
    /// SHA-256 over the authority's DER, for `link::Credentials::pinned`.
    pub fingerprint: [u8; 32],
}

/// Not a join token. Nothing of the text is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: one looks like `gatehouse-join:CLUSTER:SECRET:FINGERPRINT`")]
pub struct NoJoinToken;

const SCHEME: &str = "gatehouse-join";

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}:{}:", self.cluster, self.secret)?;
        self.fingerprint.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for JoinToken {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl FromStr for JoinToken {
    type Err = NoJoinToken;

    fn from_str(text: &str) -> Result<Self, NoJoinToken> {
        let parts: Vec<&str> = text.trim().split(':').collect();
        let [SCHEME, cluster, secret, fingerprint] = parts.as_slice() else { return Err(NoJoinToken) };
        if cluster.is_empty() || unhex(secret).is_none() {
            return Err(NoJoinToken);
        }
        let fingerprint = unhex(fingerprint).ok_or(NoJoinToken)?;
        Ok(Self { cluster: (*cluster).to_owned(), secret: (*secret).to_owned(), fingerprint })
    }
}

/// 32 bytes from lower-case hex.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' => byte.checked_sub(b'0'),
            b'a'..=b'f' => byte.checked_sub(b'a').and_then(|it| it.checked_add(10)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

/// `POST /internal/join`, the one call without a client certificate.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// [`JoinToken::secret`].
    pub token: String,
    /// Certificate signing request (PEM, PKCS #10) of a key that never leaves the component. Only its key counts.
    pub csr: String,
}

/// `POST /internal/renew`: another certificate for the same component and the same key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// `gatehouse://<cluster>/<role>/<id>`; ignored but for API servers that pass it on.
    pub identity: String,
    /// Signing request (PEM) by the key that joined; the request's own signature is the proof.
    pub csr: String,
}

/// Answer to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentCertificate {
    /// `gatehouse://<cluster>/<role>/<id>`.
    pub identity: String,
    /// PEM, leaf first.
    pub chain: String,
    /// PEM of every component authority that is to be believed.
    pub trust: String,
    /// Unix second from which the chain is worthless; renew at half time.
    pub expires: i64,
}

/// `GET /internal/authorities`: the public halves that other roles check by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorities {
    /// SSH authorities (OpenSSH format) of users of our own instances; agents trust them.
    pub instance_users: Vec<String>,
    /// SSH authorities (OpenSSH format) of users of external servers.
    pub external_users: Vec<String>,
    /// SSH authorities (OpenSSH format) of hosts.
    pub hosts: Vec<String>,
    /// Keys that sign tokens.
    pub tokens: Vec<TokenKey>,
    /// Keys that sign policy heads.
    pub snapshots: Vec<TokenKey>,
    /// Keys that sign heads of the audit log.
    pub audit: Vec<TokenKey>,
    /// PEM of the component authorities.
    pub components: String,
}

/// A join token as the store keeps it, under `join/<sha256 of the secret, hex>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRecord {
    /// `im` or `router`.
    pub role: String,
    /// Unix second from which it is worthless.
    pub expires: i64,
}

/// A joined component, under `component/<role>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRecord {
    /// Hex SHA-256 of its public key (`SubjectPublicKeyInfo`, DER). Only that key can renew.
    pub key: String,
    /// Unix second at which it joined.
    pub joined: i64,
}

impl fmt::Debug for JoinRequest {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_is_one_word_and_reads_back() {
        let token = JoinToken { cluster: "demo".to_owned(), secret: "0f".repeat(32), fingerprint: [0xab; 32] };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert_eq!(format!("{token}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    #[test]
    fn anything_else_is_none() {
        let hex = "0f".repeat(32);
        for text in [
            String::new(),
            format!("gatehouse-join:demo:{hex}"),
            format!("gatehouse-join::{hex}:{hex}"),
            format!("gatehouse-join:demo:{hex}:{hex}:"),
            format!("gatehouse-join:demo:{}:{hex}", "0F".repeat(32)),
            format!("gatehouse-join:demo:{hex}0:{hex}"),
            format!("gatehouse-join:demo:{hex}:{}", "é".repeat(32)),
            format!("Gatehouse-join:demo:{hex}:{hex}"),
        ] {
            assert_eq!(text.parse::<JoinToken>(), Err(NoJoinToken), "{text}");
        }
    }
}

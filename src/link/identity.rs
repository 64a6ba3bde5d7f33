//! Who a component is: a role, an id and a cluster, written as the one SAN URI of its certificate.

use std::{fmt, str::FromStr};

use x509_parser::{extensions::GeneralName, prelude::FromDer, prelude::X509Certificate};

/// What a component is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The door.
    Router,
    /// The API server.
    Api,
    /// Holder of the signing keys.
    Auth,
    /// An instance manager.
    Im,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Router, Self::Api, Self::Auth, Self::Im];

    /// As in the URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Api => "api",
            Self::Auth => "auth",
            Self::Im => "im",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A component: `gatehouse://<cluster>/<role>/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What it may do.
    pub role: Role,
    /// Which of them: `[A-Za-z0-9._-]{1,64}`; a UUID for instance managers.
    pub id: String,
    /// The cluster's name: `[A-Za-z0-9._-]{1,64}`.
    pub cluster: String,
}

/// Why a text or certificate names no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The URI has another form.
    #[error("a component's name is `gatehouse://<cluster>/<role>/<id>`")]
    Form,
    /// The certificate does not parse.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The certificate names none or several.
    #[error("a component's certificate has exactly one SAN and that is a URI")]
    Names,
}

const SCHEME: &str = "gatehouse://";
const WORD_BYTES_MAX: usize = 64;

impl Identity {
    /// Checks the words that it is made of.
    pub fn new(role: Role, id: &str, cluster: &str) -> Result<Self, IdentityError> {
        if !is_word(id) || !is_word(cluster) {
            return Err(IdentityError::Form);
        }
        Ok(Self { role, id: id.to_owned(), cluster: cluster.to_owned() })
    }

    /// The SAN URI.
    pub fn uri(&self) -> String {
        self.to_string()
    }

    /// Reads a certificate (DER). It must have exactly one name: with two, signer and reader could each mean another.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Certificate)?;
        if !rest.is_empty() {
            return Err(IdentityError::Certificate);
        }
        let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Certificate)?;
        let names = names.ok_or(IdentityError::Names)?;
        match names.value.general_names.as_slice() {
            [GeneralName::URI(uri)] => uri.parse(),
            _ => Err(IdentityError::Names),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, self.role, self.id)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    /// Byte-exact: no case folding, no percent-decoding, no trailing `/`.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let words = text.strip_prefix(SCHEME).ok_or(IdentityError::Form)?;
        let mut words = words.split('/');
        let (Some(cluster), Some(role), Some(id), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(IdentityError::Form);
        };
        let role = Role::ALL.into_iter().find(|it| it.as_str() == role).ok_or(IdentityError::Form)?;
        Self::new(role, id, cluster)
    }
}

fn is_word(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uri_and_identity_are_one_to_one() {
        for role in Role::ALL {
            let identity = Identity::new(role, "a-1", "demo").unwrap();
            assert_eq!(identity.uri().parse(), Ok(identity));
        }
    }

    #[test]
    fn anything_but_the_exact_form_is_no_identity() {
        let long = format!("gatehouse://demo/im/{}", "a".repeat(65));
        for text in [
            "",
            "gatehouse://",
            "gatehouse://demo/im",
            "gatehouse://demo/im/",
            "gatehouse://demo/im/a/",
            "gatehouse://demo/im/a/b",
            "gatehouse:///im/a",
            "gatehouse://demo/IM/a",
            "gatehouse://demo/boss/a",
            "GATEHOUSE://demo/im/a",
            "https://demo/im/a",
            " gatehouse://demo/im/a",
            "gatehouse://demo/im/a ",
            "gatehouse://demo/im/%61",
            "gatehouse://demo/im/a,b",
            "gatehouse://demo/im/a\0",
            "gatehouse://demo/im/ä",
            "gatehouse://demo@x:1/im/a?b#c",
            &long,
        ] {
            assert_eq!(text.parse::<Identity>(), Err(IdentityError::Form), "{text:?}");
        }
    }
}

//! The X.509 authority of components (RFC 5280): a certificate names one component by one SAN URI.

use std::{fmt, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    auth::{
        AuthError,
        keyring::{KeyringError, Numbered, Purpose},
        random,
    },
    link::Identity,
    wire::join::ComponentCertificate,
};

/// How far before its issue a certificate counts already: the skew of two hosts' clocks.
const BACKDATE_SECONDS: i64 = 300;

/// How long an authority lasts; it is rotated long before.
const AUTHORITY_SECONDS: i64 = 10 * 365 * 86_400;

/// Certifies components.
pub struct ComponentAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM of our own certificate.
    certificate: String,
    /// PEM of every certificate that is trusted, ours included.
    trust: String,
    fingerprint: [u8; 32],
}

/// From when and for how long a certificate is good. Components renew at half time.
#[derive(Debug, Clone, Copy)]
pub(in crate::auth) struct Validity {
    /// Unix second.
    pub(in crate::auth) now: i64,
    /// From then on.
    pub(in crate::auth) seconds: i64,
}

/// A private key and the certificate for it.
pub(in crate::auth) struct Certified {
    pub(in crate::auth) key: Zeroizing<String>,
    pub(in crate::auth) certificate: ComponentCertificate,
}

impl ComponentAuthority {
    /// A new authority: key and self-signed certificate, both PEM, one behind the other.
    pub(in crate::auth) fn generate(cluster: &str) -> Result<Zeroizing<String>, AuthError> {
        let key = KeyPair::generate().map_err(|error| unusable(&error))?;
        let serial = random::bytes::<16>()?;
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        // Two authorities of one cluster must differ in name, or a chain could be tried with the wrong key alone.
        name.push(DnType::CommonName, format!("gatehouse components {cluster} {}", hex::encode(serial)));
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.serial_number = Some(serial_number(serial));
        // An authority has no clock of its own to be wrong about: it counts from long before until long after.
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = params.not_before + seconds(AUTHORITY_SECONDS);
        let certificate = params.self_signed(&key).map_err(|error| unusable(&error))?;
        Ok(Zeroizing::new(format!("{}{}", key.serialize_pem(), certificate.pem())))
    }

    /// From the key files, ascending: the last one signs, all are trusted.
    pub(in crate::auth) fn load(keys: &[Numbered]) -> Result<Self, KeyringError> {
        let mut trust = String::new();
        for numbered in keys {
            trust.push_str(&certificate_of(numbered)?);
        }
        let last = keys.last().ok_or(KeyringError::None(Purpose::Components.as_str()))?;
        let certificate = certificate_of(last)?;
        let key = KeyPair::from_pem(&last.text).map_err(|error| last.unusable(&error))?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|error| last.unusable(&error))?;
        let fingerprint = Sha256::digest(&der).into();
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| last.unusable(&error))?;
        Ok(Self { issuer, certificate, trust, fingerprint })
    }

    /// SHA-256 over the DER of the certificate that signs.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// PEM of every certificate that is trusted.
    pub fn trust(&self) -> &str {
        &self.trust
    }

    /// A key and a certificate for a component of this process.
    pub(in crate::auth) fn certify_new(&self, identity: &Identity, validity: Validity) -> Result<Certified, AuthError> {
        let key = KeyPair::generate().map_err(|error| unusable(&error))?;
        let signed = params(identity, validity)?.signed_by(&key, &self.issuer).map_err(|error| unusable(&error))?;
        let certificate = self.answer(identity, &signed.pem(), validity);
        Ok(Certified { key: Zeroizing::new(key.serialize_pem()), certificate })
    }

    /// A certificate for the key of a signing request. What else the request says does not count: the names in the
    /// certificate are those that we know the component by.
    pub(in crate::auth) fn certify(
        &self,
        identity: &Identity,
        request: &SigningRequest,
        validity: Validity,
    ) -> Result<ComponentCertificate, AuthError> {
        let signed = params(identity, validity)?
            .signed_by(&request.0.public_key, &self.issuer)
            .map_err(|error| unusable(&error))?;
        Ok(self.answer(identity, &signed.pem(), validity))
    }

    fn answer(&self, identity: &Identity, leaf: &str, validity: Validity) -> ComponentCertificate {
        ComponentCertificate {
            identity: identity.uri(),
            chain: format!("{leaf}{}", self.certificate),
            trust: self.trust.clone(),
            expires: validity.now.saturating_add(validity.seconds),
        }
    }
}

impl fmt::Debug for ComponentAuthority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentAuthority")
            .field("fingerprint", &hex::encode(self.fingerprint))
            .finish_non_exhaustive()
    }
}

/// A signing request (RFC 2986) whose own signature, the proof of its key, was checked.
pub(in crate::auth) struct SigningRequest(CertificateSigningRequestParams);

impl SigningRequest {
    /// Bytes of a request; one of a P-256 key has 400.
    const BYTES_MAX: usize = 8 * 1024;

    pub(in crate::auth) fn from_pem(pem: &str) -> Result<Self, AuthError> {
        let invalid = || AuthError::Invalid("the certificate signing request cannot be used".to_owned());
        if Self::BYTES_MAX < pem.len() {
            return Err(invalid());
        }
        CertificateSigningRequestParams::from_pem(pem).map(Self).map_err(|_| invalid())
    }

    /// Hex SHA-256 of the public key.
    pub(in crate::auth) fn key_id(&self) -> String {
        hex::encode(Sha256::digest(self.0.public_key.subject_public_key_info()))
    }
}

fn params(identity: &Identity, validity: Validity) -> Result<CertificateParams, AuthError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let uri = identity.uri().try_into().map_err(|error| unusable(&error))?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial_number(random::bytes()?));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(validity.now.saturating_sub(BACKDATE_SECONDS));
    params.not_after = epoch + seconds(validity.now.saturating_add(validity.seconds));
    Ok(params)
}

/// Positive, as RFC 5280 wants it.
fn serial_number(mut bytes: [u8; 16]) -> SerialNumber {
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

fn certificate_of(numbered: &Numbered) -> Result<String, KeyringError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let at = numbered.text.find(BEGIN).ok_or_else(|| numbered.unusable(&"it has no certificate"))?;
    Ok(numbered.text.get(at..).unwrap_or_default().to_owned())
}

fn unusable(error: &dyn fmt::Display) -> AuthError {
    AuthError::Key(error.to_string())
}

//! Who may stand at the other end of a link, as rustls asks it.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use sha2::{Digest, Sha256};

use crate::link::{Identity, Role, credentials::provider};

/// Which authorities count.
#[derive(Debug, Clone)]
pub(in crate::link) enum Trust {
    /// These.
    Roots(Arc<RootCertStore>),
    /// The one with this SHA-256 over its DER, which the server sends along.
    Fingerprint([u8; 32]),
}

/// Takes servers whose chain is good and whose identity has the right cluster and role. There are no host names.
pub(in crate::link) struct ComponentServer {
    trust: Trust,
    cluster: String,
    role: Role,
    provider: Arc<CryptoProvider>,
}

impl ComponentServer {
    pub(in crate::link) fn new(trust: Trust, cluster: &str, role: Role) -> Self {
        Self { trust, cluster: cluster.to_owned(), role, provider: provider() }
    }

    fn roots(&self, sent: &[CertificateDer<'_>]) -> Result<Arc<RootCertStore>, Error> {
        match &self.trust {
            Trust::Roots(roots) => Ok(Arc::clone(roots)),
            Trust::Fingerprint(fingerprint) => {
                let pinned = sent.iter().find(|it| Sha256::digest(it.as_ref()).as_slice() == fingerprint);
                let pinned = pinned.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
                let mut roots = RootCertStore::empty();
                roots.add(pinned.clone().into_owned())?;
                Ok(Arc::new(roots))
            }
        }
    }
}

impl ServerCertVerifier for ComponentServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let roots = self.roots(intermediates)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, intermediates, now, algorithms)?;
        let identity = identity(end_entity, &self.cluster)?;
        if identity.role != self.role {
            return Err(refused());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for ComponentServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentServer").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Takes clients whose chain is good and whose identity has the right cluster, and those without a certificate.
#[derive(Debug)]
pub(in crate::link) struct ComponentClients {
    chain: Arc<dyn ClientCertVerifier>,
    cluster: String,
}

impl ComponentClients {
    pub(in crate::link) fn new(chain: Arc<dyn ClientCertVerifier>, cluster: &str) -> Self {
        Self { chain, cluster: cluster.to_owned() }
    }
}

impl ClientCertVerifier for ComponentClients {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        identity(end_entity, &self.cluster)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn identity(certificate: &CertificateDer<'_>, cluster: &str) -> Result<Identity, Error> {
    let identity = Identity::from_certificate(certificate).map_err(|_| refused())?;
    if identity.cluster != cluster {
        return Err(refused());
    }
    Ok(identity)
}

fn refused() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

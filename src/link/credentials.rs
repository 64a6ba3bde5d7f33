//! A component's own certificate and key and whom it believes, replaceable while it runs.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    CipherSuite, ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use crate::link::{
    Identity, LinkError, Role,
    verify::{ComponentClients, ComponentServer, Trust},
};

/// What a component proves itself by and whom it believes. Clones change together.
#[derive(Clone)]
pub struct Credentials(Arc<ArcSwap<State>>);

/// One generation of credentials, ready for use.
pub(in crate::link) struct State {
    identity: Option<Identity>,
    generation: u64,
    server: Option<Arc<ServerConfig>>,
    clients: Vec<(Role, Arc<ClientConfig>)>,
}

impl Credentials {
    /// From PEM: own certificate chain (leaf first) and key, and the component authorities to believe.
    ///
    /// The cluster is that of the leaf's identity; peers of any other are refused.
    pub fn from_pem(chain: &str, key: &str, trust: &str) -> Result<Self, LinkError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(full(chain, key, trust, 0)?))))
    }

    /// For a component that has no certificate yet and knows the authorities.
    pub fn anonymous(cluster: &str, trust: &str) -> Result<Self, LinkError> {
        Self::without_certificate(cluster, &Trust::Roots(Arc::new(roots(&certificates(trust)?)?)))
    }

    /// For a component that has no certificate yet and knows one authority's fingerprint (SHA-256 of its DER), as a
    /// join token carries it. Servers send the authority's certificate along.
    pub fn pinned(cluster: &str, fingerprint: [u8; 32]) -> Result<Self, LinkError> {
        Self::without_certificate(cluster, &Trust::Fingerprint(fingerprint))
    }

    fn without_certificate(cluster: &str, trust: &Trust) -> Result<Self, LinkError> {
        let clients = clients(cluster, trust, None)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(State { identity: None, generation: 0, server: None, clients }))))
    }

    /// From now on new connections are made and taken by these; open ones go on.
    ///
    /// An error changes nothing. The new certificate must name the same component.
    pub fn replace(&self, chain: &str, key: &str, trust: &str) -> Result<(), LinkError> {
        let old = self.0.load();
        let new = full(chain, key, trust, old.generation.saturating_add(1))?;
        if old.identity.is_some() && old.identity != new.identity {
            return Err(LinkError::Credentials("the new certificate names another component".to_owned()));
        }
        self.0.store(Arc::new(new));
        Ok(())
    }

    /// Who we are; none before joining.
    pub fn identity(&self) -> Option<Identity> {
        self.0.load().identity.clone()
    }

    /// Grows with each replacement; connections of an older one are not used again.
    pub(in crate::link) fn generation(&self) -> u64 {
        self.0.load().generation
    }

    /// How to accept, if we have a certificate.
    pub(in crate::link) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.0.load().server.clone()
    }

    /// How to call a component of this role.
    pub(in crate::link) fn client(&self, expected: Role) -> Option<Arc<ClientConfig>> {
        let state = self.0.load();
        state.clients.iter().find(|(role, _)| *role == expected).map(|(_, config)| Arc::clone(config))
    }
}

impl fmt::Debug for Credentials {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.load();
        f.debug_struct("Credentials")
            .field("identity", &state.identity)
            .field("generation", &state.generation)
            .finish_non_exhaustive()
    }
}

/// The one cryptography provider of the program. As in SSH, AES with keys of 128 bits goes first: nobody tries all of them
/// either, and it is two thirds of the work.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|it| it.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn full(chain: &str, key: &str, trust: &str, generation: u64) -> Result<State, LinkError> {
    let authorities = certificates(trust)?;
    let chain = with_root(certificates(chain)?, &authorities);
    let leaf = chain.first().ok_or_else(|| LinkError::Credentials("no certificate".to_owned()))?;
    let identity = Identity::from_certificate(leaf).map_err(credentials)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(credentials)?;
    let roots = Arc::new(roots(&authorities)?);
    let trust = Trust::Roots(Arc::clone(&roots));
    let server = server(&identity.cluster, roots, chain.clone(), key.clone_key())?;
    let clients = clients(&identity.cluster, &trust, Some(&(chain, key)))?;
    Ok(State { identity: Some(identity), generation, server: Some(Arc::new(server)), clients })
}

/// Appends the authority that issued the chain's last certificate, for those who know only its fingerprint. While
/// authorities rotate there may be two of that name; both are sent.
fn with_root(
    mut chain: Vec<CertificateDer<'static>>,
    authorities: &[CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let Some((issuer, _)) = chain.last().and_then(names) else { return chain };
    for authority in authorities {
        if names(authority).is_some_and(|(_, subject)| subject == issuer) && !chain.contains(authority) {
            chain.push(authority.clone());
        }
    }
    chain
}

/// Issuer and subject, as DER.
fn names(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some((parsed.issuer().as_raw().to_vec(), parsed.subject().as_raw().to_vec()))
}

fn server(
    cluster: &str,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, LinkError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .clear_root_hint_subjects()
        .allow_unauthenticated()
        .build()
        .map_err(credentials)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(credentials)?
        .with_client_cert_verifier(Arc::new(ComponentClients::new(verifier, cluster)))
        .with_single_cert(chain, key)
        .map_err(credentials)?;
    // A resumed session would not look at certificates again, and so outlive an authority that was removed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn clients(
    cluster: &str,
    trust: &Trust,
    own: Option<&ChainAndKey>,
) -> Result<Vec<(Role, Arc<ClientConfig>)>, LinkError> {
    let client = |role| {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(credentials)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ComponentServer::new(trust.clone(), cluster, role)));
        let mut config = match own {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(credentials)?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok((role, Arc::new(config)))
    };
    Role::ALL.into_iter().map(client).collect()
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, LinkError> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(credentials)
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, LinkError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(credentials)?;
    }
    if roots.is_empty() {
        return Err(LinkError::Credentials("no authority to believe".to_owned()));
    }
    Ok(roots)
}

fn credentials(error: impl fmt::Display) -> LinkError {
    LinkError::Credentials(error.to_string())
}

//! The certificate that clients see: the operator's files, or one of a local authority made here.

use std::{fs, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use zeroize::Zeroizing;

use crate::{
    cli::daemon::{DaemonError, member::write_private},
    config::Config,
    router::server_config,
};

/// TLS for clients. Without configured files a local authority in `state/router` vouches for the configured names;
/// clients are told of it by `apc target --ca state/router/ca.pem`.
pub(super) fn certificate(config: &Config) -> Result<Arc<ArcSwap<ServerConfig>>, DaemonError> {
    let (chain, key) = match (&config.router.certificate, &config.router.key) {
        (Some(chain), Some(key)) => (fs::read_to_string(chain)?, Zeroizing::new(fs::read_to_string(key)?)),
        (None, None) => local(&config.state.join("router"), &config.cluster, &config.router.names)?,
        (Some(_), None) | (None, Some(_)) => {
            return Err(DaemonError::Start("`router.certificate` and `router.key` go together".to_owned()));
        }
    };
    let tls = server_config(&chain, &key).map_err(unusable)?;
    Ok(Arc::new(ArcSwap::from_pointee(tls)))
}

/// Chain and key for `names`: the authority stays, the certificate is new at each start.
fn local(folder: &Path, cluster: &str, names: &[String]) -> Result<(String, Zeroizing<String>), DaemonError> {
    fs::create_dir_all(folder)?;
    let (authority_file, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
    if !authority_file.exists() {
        let key = KeyPair::generate().map_err(unusable)?;
        let certificate = authority(cluster).self_signed(&key).map_err(unusable)?;
        write_private(&key_file, key.serialize_pem().as_bytes())?;
        fs::write(&authority_file, certificate.pem())?;
    }
    let authority_pem = fs::read_to_string(&authority_file)?;
    let authority_key = Zeroizing::new(fs::read_to_string(&key_file)?);
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, KeyPair::from_pem(&authority_key).map_err(unusable)?);
    let key = KeyPair::generate().map_err(unusable)?;
    let leaf = CertificateParams::new(names.to_vec()).map_err(unusable)?;
    let leaf = leaf.signed_by(&key, &issuer.map_err(unusable)?).map_err(unusable)?;
    Ok((format!("{}{authority_pem}", leaf.pem()), Zeroizing::new(key.serialize_pem())))
}

fn authority(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("gatehouse clients of {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn unusable(error: impl std::fmt::Display) -> DaemonError {
    DaemonError::Start(format!("the router's certificate cannot be used: {error}"))
}

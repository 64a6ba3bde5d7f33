//! TLS from the client to the router: which certificates count, and the connection.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    cli::client::{error::ClientError, home::Target},
    link::provider,
    streams::ReadAhead,
};

/// For the TCP connection and the TLS handshake, each.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where systems keep the certificates of public authorities.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Opens connections to one target.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    url: String,
    host: String,
    port: u16,
    config: Arc<ClientConfig>,
}

impl Dialer {
    /// Reads the target's authorities.
    pub(crate) fn new(target: &Target) -> Result<Self, ClientError> {
        let (host, port) = split(&target.url)?;
        let roots = roots(target)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| tls_error(target, &error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { url: target.url.clone(), host, port, config: Arc::new(config) })
    }

    /// `host[:port]`, as the `Host` header wants it.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }

    /// One connection.
    pub(crate) async fn dial(&self) -> Result<TlsStream<ReadAhead<TcpStream>>, ClientError> {
        let unreachable =
            |cause: &dyn ToString| ClientError::Unreachable { target: self.url.clone(), cause: cause.to_string() };
        let tcp = tokio::time::timeout(HANDSHAKE, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(|_| unreachable(&"no answer"))?
            .map_err(|error| unreachable(&error))?;
        // Key strokes are small and must not wait for each other.
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        let name = ServerName::try_from(self.host.clone()).map_err(|_| ClientError::BadTarget(self.url.clone()))?;
        let failed = |cause: String| ClientError::Tls { target: self.url.clone(), cause };
        tokio::time::timeout(HANDSHAKE, TlsConnector::from(Arc::clone(&self.config)).connect(name, ReadAhead::new(tcp)))
            .await
            .map_err(|_| failed("no answer".to_owned()))?
            .map_err(|error| failed(error.to_string()))
    }
}

/// Host and port of `https://host[:port]`.
pub(crate) fn split(url: &str) -> Result<(String, u16), ClientError> {
    let bad = || ClientError::BadTarget(url.to_owned());
    let uri: axum::http::Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("https") || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(bad());
    }
    let authority = uri.authority().ok_or_else(bad)?;
    if authority.as_str().contains('@') {
        return Err(bad());
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(bad());
    }
    Ok((host.to_owned(), authority.port_u16().unwrap_or(443)))
}

fn roots(target: &Target) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let certificates = match &target.authorities {
        Some(text) => parse(text.as_bytes()).map_err(|error| tls_error(target, &error))?,
        None => system_bundle(),
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(tls_error(target, &"no authority to trust; name one with `apc target URL --ca FILE`"));
    }
    Ok(roots)
}

fn system_bundle() -> Vec<CertificateDer<'static>> {
    let bundle = SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
    bundle.and_then(|bytes| parse(&bytes).ok()).unwrap_or_default()
}

fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn tls_error(target: &Target, cause: &dyn ToString) -> ClientError {
    ClientError::Tls { target: target.url.clone(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_https_origin_and_nothing_else() {
        assert_eq!(split("https://a.example:7443").unwrap(), ("a.example".to_owned(), 7443));
        assert_eq!(split("https://[::1]:7443/").unwrap(), ("::1".to_owned(), 7443));
        assert_eq!(split("https://a.example").unwrap().1, 443);
        for bad in ["http://a.example", "a.example", "https://", "https://u@a.example", "https://a.example/x", "", "/"]
        {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}

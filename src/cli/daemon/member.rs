//! A component on a host of its own: joins once with a token, comes back with its key, renews before its end.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::Method;
use rcgen::{CertificateParams, KeyPair};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    cli::daemon::DaemonError,
    link::{Client, Credentials, Identity, Role, TcpDialer},
    wire::join::{ComponentCertificate, JoinRequest, JoinToken, RenewRequest},
};

/// How soon a renewal that failed is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// Longest wait for a renewal: half of a certificate's day, whatever a clock that is set says.
const RENEW_EVERY: Duration = Duration::from_hours(12);

/// Where a component keeps who it is.
#[derive(Debug, Clone)]
pub(super) struct Member {
    folder: PathBuf,
    credentials: Credentials,
}

impl Member {
    /// Comes back as who it was, or joins with the token at one of the API servers' addresses.
    pub(super) async fn enter(
        state: &Path,
        role: Role,
        cluster: &str,
        api: &[String],
        token: Option<&JoinToken>,
    ) -> Result<Self, DaemonError> {
        let folder = state.join("component");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        if !folder.join("certificate.json").exists() {
            let token = token.ok_or_else(|| {
                DaemonError::Start(format!(
                    "this host has not joined the cluster: get a token with `apcd join {role}` on the cluster's host, \
                     and start with `--join TOKEN`"
                ))
            })?;
            join(&folder, cluster, api, token).await?;
        }
        let key = Zeroizing::new(fs::read_to_string(folder.join("key.pem"))?);
        let certificate = read_certificate(&folder)?;
        let credentials = Credentials::from_pem(&certificate.chain, &key, &certificate.trust)?;
        let identity = credentials.identity().filter(|it| it.role == role && it.cluster == cluster);
        if identity.is_none() {
            let found = &certificate.identity;
            return Err(DaemonError::Start(format!(
                "this host has joined as `{found}`, not as a `{role}` of `{cluster}`"
            )));
        }
        Ok(Self { folder, credentials })
    }

    /// What it proves itself by.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Who it is.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.credentials.identity()
    }

    /// Renews at half time until `stop`, asking `client` at `path`.
    pub(super) async fn keep(self, client: Client, path: &'static str, stop: CancellationToken) {
        loop {
            let wait = read_certificate(&self.folder).map_or(RENEW_AGAIN, |it| until_half_time(&it));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => (),
            }
            if let Err(error) = self.renew(&client, path).await {
                tracing::warn!(%error, "the component's certificate could not be renewed");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RENEW_AGAIN) => (),
                }
            }
        }
    }

    async fn renew(&self, client: &Client, path: &str) -> Result<(), DaemonError> {
        let pem = Zeroizing::new(fs::read_to_string(self.folder.join("key.pem"))?);
        let key = KeyPair::from_pem(&pem).map_err(|error| DaemonError::Start(error.to_string()))?;
        let identity = read_certificate(&self.folder)?.identity;
        let request = RenewRequest { identity, csr: signing_request(&key)? };
        let certificate: ComponentCertificate = client.json(Method::POST, path, None, Some(&request)).await?;
        self.credentials.replace(&certificate.chain, &pem, &certificate.trust)?;
        write_certificate(&self.folder, &certificate)
    }
}

async fn join(folder: &Path, cluster: &str, api: &[String], token: &JoinToken) -> Result<(), DaemonError> {
    if token.cluster != cluster {
        let other = &token.cluster;
        return Err(DaemonError::Start(format!(
            "the join token is of the cluster `{other}`, this host's is `{cluster}`"
        )));
    }
    let address =
        api.first().ok_or_else(|| DaemonError::Start("no address of an API server is configured".to_owned()))?;
    let key = KeyPair::generate().map_err(|error| DaemonError::Start(error.to_string()))?;
    // The key is safe on disk before the token is spent.
    write_private(&folder.join("key.pem"), key.serialize_pem().as_bytes())?;
    let stranger = Credentials::pinned(cluster, token.fingerprint)?;
    let client = Client::new(TcpDialer::new(address), stranger, Role::Api);
    let request = JoinRequest { token: token.secret.clone(), csr: signing_request(&key)? };
    let certificate = client.json(Method::POST, "/internal/im/join", None, Some(&request)).await?;
    write_certificate(folder, &certificate)
}

fn signing_request(key: &KeyPair) -> Result<String, DaemonError> {
    let request = CertificateParams::default().serialize_request(key).and_then(|it| it.pem());
    request.map_err(|error| DaemonError::Start(error.to_string()))
}

/// Time until half of what is left of a certificate's day has passed.
fn until_half_time(certificate: &ComponentCertificate) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |it| it.as_secs());
    let left = u64::try_from(certificate.expires).unwrap_or(0).saturating_sub(now);
    Duration::from_secs(left / 2).clamp(RENEW_AGAIN, RENEW_EVERY)
}

fn read_certificate(folder: &Path) -> Result<ComponentCertificate, DaemonError> {
    let bytes = fs::read(folder.join("certificate.json"))?;
    serde_json::from_slice(&bytes).map_err(|error| DaemonError::Start(format!("certificate.json: {error}")))
}

fn write_certificate(folder: &Path, certificate: &ComponentCertificate) -> Result<(), DaemonError> {
    let bytes = serde_json::to_vec(certificate).map_err(|error| DaemonError::Start(error.to_string()))?;
    Ok(write_private(&folder.join("certificate.json"), &bytes)?)
}

/// Writes a file that only we may read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_time_whatever_the_clock_says() {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let wait = |expires| {
            let [identity, chain, trust] = [const { String::new() }; 3];
            until_half_time(&ComponentCertificate { identity, chain, trust, expires })
        };
        let usual = wait(now + 20 * 3_600);
        assert!(Duration::from_hours(9) < usual && usual <= Duration::from_hours(10), "{usual:?}");
        // The clock was wrong when it was issued, or is wrong now.
        assert_eq!(wait(now + 365 * 86_400), Duration::from_hours(12));
        assert_eq!(wait(i64::MAX), Duration::from_hours(12));
        for expired in [now, now - 86_400, 0, i64::MIN] {
            assert_eq!(wait(expired), RENEW_AGAIN);
        }
    }
}

//! The client's files: `$APC_HOME`, else `$HOME/.apc`; a directory of mode 0700 with files of mode 0600.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::cli::client::error::ClientError;

/// Where the client keeps what it was told.
#[derive(Debug, Clone)]
pub struct Home {
    directory: PathBuf,
    /// `APC_TOKEN`: goes before any stored token.
    token: Option<String>,
}

/// The cluster that commands speak to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `https://host[:port]`, without a path.
    pub url: String,
    /// PEM certificates that may sign the router's; none: those of the system.
    #[serde(default)]
    pub authorities: Option<String>,
    /// Namespace of short names; none: the one that policy names.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// A login at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The bearer token.
    pub token: String,
}

const TARGET: &str = "target.json";
const LOGINS: &str = "logins.json";

impl Home {
    /// By the environment: `APC_HOME`, `HOME`, `APC_TOKEN`.
    pub fn from_environment() -> Result<Self, ClientError> {
        let directory = match (env::var_os("APC_HOME"), env::var_os("HOME")) {
            (Some(home), _) if !home.is_empty() => PathBuf::from(home),
            (_, Some(home)) if !home.is_empty() => PathBuf::from(home).join(".apc"),
            _ => return Err(ClientError::Usage("neither `APC_HOME` nor `HOME` is set".to_owned())),
        };
        let token = env::var("APC_TOKEN").ok().filter(|it| !it.is_empty());
        Ok(Self { directory, token })
    }

    /// In this directory, for tests and other programs; no token from the environment.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), token: None }
    }

    /// The chosen cluster.
    pub fn target(&self) -> Result<Target, ClientError> {
        self.read(TARGET)?.ok_or(ClientError::NoTarget)
    }

    /// Chooses a cluster.
    pub fn set_target(&self, target: &Target) -> Result<(), ClientError> {
        self.write(TARGET, target)
    }

    /// The token for a target: `APC_TOKEN`, else what `apc login` kept.
    pub fn token(&self, target: &Target) -> Result<Option<String>, ClientError> {
        if let Some(token) = &self.token {
            return Ok(Some(token.clone()));
        }
        Ok(self.logins()?.remove(&target.url).map(|login| login.token))
    }

    /// Keeps or (`None`) forgets the login at a target.
    pub fn set_login(&self, target: &Target, login: Option<Login>) -> Result<(), ClientError> {
        let mut logins = self.logins()?;
        match login {
            Some(login) => logins.insert(target.url.clone(), login),
            None => logins.remove(&target.url),
        };
        self.write(LOGINS, &logins)
    }

    fn logins(&self) -> Result<BTreeMap<String, Login>, ClientError> {
        Ok(self.read(LOGINS)?.unwrap_or_default())
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClientError> {
        let path = self.directory.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_error(&path, &error)),
        };
        let mode = fs::metadata(&path).map_err(|error| file_error(&path, &error))?.permissions().mode();
        // A token that others could read, or put there, is nobody's.
        if mode & 0o077 != 0 {
            return Err(file_error(&path, &"others may read or write it; make its mode 0600"));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|error| file_error(&path, &error))
    }

    /// Replaces the file whole, so that a crash leaves the old or the new one.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), ClientError> {
        let path = self.directory.join(name);
        let failed = |error: std::io::Error| file_error(&path, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        let bytes = serde_json::to_vec_pretty(value).map_err(|error| file_error(&path, &error))?;
        // `tempfile` makes files of mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).map_err(failed)?;
        file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&path).map_err(|error| file_error(&path, &error.error))?;
        Ok(())
    }
}

fn file_error(path: &Path, cause: &dyn ToString) -> ClientError {
    ClientError::File { path: path.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { url: "https://cluster.example:7443".to_owned(), authorities: None, namespace: None }
    }

    #[test]
    fn a_login_is_kept_for_its_target_alone_and_only_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("new"));
        assert!(matches!(home.target(), Err(ClientError::NoTarget)));
        home.set_target(&target()).unwrap();
        home.set_login(&target(), Some(Login { token: "secret".to_owned() })).unwrap();
        assert_eq!(home.token(&target()).unwrap().as_deref(), Some("secret"));
        let other = Target { url: "https://elsewhere.example".to_owned(), ..target() };
        assert_eq!(home.token(&other).unwrap(), None);
        for (path, mode) in [("new", 0o700), ("new/target.json", 0o600), ("new/logins.json", 0o600)] {
            let found = fs::metadata(directory.path().join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
        home.set_login(&target(), None).unwrap();
        assert_eq!(home.token(&target()).unwrap(), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        home.set_login(&target(), Some(Login { token: "secret".to_owned() })).unwrap();
        let path = directory.path().join(LOGINS);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(home.token(&target()).is_err());
    }
}

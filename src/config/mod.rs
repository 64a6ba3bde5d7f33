//! The operator's file and flags.
//!
//! One TOML file for every role. Each key is a field of [`Config`] or of one of its sections, documented there with
//! unit and default; flags replace single keys by their dotted names. What results is what `apcd config` prints, and
//! that text is again a file that means the same.

mod load;
mod sections;
mod validate;
mod zone;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use self::{
    load::Overrides,
    sections::{Api, Audit, Auth, Console, Im, PortRange, Router, Sessions},
};

/// Everything an operator decides. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The cluster's name, `[A-Za-z0-9._-]{1,64}`; in tokens and in components' certificates. Default `gatehouse`.
    pub cluster: String,
    /// Folder of keys, store, blobs and sockets, mode 0700. Default `/var/lib/gatehouse`.
    pub state: PathBuf,
    /// The door for clients.
    pub router: Router,
    /// API servers.
    pub api: Api,
    /// Logins, tokens, policy documents.
    pub auth: Auth,
    /// The manager of this host's instances.
    pub im: Im,
    /// Console clones.
    pub console: Console,
    /// Live sessions.
    pub sessions: Sessions,
    /// The audit log.
    pub audit: Audit,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: "gatehouse".to_owned(),
            state: PathBuf::from("/var/lib/gatehouse"),
            router: Router::default(),
            api: Api::default(),
            auth: Auth::default(),
            im: Im::default(),
            console: Console::default(),
            sessions: Sessions::default(),
            audit: Audit::default(),
        }
    }
}

impl Config {
    /// Folder of the instance manager: `im.state`, or `im` in the state folder.
    pub fn im_state(&self) -> PathBuf {
        self.im.state.clone().unwrap_or_else(|| self.state.join("im"))
    }
}

impl fmt::Display for Config {
    /// As TOML, every key with the value in force.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no TOML, a key is unknown or has the wrong type.
    #[error("{place}: {message}")]
    Syntax {
        /// The file, or `flags`.
        place: String,
        /// What and where.
        message: String,
    },
    /// A value cannot be used.
    #[error("`{key}` {problem}")]
    Value {
        /// Dotted name.
        key: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

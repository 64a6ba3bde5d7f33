//! What can go wrong on the host.

use std::{io, path::PathBuf};

use crate::wire::printable::Printable;

/// Why the manager, or a shim, could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ImError {
    /// A file, a socket, a mount.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, for people.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A program that we run failed; its own words.
    #[error("`{program}` failed: {message}")]
    Program {
        /// Which.
        program: String,
        /// What it said, cut to a line.
        message: String,
    },
    /// A layer's archive is not one that we unpack.
    #[error("layer `{digest}`: {message}")]
    Layer {
        /// Which.
        digest: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file of ours does not say what it should.
    #[error("`{}` is damaged: {message}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The other side broke the protocol, or speaks another version.
    #[error("protocol: {0}")]
    Protocol(String),
    /// All ports, addresses or user-id ranges are in use.
    #[error("no free {0} is left")]
    Exhausted(&'static str),
    /// A setting, or a job's wish, that cannot be met.
    #[error("{0}")]
    Unusable(String),
    /// The API server cannot be reached, or refused.
    #[error("api: {0}")]
    Uplink(String),
}

/// Says what was tried when an input or output fails.
pub(crate) trait Context<T> {
    /// `what` is a phrase such as ``make `/x` ``.
    fn context(self, what: impl FnOnce() -> String) -> Result<T, ImError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, ImError> {
        self.map_err(|source| ImError::Io { what: what(), source: source.into() })
    }
}

/// Untrusted text for a message: escaped, and cut to `characters`.
pub(crate) fn printable(text: &str, characters: usize) -> String {
    let short: String = text.trim().chars().take(characters).collect();
    Printable(&short).to_string()
}

//! The cluster's private keys, each for one purpose, in files that nobody else may read.
//!
//! `<folder>/<purpose>/<number>.key`: the greatest number signs, the public halves of all are trusted. A key is rotated
//! by overlap: [`add_key`] writes the next number while everything runs, a restart of the auth role signs with it, and
//! once nothing signed by an old one is valid any more its file is deleted, which revokes it.

mod files;
mod signing;

use std::path::Path;

use russh::keys::ssh_key::{PrivateKey, PublicKey as SshPublicKey};

use self::files::Folder;
pub use self::files::KeyringError;
pub(in crate::auth) use self::files::Numbered;
use crate::{
    auth::components::ComponentAuthority,
    gate::{KeySet, PublicKey},
};

pub use self::signing::SigningKey;

/// What a key is for. No key has two purposes, so that what one signs can never pass for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// SSH certificates of users into instances.
    InstanceUsers,
    /// SSH certificates of users into external servers.
    ExternalUsers,
    /// SSH certificates of hosts.
    Hosts,
    /// X.509 certificates of components.
    Components,
    /// Tokens.
    Tokens,
    /// Policy heads.
    Snapshots,
    /// Heads of the audit log.
    Audit,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::InstanceUsers,
        Self::ExternalUsers,
        Self::Hosts,
        Self::Components,
        Self::Tokens,
        Self::Snapshots,
        Self::Audit,
    ];

    /// Name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceUsers => "instance-users",
            Self::ExternalUsers => "external-users",
            Self::Hosts => "hosts",
            Self::Components => "components",
            Self::Tokens => "tokens",
            Self::Snapshots => "snapshots",
            Self::Audit => "audit",
        }
    }
}

/// All private keys. Only the auth role has one; it is neither copied nor shown.
#[derive(Debug)]
pub struct Keyring {
    pub(in crate::auth) instance_users: SshAuthority,
    pub(in crate::auth) external_users: SshAuthority,
    pub(in crate::auth) hosts: SshAuthority,
    pub(in crate::auth) components: ComponentAuthority,
    pub(in crate::auth) tokens: SigningKeys,
    pub(in crate::auth) snapshots: SigningKeys,
    pub(in crate::auth) audit: SigningKeys,
}

/// An SSH certificate authority.
pub(in crate::auth) struct SshAuthority {
    /// Signs.
    pub(in crate::auth) key: PrivateKey,
    /// Are trusted, ours included.
    pub(in crate::auth) trusted: Vec<SshPublicKey>,
}

/// Ed25519 keys of one purpose.
#[derive(Debug)]
pub(in crate::auth) struct SigningKeys {
    /// Signs.
    pub(in crate::auth) key: SigningKey,
    /// Are trusted, ours included.
    pub(in crate::auth) trusted: KeySet,
}

impl Keyring {
    /// Opens the keys in a folder, and makes those that are missing. A file or folder that others may read or write is
    /// refused: the key in it may be known.
    pub fn open(folder: &Path, cluster: &str) -> Result<Self, KeyringError> {
        let folder = Folder::open(folder)?;
        Ok(Self {
            instance_users: ssh_authority(&folder, Purpose::InstanceUsers)?,
            external_users: ssh_authority(&folder, Purpose::ExternalUsers)?,
            hosts: ssh_authority(&folder, Purpose::Hosts)?,
            components: ComponentAuthority::load(&folder.keys(Purpose::Components, cluster)?)?,
            tokens: signing_keys(&folder, Purpose::Tokens)?,
            snapshots: signing_keys(&folder, Purpose::Snapshots)?,
            audit: signing_keys(&folder, Purpose::Audit)?,
        })
    }

    /// Public keys that tokens are checked by.
    pub fn token_keys(&self) -> &KeySet {
        &self.tokens.trusted
    }

    /// Public keys that policy heads are checked by.
    pub fn snapshot_keys(&self) -> &KeySet {
        &self.snapshots.trusted
    }

    /// Public keys that heads of the audit log are checked by.
    pub fn audit_keys(&self) -> &KeySet {
        &self.audit.trusted
    }

    /// Public keys of the authorities of users of instances, in OpenSSH format.
    pub fn instance_user_authorities(&self) -> Vec<String> {
        self.instance_users.openssh()
    }

    /// The authority of components.
    pub fn components(&self) -> &ComponentAuthority {
        &self.components
    }
}

/// Writes a further key of a purpose: trusted from the next start on, and then the one that signs.
pub fn add_key(folder: &Path, purpose: Purpose, cluster: &str) -> Result<(), KeyringError> {
    Folder::open(folder)?.add(purpose, cluster)
}

fn ssh_authority(folder: &Folder, purpose: Purpose) -> Result<SshAuthority, KeyringError> {
    let keys = folder.keys(purpose, "")?;
    let read = |it: &Numbered| PrivateKey::from_openssh(it.text.as_bytes()).map_err(|error| it.unusable(&error));
    let mut trusted = Vec::new();
    let mut last = None;
    for numbered in &keys {
        let key = read(numbered)?;
        if key.key_data().ed25519().is_none() {
            return Err(numbered.unusable(&"it is no Ed25519 key"));
        }
        trusted.push(key.public_key().clone());
        last = Some(key);
    }
    let key = last.ok_or(KeyringError::None(purpose.as_str()))?;
    Ok(SshAuthority { key, trusted })
}

fn signing_keys(folder: &Folder, purpose: Purpose) -> Result<SigningKeys, KeyringError> {
    let mut trusted: Vec<PublicKey> = Vec::new();
    let mut last = None;
    for numbered in &folder.keys(purpose, "")? {
        let key = SigningKey::from_pem(&numbered.text).map_err(|error| numbered.unusable(&error))?;
        trusted.push(key.public());
        last = Some(key);
    }
    let key = last.ok_or(KeyringError::None(purpose.as_str()))?;
    Ok(SigningKeys { key, trusted: KeySet::new(trusted) })
}

impl SshAuthority {
    pub(in crate::auth) fn openssh(&self) -> Vec<String> {
        self.trusted.iter().filter_map(|it| it.to_openssh().ok()).collect()
    }
}

impl std::fmt::Debug for SshAuthority {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshAuthority").field("trusted", &self.trusted.len()).finish_non_exhaustive()
    }
}

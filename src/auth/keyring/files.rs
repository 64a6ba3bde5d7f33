//! Key files: made whole or not at all, read only where nobody else can.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use russh::keys::ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, KeypairData},
};
use zeroize::Zeroizing;

use crate::auth::{
    components::ComponentAuthority,
    keyring::{Purpose, SigningKey},
    random,
};

/// A key file; the largest real one, a component key with its certificate, has 1 KiB.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Why there are no keys to sign with. The role does not start.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file system says no.
    #[error("`{path}` cannot be used: {error}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read or change it, or it is someone else's.
    #[error("`{path}` has mode {mode:04o}: others than its owner may use it; if nobody did, `chmod go= {path}`")]
    Loose {
        /// Which file or folder.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Not a file or folder of the one who runs this.
    #[error("`{path}` is no plain file or folder of the user who runs this")]
    NotOurs {
        /// Which.
        path: PathBuf,
    },
    /// It is no key, or one of another kind.
    #[error("`{path}` is no key that can be used: {reason}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key could not be made.
    #[error("a key cannot be made: {0}")]
    Generate(String),
    /// There is no key, which cannot be: one is made.
    #[error("there is no key for `{0}`")]
    None(&'static str),
}

/// One key file.
pub(in crate::auth) struct Numbered {
    pub(in crate::auth) path: PathBuf,
    pub(in crate::auth) text: Zeroizing<String>,
}

impl Numbered {
    pub(in crate::auth) fn unusable(&self, reason: &dyn std::fmt::Display) -> KeyringError {
        KeyringError::Unusable { path: self.path.clone(), reason: reason.to_string() }
    }
}

/// The folder of all keys.
pub(in crate::auth) struct Folder(PathBuf);

impl Folder {
    pub(in crate::auth) fn open(path: &Path) -> Result<Self, KeyringError> {
        make_folder(path)?;
        Ok(Self(path.to_owned()))
    }

    /// The keys of a purpose, ascending by number; the first is made if there is none.
    pub(in crate::auth) fn keys(&self, purpose: Purpose, cluster: &str) -> Result<Vec<Numbered>, KeyringError> {
        let folder = self.0.join(purpose.as_str());
        make_folder(&folder)?;
        if numbers(&folder)?.is_empty() {
            self.add(purpose, cluster)?;
        }
        numbers(&folder)?.into_iter().map(|number| read(folder.join(format!("{number}.key")))).collect()
    }

    pub(in crate::auth) fn add(&self, purpose: Purpose, cluster: &str) -> Result<(), KeyringError> {
        let folder = self.0.join(purpose.as_str());
        make_folder(&folder)?;
        let next = numbers(&folder)?.last().copied().unwrap_or(0).saturating_add(1);
        write(&folder, &format!("{next}.key"), &generate(purpose, cluster)?)
    }
}

fn generate(purpose: Purpose, cluster: &str) -> Result<Zeroizing<String>, KeyringError> {
    let failed = |error: &dyn std::fmt::Display| KeyringError::Generate(error.to_string());
    match purpose {
        Purpose::InstanceUsers | Purpose::ExternalUsers | Purpose::Hosts => {
            let seed = Zeroizing::new(random::bytes::<32>().map_err(|error| failed(&error))?);
            let data = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
            let key = PrivateKey::new(data, purpose.as_str()).map_err(|error| failed(&error))?;
            key.to_openssh(LineEnding::LF).map_err(|error| failed(&error))
        }
        Purpose::Components => ComponentAuthority::generate(cluster).map_err(|error| failed(&error)),
        Purpose::Tokens | Purpose::Snapshots | Purpose::Audit => SigningKey::generate().map_err(|error| failed(&error)),
    }
}

/// Numbers of the key files in a folder, ascending. Other names are left alone.
fn numbers(folder: &Path) -> Result<Vec<u32>, KeyringError> {
    let failed = |error| KeyringError::File { path: folder.to_owned(), error };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let stem = name.to_str().and_then(|it| it.strip_suffix(".key")).unwrap_or_default();
        // `01` is another name of `1`, and so none of ours.
        numbers.extend(stem.parse::<u32>().ok().filter(|it| it.to_string() == stem));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn make_folder(path: &Path) -> Result<(), KeyringError> {
    let failed = |error| KeyringError::File { path: path.to_owned(), error };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => (),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
        Err(error) => return Err(failed(error)),
    }
    // No symbolic link: what it leads to may change between two looks.
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    check(path, &metadata, metadata.is_dir())
}

fn read(path: PathBuf) -> Result<Numbered, KeyringError> {
    let failed = |error| KeyringError::File { path: path.clone(), error };
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check(&path, &metadata, metadata.is_file())?;
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(Numbered { path, text })
}

fn check(path: &Path, metadata: &fs::Metadata, right_kind: bool) -> Result<(), KeyringError> {
    if !right_kind || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyringError::NotOurs { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Loose { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Writes beside, syncs, and links into place: a crash leaves a whole key or none, and none is ever written over.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), KeyringError> {
    let path = folder.join(name);
    let beside = folder.join(format!("{name}.new"));
    let failed = |error| KeyringError::File { path: path.clone(), error };
    match fs::remove_file(&beside) {
        Ok(()) => (),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(failed(error)),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::hard_link(&beside, &path).map_err(failed)?;
    fs::remove_file(&beside).map_err(failed)?;
    File::open(folder).and_then(|it| it.sync_all()).map_err(failed)
}

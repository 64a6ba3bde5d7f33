//! The set in force, compiled, in a file: a role that starts again need not compile what it has compiled before.
//!
//! The file is a copy of what the store says, never more: a head is believed as ever, and documents that are others than those in the
//! file are read and compiled. Where there is no file, or its seal is broken, all of them are.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use memmap2::MmapOptions;
use rustix::fs::OFlags;
use tempfile::NamedTempFile;

use crate::{
    compile::{PolicySet, SealKey, UnsealError},
    gate::Snapshot,
    source::Source,
    wire::policy::{KeptPolicy, PolicyEntry},
};

const FILE: &str = "policy-set";
const KEY_FILE: &str = "policy-set.key";

/// Of this many documents one may differ from those in the file before it is written anew.
const STALE_PART: usize = 8;

/// Where a role keeps its set, and the one that it found there.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    shelf: Option<Arc<Shelf>>,
    /// A set to start from; never in force by itself.
    found: Option<Arc<Snapshot>>,
    /// Of the documents of the set in the file, where there is one.
    digests: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    key: SealKey,
}

/// Why a file gives no set.
#[derive(Debug, thiserror::Error)]
enum KeptError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Seal(#[from] UnsealError),
    #[error("the compiled policy set does not say which documents it is of")]
    About,
}

impl Kept {
    /// Reads what is in a folder that only we may look into; to be done before anything is compiled, as a set from a file
    /// brings the seed of its hashes along. Without a file, or with one that is not ours, the set is compiled; where no file
    /// can be sealed, that is logged and none is kept.
    pub fn open(folder: &Path) -> Self {
        let key = match secret(&folder.join(KEY_FILE)) {
            Ok(secret) => SealKey::new(secret),
            Err(error) => {
                tracing::warn!(event = "policy.set.not_kept", %error, "there is no secret to seal the policy set with");
                return Self::default();
            }
        };
        let shelf = Shelf { folder: folder.to_owned(), key };
        let found = match shelf.read() {
            Ok(found) => Some(found),
            Err(KeptError::File(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(event = "policy.set.refused", %error, "the policy set is compiled anew");
                None
            }
        };
        let digests = found.as_ref().map(digests);
        Self { shelf: Some(Arc::new(shelf)), found: found.map(Arc::new), digests }
    }

    /// What was found, once.
    pub fn take(&mut self) -> Option<Arc<Snapshot>> {
        self.found.take()
    }

    /// Keeps a set where it is not, or hardly, what is kept already. Takes as long as writing a file does.
    pub fn keep(&mut self, snapshot: &Snapshot) {
        let Some(place) = &self.shelf else { return };
        let digests = digests(snapshot);
        let is_near =
            |it: &BTreeSet<String>| it.symmetric_difference(&digests).count().saturating_mul(STALE_PART) <= it.len();
        if self.digests.as_ref().is_some_and(is_near) {
            return;
        }
        match place.write(snapshot) {
            Ok(()) => self.digests = Some(digests),
            Err(error) => tracing::warn!(event = "policy.set.not_kept", %error, "the next start has to compile"),
        }
    }
}

impl Shelf {
    fn read(&self) -> Result<Snapshot, KeptError> {
        let (set, about) = PolicySet::unseal(&mapped(&self.folder.join(FILE))?, &self.key)?;
        let KeptPolicy { revision, documents } = serde_json::from_slice(&about).map_err(|_| KeptError::About)?;
        let all = set.sources();
        let place = |it: &PolicyEntry| all.binary_search_by(|own| own.document().cmp(&it.name)).ok();
        let source = |it: &PolicyEntry| all.get(place(it)?).cloned();
        let sources: Vec<Source> = documents.iter().map(source).collect::<Option<_>>().ok_or(KeptError::About)?;
        let mut snapshot = Snapshot::first(revision, set);
        (snapshot.entries, snapshot.sources) = (documents, sources);
        Ok(snapshot)
    }

    /// Puts a new file in the place of the old one, which whoever has mapped it keeps.
    fn write(&self, snapshot: &Snapshot) -> Result<(), KeptError> {
        let about = KeptPolicy { revision: snapshot.revision, documents: snapshot.entries.clone() };
        let about = serde_json::to_vec(&about).map_err(|_| KeptError::About)?;
        Ok(replace(&self.folder.join(FILE), |file| snapshot.set.seal(&about, &self.key, file))?)
    }
}

fn digests(of: &Snapshot) -> BTreeSet<String> {
    of.entries.iter().map(|it| it.digest.clone()).collect()
}

/// Opens a file that nobody but us can have written or read: what others have put there would decide here.
fn own(path: &Path) -> io::Result<File> {
    // No link, and nothing that would have us wait until somebody writes to it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    let is_ours = metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || metadata.mode() & 0o077 != 0 {
        let why = format!("`{}` is not a file of ours that is closed to all others (mode 0600)", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(file)
}

/// A file's bytes where they lie.
fn mapped(path: &Path) -> io::Result<Bytes> {
    let file = own(path)?;
    #[expect(unsafe_code, reason = "the bytes of a mapping are those of a file")]
    // SAFETY: nobody but us may write to the file, and we never do once it is in place: it is replaced as a whole, which leaves
    // this one to those who have mapped it.
    let map = unsafe { MmapOptions::new().populate().map(&file)? };
    Ok(Bytes::from_owner(map))
}

/// The secret in a file, which is made where there is none, something else, or one that others may know: what another one has
/// sealed is compiled again.
fn secret(path: &Path) -> io::Result<[u8; SealKey::BYTES]> {
    match read_secret(path) {
        Ok(secret) => return Ok(secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData) => {
            tracing::warn!(event = "policy.set.new_secret", %error, "the secret that seals the policy set is made anew");
        }
        Err(error) => return Err(error),
    }
    let mut secret = [0; SealKey::BYTES];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut secret).map_err(|_| io::Error::other("no random bytes"))?;
    replace(path, |file| file.write_all(&secret))?;
    Ok(secret)
}

fn read_secret(path: &Path) -> io::Result<[u8; SealKey::BYTES]> {
    let mut bytes = Vec::new();
    // One more, so that what is too long is seen.
    own(path)?.take(SealKey::BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let why = format!("`{}` is not {} bytes long", path.display(), SealKey::BYTES);
    bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, why))
}

/// Writes a file that only we may read, beside it first: a crash leaves the old one or the new one.
fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut file = BufWriter::new(NamedTempFile::new_in(folder)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

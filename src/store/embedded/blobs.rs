//! Blobs as files named by their digest.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    pin::Pin,
};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    task::spawn_blocking,
};

use crate::store::{
    StoreError,
    embedded::unavailable,
    verified::{Verified, digest_of, hex_of},
};

/// Bytes read at once.
const PIECE_BYTES: usize = 128 * 1024;

/// The folder of blobs. A file gets its name when all its bytes are on disk, so that no name ever leads to half a blob.
#[derive(Debug)]
pub(in crate::store::embedded) struct Blobs {
    named: PathBuf,
    unnamed: PathBuf,
}

impl Blobs {
    /// Opens or makes the folder, and removes what an end by force has left half-written.
    pub(in crate::store::embedded) fn open(folder: &Path) -> Result<Self, StoreError> {
        let (named, unnamed) = (folder.join("sha256"), folder.join("tmp"));
        let made = match fs::remove_dir_all(&unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => {
                [&named, &unnamed].iter().try_for_each(|it| DirBuilder::new().recursive(true).mode(0o700).create(it))
            }
        };
        made.map_err(|error| unavailable(folder, &error))?;
        Ok(Self { named, unnamed })
    }

    /// Writes, synchronises, names.
    pub(in crate::store::embedded) async fn put(
        &self,
        mut bytes: Pin<Box<dyn AsyncRead + Send>>,
    ) -> Result<String, StoreError> {
        let folder = self.unnamed.clone();
        // Removes itself if this future is dropped or fails.
        let temporary = blocking(move || NamedTempFile::new_in(folder)).await.map_err(|it| self.refused(&it))?;
        let file = temporary.as_file().try_clone().map_err(|it| self.refused(&it))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut hasher = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = bytes.read(&mut piece).await.map_err(|it| StoreError::Source(it.to_string()))?;
            let Some(read) = piece.get(..count).filter(|it| !it.is_empty()) else { break };
            hasher.update(read);
            file.write_all(read).await.map_err(|it| self.refused(&it))?;
        }
        file.sync_all().await.map_err(|it| self.refused(&it))?;
        let digest = digest_of(hasher);
        let path = self.file(&digest)?;
        let folder = self.named.clone();
        blocking(move || name(temporary, &path, &folder)).await.map_err(|it| self.refused(&it))?;
        Ok(digest)
    }

    pub(in crate::store::embedded) async fn open_verified(
        &self,
        digest: &str,
    ) -> Result<Pin<Box<dyn AsyncRead + Send>>, StoreError> {
        let path = self.file(digest)?;
        match tokio::fs::File::open(&path).await {
            Ok(file) => Ok(Box::pin(Verified::new(file, digest))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoBlob(digest.to_owned())),
            Err(error) => Err(unavailable(&path, &error)),
        }
    }

    /// Where the blob of this digest is, if it is.
    pub(in crate::store::embedded) fn file(&self, digest: &str) -> Result<PathBuf, StoreError> {
        Ok(self.named.join(hex_of(digest)?))
    }

    fn refused(&self, error: &io::Error) -> StoreError {
        unavailable(&self.named, error)
    }
}

/// The same bytes under the same name replace themselves, which mends a file that was damaged.
fn name(temporary: NamedTempFile, path: &Path, folder: &Path) -> io::Result<()> {
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

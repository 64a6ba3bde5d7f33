//! Unpacked layers, one folder for each digest, shared by all instances and never written again.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    im::{ImError, error::Context},
    wire::job::Layer,
};

pub mod unpack;

/// Bytes of a layer's archive, and of the files that come out of it.
pub const LAYER_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// For the next bytes of a layer. One is fetched at a time: whoever stalls would hold up all others.
const STALL_MAX: Duration = Duration::from_mins(1);

/// The folder with everything unpacked.
#[derive(Debug, Clone)]
pub struct Layers {
    folder: PathBuf,
}

impl Layers {
    /// Uses `folder`, which only root may enter: images may hold programs with the set-user-id bit.
    pub fn open(folder: PathBuf) -> Result<Self, ImError> {
        fs::create_dir_all(&folder).context(|| format!("make `{}`", folder.display()))?;
        rustix::fs::chmod(&folder, 0o700.into()).context(|| format!("protect `{}`", folder.display()))?;
        Ok(Self { folder })
    }

    /// Where a layer is, if it has been unpacked.
    pub fn find(&self, layer: &Layer) -> Result<Option<PathBuf>, ImError> {
        let folder = self.folder.join(hex_of(&layer.digest)?);
        Ok(folder.is_dir().then_some(folder))
    }

    /// Keeps the bytes of a layer while they come, refuses them if they are not what the digest says, and unpacks them.
    pub async fn add(&self, layer: &Layer, bytes: impl AsyncRead + Unpin) -> Result<PathBuf, ImError> {
        let target = self.folder.join(hex_of(&layer.digest)?);
        let archive = tempfile::Builder::new().prefix(".archive-").tempfile_in(&self.folder);
        let archive = archive.context(|| format!("make a file in `{}`", self.folder.display()))?;
        receive(layer, bytes, archive.path()).await?;
        let (folder, digest) = (self.folder.clone(), layer.digest.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack_beside(&folder, &target, archive.path()));
        let done = unpacked.await.unwrap_or_else(|error| Err(ImError::Unusable(error.to_string())));
        done.map_err(
            |error| if let ImError::Unusable(message) = error { ImError::Layer { digest, message } } else { error },
        )
    }

    /// Removes what an interrupted unpacking has left.
    pub fn sweep(&self) -> Result<(), ImError> {
        let entries = fs::read_dir(&self.folder).context(|| format!("read `{}`", self.folder.display()))?;
        for entry in entries.flatten().filter(|it| it.file_name().to_string_lossy().starts_with('.')) {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.context(|| format!("remove `{}`", path.display()))?;
        }
        Ok(())
    }
}

/// The digest becomes a folder's name, so it must be nothing but 64 hexadecimal digits.
fn hex_of(digest: &str) -> Result<&str, ImError> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(hex);
    }
    Err(ImError::Layer { digest: digest.escape_debug().to_string(), message: "not a SHA-256 digest".to_owned() })
}

async fn receive(layer: &Layer, mut bytes: impl AsyncRead + Unpin, path: &Path) -> Result<(), ImError> {
    let wrong = |message: String| ImError::Layer { digest: layer.digest.clone(), message };
    if LAYER_BYTES_MAX < layer.bytes {
        return Err(wrong(format!("{} bytes are more than a layer may have", layer.bytes)));
    }
    let mut file = tokio::fs::File::create(path).await.context(|| format!("open `{}`", path.display()))?;
    let (mut hasher, mut received, mut buffer) = (Sha256::new(), 0_u64, vec![0; 128 * 1024]);
    loop {
        let read = timeout(STALL_MAX, bytes.read(&mut buffer)).await;
        let read = read.map_err(|_| wrong("cannot be fetched: nothing came for a minute".to_owned()))?;
        let count = read.map_err(|error| wrong(format!("cannot be fetched: {error}")))?;
        let Some(chunk) = buffer.get(..count).filter(|it| !it.is_empty()) else { break };
        received = received.saturating_add(chunk.len().try_into().unwrap_or(u64::MAX));
        if layer.bytes < received {
            return Err(wrong("more bytes came than the layer has".to_owned()));
        }
        hasher.update(chunk);
        file.write_all(chunk).await.context(|| format!("write `{}`", path.display()))?;
    }
    file.flush().await.context(|| format!("write `{}`", path.display()))?;
    if format!("sha256:{}", hex::encode(hasher.finalize())) != layer.digest {
        return Err(wrong("its bytes are not those of the digest".to_owned()));
    }
    Ok(())
}

/// Unpacks into a folder beside the target and renames: what has the target's name is whole.
fn unpack_beside(layers: &Path, target: &Path, archive: &Path) -> Result<PathBuf, ImError> {
    let folder = tempfile::Builder::new().prefix(".layer-").tempdir_in(layers);
    let folder = folder.context(|| format!("make a folder in `{}`", layers.display()))?;
    let file = fs::File::open(archive).context(|| format!("open `{}`", archive.display()))?;
    unpack::unpack(BufReader::with_capacity(128 * 1024, file), folder.path(), &unpack::Bounds::default())?;
    let root = fs::File::open(folder.path()).context(|| "open the unpacked layer".to_owned())?;
    rustix::fs::syncfs(&root).context(|| "write the unpacked layer to the disk".to_owned())?;
    match fs::rename(folder.path(), target) {
        Ok(()) => drop(folder.keep()),
        // Another instance was quicker; its folder is as good.
        Err(_) if target.is_dir() => {}
        Err(error) => return Err(error).context(|| format!("make `{}`", target.display())),
    }
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_layer_that_stalls_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::open(folder.path().to_owned()).unwrap();
        let layer = Layer { digest: format!("sha256:{}", "0".repeat(64)), bytes: 1 };
        let (near, _far) = tokio::io::duplex(16);
        let added = timeout(Duration::from_hours(1), layers.add(&layer, near)).await.expect("an answer");
        assert!(added.unwrap_err().to_string().contains("nothing came for a minute"));
    }
}

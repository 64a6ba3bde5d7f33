//! Packages from what people have: a root file system as a tar archive, or an OCI image layout in one.
//!
//! Whatever comes is kept as uncompressed tar archives, one a layer, lowest first. Everything about it is hostile: sizes
//! are bounded before anything is kept, and an archive that could not be unpacked safely is refused here with its
//! reason, although instance managers refuse it again.

mod archive;
mod layout;
mod upload;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Seek},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Body;

use crate::{
    api::error::{Failure, coded, invalid, too_large, unavailable},
    store::Store,
    wire::job::Layer,
};

/// Imports at a time. Each has a thread and up to two copies of a package on the disk.
const IMPORTS_MAX: usize = 32;

/// Imports of one principal at a time, so that nobody takes everybody's places.
const IMPORTS_OF_PRINCIPAL_MAX: usize = 4;

/// The imports that are under way. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Imports(Arc<Mutex<BTreeMap<String, usize>>>);

/// A place among them, given back when it drops.
#[derive(Debug)]
pub(crate) struct Place {
    imports: Imports,
    principal: String,
}

impl Imports {
    /// A place for one more, if there is one.
    pub(crate) fn begin(&self, principal: &str) -> Option<Place> {
        let mut counts = self.counts();
        let own = counts.get(principal).copied().unwrap_or(0);
        let all = counts.values().copied().fold(0, usize::saturating_add);
        if IMPORTS_MAX <= all || IMPORTS_OF_PRINCIPAL_MAX <= own {
            return None;
        }
        counts.insert(principal.to_owned(), own.saturating_add(1));
        drop(counts);
        Some(Place { imports: self.clone(), principal: principal.to_owned() })
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.imports.counts();
        let left = counts.get(&self.principal).copied().unwrap_or(0).saturating_sub(1);
        if left == 0 {
            counts.remove(&self.principal);
        } else {
            counts.insert(self.principal.clone(), left);
        }
    }
}

/// What an archive was made into.
#[derive(Debug)]
pub(crate) struct Imported {
    /// Lowest first.
    pub(crate) layers: Vec<Layer>,
    /// Of the image's configuration.
    pub(crate) settings: ImageSettings,
}

/// What an image says about processes in it; nothing, for a plain root file system.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ImageSettings {
    /// Entry point and default arguments.
    pub(crate) command: Vec<String>,
    /// Environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Why something was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// It is not what it should be, or would not be safe to unpack.
    #[error("{0}")]
    Refused(String),
    /// It is more than may be kept.
    #[error("the package has more than {0} bytes")]
    TooLarge(u64),
    /// A form that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// The archive is cut short or no archive.
    #[error("the archive cannot be read: {0}")]
    Archive(io::Error),
    /// Our own disk.
    #[error("the package cannot be kept: {0}")]
    Disk(io::Error),
}

/// Uncompressed layers as files that only this process can see, lowest first.
#[derive(Debug)]
struct Unpacked {
    layers: Vec<File>,
    settings: ImageSettings,
}

/// Reads an archive, checks it, and keeps its layers. `scratch` is a folder for files that have no name.
/// `place` is held until all is done, by the work itself too: a client that goes away makes no room before.
pub(crate) async fn import(
    store: &dyn Store,
    scratch: &Path,
    body: Body,
    bytes_max: u64,
    place: Place,
) -> Result<Imported, Failure> {
    let uploaded = upload::receive(scratch, body, bytes_max).await?;
    let folder: PathBuf = scratch.to_owned();
    let unpacked = tokio::task::spawn_blocking(move || (unpack(uploaded, &folder, bytes_max), place)).await;
    let (unpacked, _place) = unpacked.map_err(|_| unavailable("the import was interrupted"))?;
    let unpacked = unpacked?;
    let mut layers = Vec::with_capacity(unpacked.layers.len());
    for mut layer in unpacked.layers {
        let bytes = layer.seek(io::SeekFrom::End(0)).map_err(ImportError::Disk)?;
        layer.rewind().map_err(ImportError::Disk)?;
        let digest = store.put_blob(Box::pin(tokio::fs::File::from_std(layer))).await?;
        layers.push(Layer { digest, bytes });
    }
    Ok(Imported { layers, settings: unpacked.settings })
}

fn unpack(uploaded: File, scratch: &Path, bytes_max: u64) -> Result<Unpacked, ImportError> {
    let mut plain = archive::uncompressed(uploaded, scratch, bytes_max)?;
    if archive::inspect(&mut plain, bytes_max)?.is_layout {
        return layout::unpack(&mut plain, scratch, bytes_max);
    }
    Ok(Unpacked { layers: vec![plain], settings: ImageSettings::default() })
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        let public = match &error {
            ImportError::Refused(_) | ImportError::Archive(_) => invalid(message),
            ImportError::TooLarge(_) => too_large(message),
            ImportError::Unsupported(_) => coded("unsupported", message),
            ImportError::Disk(_) => {
                tracing::error!(%error, "an import failed");
                unavailable("the package cannot be kept at the moment")
            }
        };
        public.into()
    }
}

//! OCI image layouts (image-spec 1.1, `image-layout.md`): from an index to verified, uncompressed layers.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use sha2::{Digest, Sha256};
use tar::Archive;

use crate::api::import::{
    ImageSettings, ImportError, Unpacked,
    archive::{copy, inspect, refused, relative, uncompressed},
};

/// Bytes of a JSON document of the layout.
const JSON_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Layers of one image; overlayfs takes no more.
const LAYERS_MAX: usize = 120;

/// Indexes within indexes.
const DEPTH_MAX: usize = 3;

/// Indexes that are looked at in all: a few that name each other often enough would be read for ever.
const INDEXES_MAX: usize = 64;

/// Unpacks a layout's one image for this host's kind of processor.
pub(crate) fn unpack(file: &mut File, scratch: &Path, bytes_max: u64) -> Result<Unpacked, ImportError> {
    let layout = Layout::read(file, scratch)?;
    let index = layout.index.clone().ok_or_else(|| refused("the image layout has no `index.json`"))?;
    let index = ImageIndex::from_reader(index.as_slice()).map_err(|error| malformed("index.json", &error))?;
    let none = || refused(format!("the image layout has no image for linux and {}", Arch::default()));
    let descriptor = layout.image(&index, DEPTH_MAX, &mut { INDEXES_MAX })?.ok_or_else(none)?;
    let manifest = layout.json(&descriptor)?;
    let manifest = ImageManifest::from_reader(manifest.as_slice()).map_err(|error| malformed("manifest", &error))?;
    let configuration = layout.json(manifest.config())?;
    let configuration = ImageConfiguration::from_reader(configuration.as_slice())
        .map_err(|error| malformed("image configuration", &error))?;
    let unpacked_digests = configuration.rootfs().diff_ids();
    if manifest.layers().is_empty() || LAYERS_MAX < manifest.layers().len() {
        return Err(refused(format!("an image has 1 to {LAYERS_MAX} layers")));
    }
    if manifest.layers().len() != unpacked_digests.len() {
        return Err(refused("the image's configuration and manifest do not have the same layers"));
    }
    let mut left = bytes_max;
    let mut layers = Vec::new();
    for (descriptor, digest) in manifest.layers().iter().zip(unpacked_digests) {
        let mut layer = uncompressed(layout.verified(descriptor)?, scratch, left)?;
        if digest_of(&mut layer)? != *digest {
            return Err(refused(format!("a layer is not `{digest}`, as the image's configuration says")));
        }
        inspect(&mut layer, left)?;
        let bytes = layer.metadata().map_err(ImportError::Disk)?.len();
        left = left.checked_sub(bytes).ok_or(ImportError::TooLarge(bytes_max))?;
        layers.push(layer);
    }
    Ok(Unpacked { layers, settings: settings(&configuration) })
}

/// The files of a layout, in a folder of their own that goes with this value.
struct Layout {
    index: Option<Vec<u8>>,
    /// By digest.
    blobs: BTreeMap<String, PathBuf>,
    folder: tempfile::TempDir,
}

impl Layout {
    fn read(file: &mut File, scratch: &Path) -> Result<Self, ImportError> {
        let folder = tempfile::tempdir_in(scratch).map_err(ImportError::Disk)?;
        let mut layout = Self { index: None, blobs: BTreeMap::new(), folder };
        let mut archive = Archive::new(BufReader::new(file));
        for entry in archive.entries().map_err(ImportError::Archive)? {
            let mut entry = entry.map_err(ImportError::Archive)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path_bytes().into_owned();
            let path = String::from_utf8_lossy(relative(&path)).into_owned();
            if path == "index.json" {
                layout.index = Some(bounded(&mut entry, &path)?);
            } else if let Some(hexadecimal) = path.strip_prefix("blobs/sha256/").filter(|it| is_digest(it)) {
                // Named by what was just checked to be 64 hex digits.
                let place = layout.folder.path().join(hexadecimal);
                let mut blob = File::create_new(&place).map_err(|_| refused(format!("`{path}` stands there twice")))?;
                copy(&mut entry, &mut blob)?;
                layout.blobs.insert(format!("sha256:{hexadecimal}"), place);
            }
        }
        Ok(layout)
    }

    /// The manifest of the image for this host, if there is one.
    fn image(
        &self,
        index: &ImageIndex,
        depth_left: usize,
        indexes_left: &mut usize,
    ) -> Result<Option<Descriptor>, ImportError> {
        let (nested, images): (Vec<&Descriptor>, Vec<&Descriptor>) =
            index.manifests().iter().partition(|it| *it.media_type() == MediaType::ImageIndex);
        if let Some(fitting) = images.into_iter().find(|it| fits(it)) {
            return Ok(Some(fitting.clone()));
        }
        let Some(deeper) = depth_left.checked_sub(1) else { return Ok(None) };
        for descriptor in nested {
            *indexes_left =
                indexes_left.checked_sub(1).ok_or_else(|| refused("the image layout has too many indexes"))?;
            let json = self.json(descriptor)?;
            let index = ImageIndex::from_reader(json.as_slice()).map_err(|error| malformed("image index", &error))?;
            if let Some(found) = self.image(&index, deeper, indexes_left)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn json(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImportError> {
        bounded(&mut self.verified(descriptor)?, descriptor.digest().as_ref())
    }

    /// The blob, once it is what its digest says, at its beginning.
    fn verified(&self, descriptor: &Descriptor) -> Result<File, ImportError> {
        let digest = descriptor.digest().to_string();
        let place =
            self.blobs.get(&digest).ok_or_else(|| refused(format!("the image layout has no blob `{digest}`")))?;
        let mut blob = File::open(place).map_err(ImportError::Disk)?;
        if digest_of(&mut blob)? != digest {
            return Err(refused(format!("the blob `{digest}` is not what its digest says")));
        }
        Ok(blob)
    }
}

/// An image without a platform is for everyone.
fn fits(descriptor: &Descriptor) -> bool {
    let known = matches!(descriptor.media_type(), MediaType::ImageManifest)
        || descriptor.media_type().to_string() == "application/vnd.docker.distribution.manifest.v2+json";
    let fits = |platform: &oci_spec::image::Platform| {
        *platform.os() == Os::Linux && *platform.architecture() == Arch::default()
    };
    known && descriptor.platform().as_ref().is_none_or(fits)
}

fn settings(configuration: &ImageConfiguration) -> ImageSettings {
    let Some(config) = configuration.config() else { return ImageSettings::default() };
    let entry_point = config.entrypoint().clone().unwrap_or_default();
    let arguments = config.cmd().clone().unwrap_or_default();
    let environment = config.env().clone().unwrap_or_default();
    let pairs = environment.iter().filter_map(|it| it.split_once('='));
    ImageSettings {
        command: entry_point.into_iter().chain(arguments).collect(),
        environment: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// `sha256:...` of a file, which is at its beginning afterwards.
fn digest_of(file: &mut File) -> Result<String, ImportError> {
    file.rewind().map_err(ImportError::Disk)?;
    let mut hasher = Sha256::new();
    io::copy(&mut BufReader::with_capacity(256 * 1024, &mut *file), &mut hasher).map_err(ImportError::Disk)?;
    file.rewind().map_err(ImportError::Disk)?;
    Ok(format!("sha256:{}", hex::encode(hasher.finalize())))
}

fn bounded(from: &mut impl Read, name: &str) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    from.take(JSON_BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes).map_err(ImportError::Archive)?;
    if JSON_BYTES_MAX < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(refused(format!("`{name}` has more than {JSON_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn malformed(what: &str, error: &impl ToString) -> ImportError {
    refused(format!("the {what} cannot be read: {}", error.to_string()))
}

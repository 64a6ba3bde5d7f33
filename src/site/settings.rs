//! Where a site's settings are found: `.gatehouse.toml`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    diagnostic::{Diagnostic, of_source_error},
    limits::DOCUMENT_BYTES_MAX,
    lint::Settings,
    source::Source,
    wire::settings::{FILE, parse},
};

/// Why there are no settings. Lints by other settings than the site's would mislead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {cause}")]
    Unreadable { path: String, cause: io::Error },
    /// Its text says something that is no setting.
    #[error("`{}` has mistakes", .file.name())]
    Wrong { file: Box<Source>, found: Vec<Diagnostic> },
}

/// The nearest file of settings: here, or above up to the root of the repository. Outside a repository only here, so that
/// what someone leaves in a shared folder decides nothing for those who work below it.
pub(crate) fn nearest(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &Path| folder.join(".git").exists();
    let root = folder.ancestors().find(|it| is_root(it)).unwrap_or(folder);
    let within = folder.ancestors().take_while(|it| it.starts_with(root));
    within.map(|it| it.join(FILE)).find(|it| it.is_file())
}

/// Reads a file of settings.
pub(crate) fn read(path: &Path) -> Result<Settings, SettingsError> {
    let name = path.display().to_string();
    let bytes = bytes(path).map_err(|cause| SettingsError::Unreadable { path: name.clone(), cause })?;
    match Source::new(&name, bytes) {
        Ok(source) => parse(&source).map_err(|found| SettingsError::Wrong { file: Box::new(source), found }),
        Err(error) => {
            let (source, found) = of_source_error(&name, error);
            let source = source.ok_or_else(|| SettingsError::Unreadable {
                path: name,
                cause: io::Error::new(io::ErrorKind::InvalidData, found.message.clone()),
            })?;
            Err(SettingsError::Wrong { file: Box::new(source), found: vec![found] })
        }
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

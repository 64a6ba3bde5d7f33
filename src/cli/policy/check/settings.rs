//! Where a site's settings are found: `.gatehouse.toml`.

use std::{
    env,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    diagnostic::{
        of_source_error,
        render::{self, Color},
    },
    limits::DOCUMENT_BYTES_MAX,
    lint::Settings,
    source::Source,
    wire::{
        printable::Printable,
        settings::{FILE, parse},
    },
};

/// Which settings count.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// Take the settings of this file
    ///
    /// Without this they are those of `.gatehouse.toml` in the current folder, or in the nearest above it within the
    /// same repository.
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    config: Option<PathBuf>,
    /// Take no settings
    #[arg(long)]
    no_config: bool,
}

impl SettingsArgs {
    /// The settings, or a report of why there are none. Lints by other settings than the site's would mislead.
    pub(super) fn read(&self) -> Result<Settings, String> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None if self.no_config => return Ok(Settings::default()),
            None => match env::current_dir().ok().and_then(|it| nearest(&it)) {
                Some(path) => path,
                None => return Ok(Settings::default()),
            },
        };
        let name = path.display().to_string();
        let bytes = read(&path).map_err(|err| format!("error: cannot read `{}`: {err}", Printable(&name)))?;
        match Source::new(&name, bytes) {
            Ok(source) => parse(&source).map_err(|found| report(&source, &found)),
            Err(error) => {
                let (source, found) = of_source_error(&name, error);
                Err(source.map_or_else(
                    || format!("error: {}", found.message),
                    |it| report(&it, std::slice::from_ref(&found)),
                ))
            }
        }
    }
}

/// The nearest file of settings: here, or above up to the root of the repository. Outside a repository only here, so that
/// what someone leaves in a shared folder decides nothing for those who work below it.
fn nearest(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &Path| folder.join(".git").exists();
    let root = folder.ancestors().find(|it| is_root(it)).unwrap_or(folder);
    let within = folder.ancestors().take_while(|it| it.starts_with(root));
    within.map(|it| it.join(FILE)).find(|it| it.is_file())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn report(source: &Source, found: &[crate::diagnostic::Diagnostic]) -> String {
    let mut out = Vec::new();
    match render::write(&mut out, source, found, Color::Plain) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        // A report that cannot be drawn is still a mistake.
        Err(_) => format!("error: {} has mistakes", Printable(source.name())),
    }
}

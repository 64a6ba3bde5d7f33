//! Which settings of a site count for a verb.

use std::{env, path::PathBuf};

use clap::Args;

use crate::{
    diagnostic::{
        Diagnostic,
        render::{self, Color},
    },
    lint::Settings,
    site::settings::{SettingsError, nearest, read},
    source::Source,
    wire::printable::Printable,
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
        read(&path).map_err(|error| match error {
            SettingsError::Unreadable { .. } => format!("error: {}", Printable(&error.to_string())),
            SettingsError::Wrong { file, found } => report(&file, &found),
        })
    }
}

fn report(source: &Source, found: &[Diagnostic]) -> String {
    let mut out = Vec::new();
    match render::write(&mut out, source, found, Color::Plain) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        // A report that cannot be drawn is still a mistake.
        Err(_) => format!("error: {} has mistakes", Printable(source.name())),
    }
}

//! `--format text|json`, and `--json` for short.

use clap::{Args, ValueEnum};

use crate::cli::client::output::Output;

/// For whom the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The flag of every verb that answers; `--json`, which all of `apc` has, is short for `--format json`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FormatArgs {
    /// Answer for people or for programs
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl FormatArgs {
    /// What was asked for, or else the verb's own.
    pub(super) fn or(&self, default: Format, output: Output) -> Format {
        if output.json { Format::Json } else { self.format.unwrap_or(default) }
    }
}

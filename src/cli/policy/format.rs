//! `--format text|json`, and `--json` for short.

use clap::{Args, ValueEnum};

use crate::{cli::client::output::Output, diagnostic::printable::is_hidden};

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

/// Escapes within JSON what a terminal would obey; only strings hold such characters, and there the escape means the same.
pub(super) fn json_for_terminals(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend([format!("\\u{unit:04x}")]);
            }
        } else {
            out.push(c);
        }
    }
    out
}

//! `apc policy`: one file a verb.

use std::process::ExitCode;

use clap::Subcommand;

/// What is to be done with documents.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {}

/// Does it.
pub(super) fn run(verb: &Verb) -> ExitCode {
    match *verb {}
}

//! `apc policy`: one file a verb.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::client::{
    command::{block_on, run_policy},
    output::Output,
    policy::PolicyServerCommand,
};

/// What is to be done with documents.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    #[command(flatten)]
    Server(PolicyServerCommand),
}

/// Does it.
pub(super) fn run(verb: Verb, output: Output) -> ExitCode {
    match verb {
        Verb::Server(command) => block_on(run_policy(command, output)),
    }
}

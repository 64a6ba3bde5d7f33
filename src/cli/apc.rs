//! The command line of `apc`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::policy;

/// Client of a Gatehouse cluster, and tool for policy documents.
#[derive(Debug, Parser)]
#[command(name = "apc", version, propagate_version = true)]
struct Apc {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Policy documents, on this machine and in the cluster
    #[command(subcommand)]
    Policy(policy::Verb),
}

/// Reads the arguments and does what they say. Bad usage is exit 2.
pub(super) fn run() -> ExitCode {
    match Apc::parse().command {
        Command::Policy(verb) => policy::run(&verb),
    }
}

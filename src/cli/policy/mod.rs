//! `apc policy`: one file a verb.

mod decide;
mod documents;
mod format;
mod requests;
mod why;

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
    /// Decide requests from standard input, one JSON object a line
    Decide(decide::DecideArgs),
    /// Explain the decision of requests from standard input
    Why(why::WhyArgs),
    #[command(flatten)]
    Server(PolicyServerCommand),
}

/// Does it.
pub(super) fn run(verb: Verb, output: Output) -> ExitCode {
    match verb {
        Verb::Decide(args) => decide::run(&args, output),
        Verb::Why(args) => why::run(&args, output),
        Verb::Server(command) => block_on(run_policy(command, output)),
    }
}

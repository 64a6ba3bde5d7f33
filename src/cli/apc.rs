//! The command line of `apc`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::{
    client::{
        command::{self, ClientCommand},
        output::Output,
    },
    policy,
};

/// Client of a Gatehouse cluster, and tool for policy documents.
#[derive(Debug, Parser)]
#[command(name = "apc", version, propagate_version = true)]
struct Apc {
    /// JSON on standard output instead of tables
    #[arg(long, global = true)]
    json: bool,
    /// For scripts: no progress, no questions
    #[arg(long, global = true)]
    batch: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Policy documents, on this machine and in the cluster
    #[command(subcommand)]
    Policy(policy::Verb),
    #[command(flatten)]
    Client(ClientCommand),
}

/// Reads the arguments and does what they say. Bad usage is exit 2.
pub(super) fn run() -> ExitCode {
    let Apc { json, batch, command } = Apc::parse();
    let output = Output { json, batch };
    match command {
        Command::Policy(verb) => policy::run(verb, output),
        Command::Client(command) => command::block_on(command::run(command, output)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Apc::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_two_dashes_is_the_command() {
        let line = ["apc", "app", "connect", "web", "--instance-id", "1a2b", "--", "sh", "-c", "echo --json"];
        let Command::Client(ClientCommand::App { command }) = Apc::parse_from(line).command else { panic!() };
        let shown = format!("{command:?}");
        assert!(shown.contains(r#"["sh", "-c", "echo --json"]"#), "{shown}");
    }
}

//! `connect` and `console`: the arguments of a session.

use crate::cli::{
    client::{error::ClientError, job::JobNoun, names::full_name, rest::Rest},
    connect::{self, Target},
};

/// What to enter.
#[derive(Debug, clap::Args)]
pub struct ConnectArgs {
    /// Short name, `/namespace::name`, or full name
    name: String,
    /// Instance, or the beginning of its id; else a running one
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,
    /// A terminal for the command too
    #[arg(long, short)]
    tty: bool,
    /// Program and arguments; without it a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What to clone and enter.
#[derive(Debug, clap::Args)]
pub struct ConsoleArgs {
    /// Short name, `/namespace::name`, or full name
    name: String,
    /// A terminal for the command too
    #[arg(long, short)]
    tty: bool,
    /// Program and arguments; without it a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn connect(rest: &Rest, noun: JobNoun, args: ConnectArgs) -> Result<u8, ClientError> {
    let target = Target {
        fqn: full_name(rest, "job", &args.name).await?,
        kind: noun.means(),
        instance: args.instance_id,
        command: args.command,
        terminal: args.tty,
    };
    Ok(connect::connect(rest, &target).await)
}

pub(crate) async fn console(rest: &Rest, noun: JobNoun, args: ConsoleArgs) -> Result<u8, ClientError> {
    let target = Target {
        fqn: full_name(rest, "job", &args.name).await?,
        kind: noun.means(),
        instance: None,
        command: args.command,
        terminal: args.tty,
    };
    Ok(connect::console(rest, &target).await)
}

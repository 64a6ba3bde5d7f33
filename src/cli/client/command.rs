//! The client's commands, for `apc`'s command line to take in.

use crate::cli::client::{
    audit::{self, AuditCommand},
    error::ClientError,
    home::Home,
    job::{self, JobCommand, JobNoun},
    login::{self, LoginArgs, NamespaceArgs, TargetArgs},
    output::{Output, complain},
    package::{self, PackageCommand},
    policy::{self, PolicyServerCommand},
    session::{self, SessionCommand},
};

/// Commands that speak to a cluster. `#[command(flatten)]` them into the program's own.
#[derive(Debug, clap::Subcommand)]
pub enum ClientCommand {
    /// Choose the cluster to speak to, or show it
    Target(TargetArgs),
    /// Log in
    Login(LoginArgs),
    /// Log out
    Logout,
    /// Show who you are
    Whoami,
    /// Show or set the namespace of short names
    Namespace(NamespaceArgs),
    /// Jobs that run your start command
    App {
        /// What to do.
        #[command(subcommand)]
        command: JobCommand,
    },
    /// Operating systems to work in
    Capsule {
        /// What to do.
        #[command(subcommand)]
        command: JobCommand,
    },
    /// Apps and capsules alike
    Job {
        /// What to do.
        #[command(subcommand)]
        command: JobCommand,
    },
    /// Root file systems that jobs are made of
    Package {
        /// What to do.
        #[command(subcommand)]
        command: PackageCommand,
    },
    /// The record of who was let in where
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Live sessions
    Session {
        /// What to do.
        #[command(subcommand)]
        command: SessionCommand,
    },
}

/// Runs a command, says why it failed if it did, and answers the exit status: 0 yes, 1 no, 2 could not tell.
pub async fn run(command: ClientCommand, output: Output) -> u8 {
    settle(dispatch(command, output).await)
}

/// The same for what `apc policy` does with a cluster.
pub async fn run_policy(command: PolicyServerCommand, output: Output) -> u8 {
    let done = match Home::from_environment() {
        Ok(home) => policy::run(&home, command, output).await,
        Err(error) => Err(error),
    };
    settle(done)
}

async fn dispatch(command: ClientCommand, output: Output) -> Result<(), ClientError> {
    let home = Home::from_environment()?;
    match command {
        ClientCommand::Target(args) => login::target(&home, args, output),
        ClientCommand::Login(args) => login::login(&home, args, output).await,
        ClientCommand::Logout => login::logout(&home, output).await,
        ClientCommand::Whoami => login::whoami(&home, output).await,
        ClientCommand::Namespace(args) => login::set_namespace(&home, args, output).await,
        ClientCommand::App { command } => job::run(&home, JobNoun::App, command, output).await,
        ClientCommand::Capsule { command } => job::run(&home, JobNoun::Capsule, command, output).await,
        ClientCommand::Job { command } => job::run(&home, JobNoun::Job, command, output).await,
        ClientCommand::Package { command } => package::run(&home, command, output).await,
        ClientCommand::Audit { command } => audit::run(&home, command, output).await,
        ClientCommand::Session { command } => session::run(&home, command, output).await,
    }
}

fn settle(done: Result<(), ClientError>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

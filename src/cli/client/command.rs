//! The client's commands, for `apc`'s command line to take in.

use std::process::ExitCode;

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

/// Exit status of a session that could not be opened or was lost.
const ENTERING_FAILED: u8 = 255;

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

/// Runs one of the below on a runtime of its own.
pub fn block_on(command: impl Future<Output = u8>) -> ExitCode {
    // One session is one thing after the other: threads would only wake each other for each piece of it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let status = runtime.block_on(command);
            // A read of a terminal that nobody types at must not keep the program.
            runtime.shutdown_background();
            ExitCode::from(status)
        }
        Err(error) => {
            complain(&ClientError::Failed(format!("the program cannot start: {error}")));
            ExitCode::from(2)
        }
    }
}

/// Runs a command, says why it failed if it did, and answers the exit status: 0 yes, 1 no, 2 could not tell.
///
/// `connect` and `console` answer the remote one, and 255 where they themselves fail.
pub async fn run(command: ClientCommand, output: Output) -> u8 {
    let enters = command.enters();
    match dispatch(command, output).await {
        Ok(status) => status,
        Err(error) => {
            complain(&error);
            if enters { ENTERING_FAILED } else { error.exit_code() }
        }
    }
}

/// The same for what `apc policy` does with a cluster.
pub async fn run_policy(command: PolicyServerCommand, output: Output) -> u8 {
    let done = match Home::from_environment() {
        Ok(home) => policy::run(&home, command, output).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

impl ClientCommand {
    /// Whether it opens a session, whose exit status is the remote one.
    fn enters(&self) -> bool {
        match self {
            Self::App { command } | Self::Capsule { command } | Self::Job { command } => command.enters(),
            Self::Target(_)
            | Self::Login(_)
            | Self::Logout
            | Self::Whoami
            | Self::Namespace(_)
            | Self::Package { .. }
            | Self::Audit { .. }
            | Self::Session { .. } => false,
        }
    }
}

async fn dispatch(command: ClientCommand, output: Output) -> Result<u8, ClientError> {
    let home = Home::from_environment()?;
    match command {
        ClientCommand::Target(args) => login::target(&home, args, output),
        ClientCommand::Login(args) => login::login(&home, args, output).await,
        ClientCommand::Logout => login::logout(&home, output).await,
        ClientCommand::Whoami => login::whoami(&home, output).await,
        ClientCommand::Namespace(args) => login::set_namespace(&home, args, output).await,
        ClientCommand::App { command } => return job::run(&home, JobNoun::App, command, output).await,
        ClientCommand::Capsule { command } => return job::run(&home, JobNoun::Capsule, command, output).await,
        ClientCommand::Job { command } => return job::run(&home, JobNoun::Job, command, output).await,
        ClientCommand::Package { command } => package::run(&home, command, output).await,
        ClientCommand::Audit { command } => audit::run(&home, command, output).await,
        ClientCommand::Session { command } => session::run(&home, command, output).await,
    }?;
    Ok(0)
}

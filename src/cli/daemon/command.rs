//! The command line of `apcd`.

use std::{
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{
        daemon::{DaemonError, admin, all, apart},
        demo,
    },
    config::{Config, Overrides},
    wire::{join::JoinToken, user::PutUser},
};

/// Server roles of Gatehouse: router, API server, auth and instance manager.
#[derive(Debug, Parser)]
#[command(name = "apcd", version)]
struct Apcd {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every role in one process, with the embedded store
    All(Settings),
    /// Run a router on a host of its own
    Router(Joining),
    /// Run an instance manager on a host of its own
    Im(Joining),
    /// Print the configuration in force, every key of it
    Config(Settings),
    /// Local users
    #[command(subcommand)]
    User(User),
    /// Print a one-time token by which a router or an instance manager joins the cluster
    Join(Join),
    /// Policy documents, for who has the store's host
    #[command(subcommand)]
    Policy(Policy),
    /// Start a cluster on this machine and play a guided scene
    Demo(demo::Arguments),
    /// The process that holds one instance; started by the instance manager
    #[command(hide = true)]
    Shim {
        /// The instance's folder
        folder: PathBuf,
    },
}

/// Where settings come from.
#[derive(Debug, Args)]
struct Settings {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replace one key of it
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// A role on a host of its own.
#[derive(Debug, Args)]
struct Joining {
    #[command(flatten)]
    settings: Settings,
    /// The token that `apcd join` printed; needed at the first start
    #[arg(long, value_name = "TOKEN")]
    join: Option<String>,
}

#[derive(Debug, Args)]
struct Join {
    /// What joins
    #[arg(value_parser = ["im", "router"])]
    role: String,
    /// Seconds that the token can be used
    #[arg(long, value_name = "SECONDS")]
    lasts: Option<u64>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Add a user, or give one another password, address or groups
    Add {
        /// The user's name
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// Fact `local->email`
        #[arg(long)]
        email: Option<String>,
        /// Fact `local->group`; may be given more than once
        #[arg(long = "group")]
        groups: Vec<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Remove a user; tokens already given are revoked
    Remove {
        /// The user's name
        name: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// List users
    List(Settings),
}

#[derive(Debug, Subcommand)]
enum Policy {
    /// Replace all documents by the defaults: the way back when nobody may change policy any more. It is recorded
    Reset(Settings),
}

impl Settings {
    fn load(&self) -> Result<Config, DaemonError> {
        let mut overrides = Overrides::new();
        for assignment in &self.set {
            overrides.parse(assignment)?;
        }
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }
}

/// Runs `apcd` with the process's arguments.
pub(crate) fn run() -> ExitCode {
    let apcd = Apcd::parse();
    // The shim enters namespaces and must do so before there is any thread.
    if let Command::Shim { folder } = &apcd.command {
        return crate::im::shim::main(folder);
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).init();
    match dispatch(&apcd.command) {
        Ok(code) => code,
        Err(error) => {
            drop(writeln!(io::stderr(), "apcd: {error}"));
            ExitCode::from(2)
        }
    }
}

fn dispatch(command: &Command) -> Result<ExitCode, DaemonError> {
    match command {
        Command::All(settings) => block(all::run(settings.load()?))?,
        Command::Router(joining) => block(apart::router(joining.settings.load()?, joining.token()?))?,
        Command::Im(joining) => block(apart::im(joining.settings.load()?, joining.token()?))?,
        Command::Config(settings) => say(&settings.load()?.to_string())?,
        Command::User(user) => user_command(user)?,
        Command::Join(join) => {
            let config = join.settings.load()?;
            let lasts = join.lasts.unwrap_or(config.auth.join_seconds);
            say(&block(admin::join_token(&config, &join.role, lasts))?)?;
        }
        Command::Policy(Policy::Reset(settings)) => block(admin::reset_policy(&settings.load()?))?,
        Command::Demo(arguments) => return Ok(demo::run(arguments)),
        Command::Shim { folder } => return Ok(crate::im::shim::main(folder)),
    }
    Ok(ExitCode::SUCCESS)
}

impl Joining {
    fn token(&self) -> Result<Option<JoinToken>, DaemonError> {
        self.join.as_deref().map(|it| it.parse().map_err(|error| DaemonError::Start(format!("{error}")))).transpose()
    }
}

fn user_command(user: &User) -> Result<(), DaemonError> {
    match user {
        User::Add { name, password_stdin, email, groups, settings } => {
            let password = if *password_stdin { Some(password()?) } else { None };
            let groups = if groups.is_empty() { None } else { Some(groups.clone()) };
            let change = PutUser { password, email: email.clone(), groups };
            block(admin::put_user(&settings.load()?, name, &change))
        }
        User::Remove { name, settings } => block(admin::remove_user(&settings.load()?, name)),
        User::List(settings) => {
            for user in block(admin::users(&settings.load()?))? {
                say(&user.name)?;
            }
            Ok(())
        }
    }
}

/// The first line of standard input, without its end.
fn password() -> Result<String, DaemonError> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(DaemonError::Start("no password came on standard input".to_owned()));
    }
    Ok(password.to_owned())
}

fn block<T>(work: impl Future<Output = Result<T, DaemonError>>) -> Result<T, DaemonError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn say(text: &str) -> Result<(), DaemonError> {
    Ok(writeln!(io::stdout().lock(), "{}", text.trim_end())?)
}

/// Where the operator's socket of a state folder is.
pub(super) fn socket(state: &Path) -> PathBuf {
    state.join("admin.sock")
}

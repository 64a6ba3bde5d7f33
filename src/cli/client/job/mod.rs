//! `apc app`, `apc capsule` and `apc job`: one set of verbs for three names.

mod create;
mod enter;
mod show;
mod update;
mod wait;

use axum::http::Method;

pub use self::{
    create::CreateArgs,
    enter::{ConnectArgs, ConsoleArgs},
    update::UpdateArgs,
};
use crate::{
    cli::client::{
        error::ClientError,
        home::Home,
        names::full_name,
        output::{Output, print, safe},
        rest::{Rest, encode},
    },
    wire::{
        error::ApiError,
        job::{Instance, InstanceLog, Job, JobKind, JobState, JobView, UpdateJob},
    },
};

/// What to do with jobs.
#[derive(Debug, clap::Subcommand)]
pub enum JobCommand {
    /// Make one of packages
    Create(CreateArgs),
    /// List those that you may know of
    List,
    /// Show one
    Show {
        /// Short name, `/namespace::name`, or full name
        name: String,
    },
    /// Start it
    Start(TurnArgs),
    /// Stop it
    Stop(TurnArgs),
    /// Replace its instances by new ones
    Restart(TurnArgs),
    /// Change its settings
    Update(UpdateArgs),
    /// Delete it with its instances
    Delete {
        /// Short name, `/namespace::name`, or full name
        name: String,
    },
    /// List its instances
    Instances {
        /// Short name, `/namespace::name`, or full name
        name: String,
    },
    /// Show the last lines that its instances wrote
    Logs {
        /// Short name, `/namespace::name`, or full name
        name: String,
        /// How many, of each instance
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        lines: u32,
    },
    /// Enter a running instance: a shell, or one command
    Connect(ConnectArgs),
    /// Enter a throw-away clone, which is deleted afterwards: a shell, or one command
    Console(ConsoleArgs),
}

impl JobCommand {
    /// Whether it opens a session.
    pub(crate) fn enters(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Console(_))
    }
}

/// Which job to start or stop.
#[derive(Debug, clap::Args)]
pub struct TurnArgs {
    /// Short name, `/namespace::name`, or full name
    pub(crate) name: String,
    /// Do not wait until it is so
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Under which name the verbs were called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobNoun {
    /// `apc app`.
    App,
    /// `apc capsule`.
    Capsule,
    /// `apc job`: both.
    Job,
}

impl JobNoun {
    /// What `create` makes.
    fn kind(self) -> JobKind {
        match self {
            Self::App | Self::Job => JobKind::App,
            Self::Capsule => JobKind::Capsule,
        }
    }

    /// What it must be, where the noun says so.
    fn means(self) -> Option<JobKind> {
        match self {
            Self::App => Some(JobKind::App),
            Self::Capsule => Some(JobKind::Capsule),
            Self::Job => None,
        }
    }

    fn lists(self, job: &Job) -> bool {
        self.means().is_none_or(|kind| job.kind == kind)
    }
}

/// Does it, and answers the exit status.
pub(crate) async fn run(home: &Home, noun: JobNoun, command: JobCommand, output: Output) -> Result<u8, ClientError> {
    let rest = Rest::open(home)?;
    match command {
        JobCommand::Connect(args) => return enter::connect(&rest, noun, args).await,
        JobCommand::Console(args) => return enter::console(&rest, noun, args).await,
        JobCommand::Create(args) => create::run(&rest, noun, args, output).await,
        JobCommand::List => {
            let mut jobs: Vec<JobView> = rest.get("/v1/jobs").await?;
            jobs.retain(|it| noun.lists(&it.job));
            output.answer(&jobs, |jobs| show::list(jobs))
        }
        JobCommand::Show { name } => {
            let job = find(&rest, &name).await?;
            // The list has no environment.
            let job: JobView = rest.get(&format!("/v1/jobs/{}", job.job.uuid)).await?;
            output.answer(&job, show::job)
        }
        JobCommand::Start(args) => turn(&rest, args, state(JobState::Started), output).await,
        JobCommand::Stop(args) => turn(&rest, args, state(JobState::Stopped), output).await,
        JobCommand::Restart(args) => {
            turn(&rest, args, UpdateJob { restart: true, ..state(JobState::Started) }, output).await
        }
        JobCommand::Update(args) => update::run(&rest, args, output).await,
        JobCommand::Delete { name } => {
            let job = find(&rest, &name).await?.job;
            rest.delete(&format!("/v1/jobs/{}", job.uuid)).await?;
            output.done(&format!("deleted {}", safe(&job.fqn)));
            Ok(())
        }
        JobCommand::Instances { name } => {
            let job = find(&rest, &name).await?.job;
            let instances: Vec<Instance> = rest.get(&format!("/v1/jobs/{}/instances", job.uuid)).await?;
            output.answer(&instances, |instances| show::instances(instances))
        }
        JobCommand::Logs { name, lines } => logs(&rest, &name, lines, output).await,
    }?;
    Ok(0)
}

/// The job of this name, as a list shows it.
pub async fn find(rest: &Rest, name: &str) -> Result<JobView, ClientError> {
    let fqn = full_name(rest, "job", name).await?;
    let found: Vec<JobView> = rest.get(&format!("/v1/jobs?fqn={}", encode(&fqn))).await?;
    found.into_iter().next().ok_or_else(|| {
        let code = "not_found".to_owned();
        let message = format!("`{fqn}` was not found");
        ClientError::Refused(Box::new(ApiError { code, message, resource_missing: true, ..ApiError::default() }))
    })
}

fn state(state: JobState) -> UpdateJob {
    UpdateJob { state: Some(state), ..UpdateJob::default() }
}

async fn turn(rest: &Rest, args: TurnArgs, update: UpdateJob, output: Output) -> Result<(), ClientError> {
    let job = find(rest, &args.name).await?.job;
    let changed: JobView = rest.send(Method::PUT, &format!("/v1/jobs/{}", job.uuid), &update).await?;
    let settled = if args.no_wait { changed } else { wait::settled(rest, changed, output).await? };
    output.answer(&settled, show::state)
}

async fn logs(rest: &Rest, name: &str, lines: u32, output: Output) -> Result<(), ClientError> {
    let job = find(rest, name).await?.job;
    let logs: Vec<InstanceLog> = rest.get(&format!("/v1/jobs/{}/logs?lines={lines}", job.uuid)).await?;
    if output.json {
        return output.answer(&logs, |_| String::new());
    }
    let several = 1 < logs.len();
    for log in &logs {
        if several {
            print(&format!("== {}", log.instance));
        }
        match (&log.text, &log.message) {
            (Some(text), _) => print(&safe(text.trim_end_matches('\n'))),
            (None, message) => print(&safe(message.as_deref().unwrap_or("no log"))),
        }
    }
    Ok(())
}

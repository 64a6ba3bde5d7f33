//! `apc app create`.

use std::collections::BTreeMap;

use axum::http::Method;

use crate::{
    cli::client::{
        error::ClientError,
        job::{JobNoun, show, wait},
        names::full_name,
        output::Output,
        rest::Rest,
    },
    wire::job::{CreateJob, JobState, JobView, Resources, UpdateJob},
};

/// What to make.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Short name, `/namespace::name`, or full name
    name: String,
    /// Package, lowest layer first; may be given several times
    #[arg(long = "package", short, required = true, value_name = "NAME")]
    packages: Vec<String>,
    /// Environment; may be given several times
    #[arg(long = "env", short, value_name = "NAME=VALUE", value_parser = pair)]
    environment: Vec<(String, String)>,
    /// User in the image, by name or number; default root
    #[arg(long)]
    user: Option<String>,
    /// Working directory; default /
    #[arg(long, value_name = "FOLDER")]
    workdir: Option<String>,
    /// How many instances; default 1
    #[arg(long, value_name = "COUNT")]
    instances: Option<u32>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Do not start the process again when it ends
    #[arg(long)]
    no_restart: bool,
    /// Start it, and wait until it runs
    #[arg(long)]
    start: bool,
    /// Program and arguments; default: what the package says
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Limits of each instance.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LimitArgs {
    /// Memory, such as 256MB
    #[arg(long, value_parser = size)]
    memory: Option<u64>,
    /// Milliseconds of processor time a second
    #[arg(long, value_name = "MS")]
    cpu: Option<u64>,
    /// Processes and threads
    #[arg(long, value_name = "COUNT")]
    pids: Option<u64>,
}

impl LimitArgs {
    /// The limits, if any is named; the others as `before`.
    pub(crate) fn over(&self, before: Resources) -> Option<Resources> {
        let Self { memory, cpu, pids } = self;
        if memory.is_none() && cpu.is_none() && pids.is_none() {
            return None;
        }
        Some(Resources {
            memory_bytes: memory.unwrap_or(before.memory_bytes),
            cpu_ms_per_second: cpu.unwrap_or(before.cpu_ms_per_second),
            pids: pids.unwrap_or(before.pids),
        })
    }
}

pub(crate) async fn run(rest: &Rest, noun: JobNoun, args: CreateArgs, output: Output) -> Result<(), ClientError> {
    let mut packages = Vec::new();
    for package in &args.packages {
        packages.push(full_name(rest, "package", package).await?);
    }
    let create = CreateJob {
        fqn: full_name(rest, "job", &args.name).await?,
        kind: noun.kind(),
        packages,
        command: args.command,
        environment: environment(args.environment)?,
        user: args.user,
        working_directory: args.workdir,
        num_instances: args.instances,
        resources: args.limits.over(Resources::default()),
        restart: args.no_restart.then_some(false),
    };
    let mut job: JobView = rest.send(Method::POST, "/v1/jobs", &create).await?;
    if args.start {
        let update = UpdateJob { state: Some(JobState::Started), ..UpdateJob::default() };
        job = rest.send(Method::PUT, &format!("/v1/jobs/{}", job.job.uuid), &update).await?;
        job = wait::settled(rest, job, output).await?;
    }
    output.answer(&job, show::state)
}

/// Pairs as a map; a name twice is a mistake.
pub(crate) fn environment(pairs: Vec<(String, String)>) -> Result<BTreeMap<String, String>, ClientError> {
    let mut environment = BTreeMap::new();
    for (name, value) in pairs {
        if environment.insert(name.clone(), value).is_some() {
            return Err(ClientError::Usage(format!("`{name}` is given twice")));
        }
    }
    Ok(environment)
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// Bytes of `500MB`, by the language's units (2^10 and so on).
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit {
        "" => 0,
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return Err("expected a size such as 256MB".to_owned()),
    };
    let count: u64 = digits.parse().map_err(|_| "expected a size such as 256MB".to_owned())?;
    count.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_bounds() {
        assert_eq!(size("256MB"), Ok(256 << 20));
        assert_eq!(size("1"), Ok(1));
        for bad in ["", "MB", "1mb", "-1MB", "1.5GB", "99999999999999TB", "0x10"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_is_given_once() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(pair("A").is_err() && pair("=b").is_err());
        assert!(environment(vec![pair("A=1").unwrap(), pair("A=2").unwrap()]).is_err());
    }
}

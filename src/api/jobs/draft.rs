//! A new job's record from what was asked for, and what its instances are started with.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::{
    api::error::invalid,
    syntax::fqn::Fqn,
    wire::{
        error::ApiError,
        job::{CreateJob, Job, JobKind, JobState, Package, Port, Process, Resources, RunningSpec, SSH_PORT},
    },
};

/// Instances of one job.
pub(crate) const INSTANCES_MAX: u32 = 64;

/// Packages of one job: overlayfs takes some hundred layers at most, and each package has several.
const PACKAGES_MAX: usize = 16;

/// Bytes of a job's environment and command together; both end up in one `execve`, whose bound is 128 KiB a string.
const PROCESS_BYTES_MAX: usize = 256 * 1024;

/// Least memory in which a container and its SSH server start.
const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Most processor time: as many processors.
const CPU_MS_MAX: u64 = 256 * 1_000;

/// Most processes and threads.
const PIDS_MAX: u64 = 32_768;

/// The record of the job that would be made; nothing is decided or written yet.
pub(crate) fn draft(create: CreateJob, owner: &str) -> Result<Job, ApiError> {
    check_name(&create.fqn, "job")?;
    if create.packages.is_empty() || PACKAGES_MAX < create.packages.len() {
        return Err(invalid(format!("a job has 1 to {PACKAGES_MAX} packages")));
    }
    for package in &create.packages {
        check_name(package, "package")?;
    }
    let ssh = create.kind == JobKind::Capsule;
    let process = Process {
        command: create.command,
        environment: create.environment,
        user: create.user.unwrap_or_else(|| "root".to_owned()),
        working_directory: create.working_directory.unwrap_or_else(|| "/".to_owned()),
    };
    check_process(&process)?;
    let resources = create.resources.unwrap_or_default();
    check_resources(&resources)?;
    let num_instances = create.num_instances.unwrap_or(1);
    check_instances(num_instances)?;
    Ok(Job {
        uuid: Uuid::new_v4(),
        fqn: create.fqn,
        kind: create.kind,
        owner: owner.to_owned(),
        state: JobState::Created,
        version: 1,
        num_instances,
        process,
        packages: create.packages,
        ports: if ssh { vec![Port { number: SSH_PORT, optional: true }] } else { vec![] },
        tags: BTreeMap::from([("ssh".to_owned(), ssh.to_string())]),
        resources,
        restart: create.restart.unwrap_or(true),
        console: None,
        generation: 0,
        running: None,
        message: None,
    })
}

/// What instances of the present settings are started with. `packages` are the job's, in its order.
pub(crate) fn running_spec(job: &Job, packages: &[Package]) -> Result<RunningSpec, ApiError> {
    let idles = job.kind == JobKind::Capsule || job.console.is_some();
    let default = packages.iter().rev().map(|it| &it.default_command).find(|it| !it.is_empty());
    let command = match (idles, job.process.command.is_empty(), default) {
        (true, _, _) => Vec::new(),
        (false, false, _) => job.process.command.clone(),
        (false, true, Some(default)) => default.clone(),
        (false, true, None) => {
            return Err(invalid(format!("`{}` has no start command, and its packages name none", job.fqn)));
        }
    };
    let images = packages.iter().flat_map(|it| &it.environment);
    let environment = images.chain(&job.process.environment).map(|(name, value)| (name.clone(), value.clone()));
    let process = Process { command, environment: environment.collect(), ..job.process.clone() };
    Ok(RunningSpec {
        process,
        packages: job.packages.clone(),
        layers: packages.iter().flat_map(|it| it.layers.clone()).collect(),
        resources: job.resources,
        ssh: job.ssh_wanted(),
    })
}

/// A full name of this type with a local name: what jobs and packages have.
pub(crate) fn check_name(fqn: &str, resource_type: &str) -> Result<(), ApiError> {
    let parsed = Fqn::parse(fqn).map_err(|error| invalid(format!("`{fqn}` is no name: {error}")))?;
    if parsed.resource_type() != resource_type {
        return Err(invalid(format!("`{fqn}` is no {resource_type}")));
    }
    if parsed.local().is_none() {
        return Err(invalid(format!("`{fqn}` has no local name: `{resource_type}::/namespace::name`")));
    }
    Ok(())
}

pub(crate) fn check_process(process: &Process) -> Result<(), ApiError> {
    let environment = &process.environment;
    let texts = environment.iter().flat_map(|(name, value)| [name, value]).chain(&process.command);
    let texts = texts.chain([&process.user, &process.working_directory]);
    let mut bytes: usize = 0;
    for text in texts {
        if text.contains('\0') {
            return Err(invalid("NUL can stand in no command, environment, user or directory"));
        }
        bytes = bytes.saturating_add(text.len());
    }
    if PROCESS_BYTES_MAX < bytes {
        return Err(invalid(format!("command and environment have more than {PROCESS_BYTES_MAX} bytes")));
    }
    if let Some(name) = environment.keys().find(|name| name.is_empty() || name.contains('=')) {
        return Err(invalid(format!("`{name}` names no environment variable")));
    }
    if process.command.first().is_some_and(String::is_empty) {
        return Err(invalid("the command's first word is empty"));
    }
    if process.user.is_empty() || process.user.chars().any(|c| c.is_control() || c == ':' || c == '/') {
        return Err(invalid(format!("`{}` is no user", process.user)));
    }
    if !process.working_directory.starts_with('/') {
        return Err(invalid(format!("the working directory `{}` is not absolute", process.working_directory)));
    }
    Ok(())
}

pub(crate) fn check_resources(resources: &Resources) -> Result<(), ApiError> {
    if resources.memory_bytes < MEMORY_BYTES_MIN {
        return Err(invalid(format!("an instance needs at least {MEMORY_BYTES_MIN} bytes of memory")));
    }
    if !(1..=CPU_MS_MAX).contains(&resources.cpu_ms_per_second) || !(1..=PIDS_MAX).contains(&resources.pids) {
        return Err(invalid(format!("limits are 1 to {CPU_MS_MAX} ms of processor and 1 to {PIDS_MAX} processes")));
    }
    Ok(())
}

pub(crate) fn check_instances(count: u32) -> Result<(), ApiError> {
    if INSTANCES_MAX < count {
        return Err(invalid(format!("a job has at most {INSTANCES_MAX} instances")));
    }
    Ok(())
}

//! The clone of an app: a capsule of the same packages, environment and working directory, with SSH on.

use uuid::Uuid;

use crate::{
    api::{error::invalid, jobs},
    syntax::fqn::Fqn,
    wire::{
        error::ApiError,
        job::{ConsoleLease, Job, JobKind, JobState, Package, Port, SSH_PORT},
    },
};

/// A clone's name: `job::<namespace>::<app>-console-<8 hex>`.
pub(crate) fn clone_name(source: &Job, namespace: &str, uuid: Uuid) -> Result<String, ApiError> {
    let parsed = Fqn::parse(&source.fqn).map_err(|error| invalid(format!("`{}`: {error}", source.fqn)))?;
    let app = parsed.local().and_then(<[String]>::last).cloned().unwrap_or_else(|| "app".to_owned());
    let tail: String = uuid.simple().to_string().chars().take(8).collect();
    let fqn = format!("job::{namespace}::{app}-console-{tail}");
    jobs::check_name(&fqn, "job")?;
    Ok(fqn)
}

/// The clone's record, started. Its command idles, so that nothing of the app runs twice; no route, no port but 222.
pub(crate) fn clone_job(source: &Job, lease: &ConsoleLease, packages: &[Package]) -> Result<Job, ApiError> {
    let mut clone = Job {
        uuid: lease.clone,
        fqn: lease.clone_fqn.clone(),
        kind: JobKind::Capsule,
        owner: lease.principal.clone(),
        state: JobState::Ready,
        version: 1,
        num_instances: 1,
        process: source.process.clone(),
        packages: source.packages.clone(),
        ports: vec![Port { number: SSH_PORT, optional: true }],
        tags: source.tags.clone(),
        resources: source.resources,
        restart: true,
        console: Some(lease.clone()),
        generation: 0,
        running: None,
        message: None,
    };
    clone.process.command.clear();
    clone.tags.insert("ssh".to_owned(), "true".to_owned());
    jobs::start(&mut clone, packages)?;
    Ok(clone)
}

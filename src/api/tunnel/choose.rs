//! Which instance of a job a session goes to, and why it may go to none.

use uuid::Uuid;

use crate::{
    api::{fleet::Located, sessions::guard::has_ssh, tunnel::directory::Directory},
    wire::{
        error::ApiError,
        job::{Job, JobState},
    },
};

/// An instance that can be reached. Says nothing to anyone who was not let in: ask after the decision.
pub(crate) fn choose(directory: &dyn Directory, job: &Job, asked: Option<Uuid>) -> Result<Located, ApiError> {
    let instances = directory.instances(job.uuid);
    if let Some(asked) = asked
        && !instances.iter().any(|it| it.record.uuid == asked)
    {
        let message = format!("`{asked}` is no instance of \"{}\"", job.fqn);
        return Err(ApiError { resource_missing: true, ..error("not_found", message) });
    }
    if !has_ssh(job) {
        return Err(error("ssh_not_enabled", format!("SSH is not enabled on \"{}\"", job.fqn)));
    }
    let candidates: Vec<_> = instances.iter().filter(|it| asked.is_none_or(|asked| it.record.uuid == asked)).collect();
    let located = candidates.iter().filter_map(|it| directory.locate(it.record.uuid));
    let (usable, shellless): (Vec<_>, Vec<_>) = located.partition(|it| it.has_shell != Some(false));
    if let Some(located) = usable.into_iter().next() {
        return Ok(located);
    }
    if !shellless.is_empty() {
        return Err(error(
            "no_shell",
            format!("the image of \"{}\" has no shell: it mounts no operating system to enter", job.fqn),
        ));
    }
    if job.state == JobState::Started && job.running.as_ref().is_some_and(|it| !it.ssh) {
        let message = format!("SSH is enabled on \"{}\" from its next start on: restart it", job.fqn);
        return Err(error("ssh_not_enabled", message));
    }
    let mut actual = candidates.iter().filter_map(|it| it.actual.as_ref());
    if let Some(flapping) = actual.clone().find(|it| it.flapping) {
        let why = flapping.message.as_deref().unwrap_or("three failures in five minutes");
        return Err(error("flapping", format!("\"{}\" does not stay up: {why}", job.fqn)));
    }
    let message = match actual.find_map(|it| it.message.as_deref()) {
        Some(why) => format!("no instance of \"{}\" is running: {why}", job.fqn),
        None => format!("no instance of \"{}\" is running", job.fqn),
    };
    Err(ApiError { retry: job.state == JobState::Started, ..error("no_running_instance", message) })
}

pub(crate) fn error(code: &str, message: impl Into<String>) -> ApiError {
    ApiError { code: code.to_owned(), message: message.into(), ..ApiError::default() }
}

//! A change of a job's settings or state, as a function of its record.

use crate::{
    api::{
        error::{conflict, invalid},
        jobs::draft::{check_instances, check_process, check_resources, running_spec},
    },
    gate::JobPermit,
    wire::{
        error::ApiError,
        job::{Job, JobState, Package, Port, SSH_PORT, UpdateJob},
    },
};

/// What a change wants: `update` for settings, `start` and `stop` for the state, both for a restart.
pub(crate) fn permits_for(update: &UpdateJob) -> Result<Vec<JobPermit>, ApiError> {
    let UpdateJob { for_version: _, state, ssh, environment, command, num_instances, resources, restart } = update;
    let settings =
        ssh.is_some() || environment.is_some() || command.is_some() || num_instances.is_some() || resources.is_some();
    let (start, stop) = match state {
        Some(JobState::Started) => (true, *restart),
        Some(JobState::Stopped) if *restart => return Err(invalid("a job cannot be stopped and restarted at once")),
        Some(JobState::Stopped) => (false, true),
        Some(JobState::Created | JobState::Ready | JobState::Finished | JobState::Errored) => {
            return Err(invalid("a job can be made `started` or `stopped`"));
        }
        None => (*restart, *restart),
    };
    let wanted = [(settings, JobPermit::Update), (start, JobPermit::Start), (stop, JobPermit::Stop)];
    let permits: Vec<JobPermit> = wanted.into_iter().filter_map(|(is, permit)| is.then_some(permit)).collect();
    if permits.is_empty() {
        return Err(invalid("the change changes nothing"));
    }
    Ok(permits)
}

/// The job after the change. Settings hold from the next start, except that removing SSH holds at once; `restart`
/// replaces the instances of a job that runs.
pub(crate) fn apply(job: &Job, update: &UpdateJob, packages: &[Package]) -> Result<Job, ApiError> {
    if let Some(version) = update.for_version.filter(|it| *it != job.version) {
        return Err(conflict(format!("the job is at version {}, the change was made for {version}", job.version)));
    }
    if job.console.is_some() {
        return Err(conflict("a console's clone cannot be changed, only deleted"));
    }
    let mut changed = job.clone();
    settings(&mut changed, update)?;
    let runs = matches!(job.state, JobState::Started | JobState::Finished | JobState::Errored);
    match update.state {
        // Starting what is started is not restarting it.
        Some(JobState::Started) if job.state != JobState::Started || update.restart => start(&mut changed, packages)?,
        Some(JobState::Stopped) => {
            changed.state = JobState::Stopped;
            changed.running = None;
            changed.message = None;
        }
        None if update.restart && runs => start(&mut changed, packages)?,
        _ => (),
    }
    changed.version = job.version.saturating_add(1);
    Ok(changed)
}

/// Wants instances of the present settings, and none of older ones.
pub(crate) fn start(job: &mut Job, packages: &[Package]) -> Result<(), ApiError> {
    job.running = Some(Box::new(running_spec(job, packages)?));
    job.generation = job.generation.saturating_add(1);
    job.state = JobState::Started;
    job.message = None;
    Ok(())
}

fn settings(job: &mut Job, update: &UpdateJob) -> Result<(), ApiError> {
    if let Some(ssh) = update.ssh {
        set_ssh(job, ssh);
    }
    if let Some(environment) = &update.environment {
        job.process.environment.clone_from(environment);
    }
    if let Some(command) = &update.command {
        job.process.command.clone_from(command);
    }
    check_process(&job.process)?;
    if let Some(resources) = update.resources {
        check_resources(&resources)?;
        job.resources = resources;
    }
    if let Some(count) = update.num_instances {
        check_instances(count)?;
        job.num_instances = count;
    }
    Ok(())
}

fn set_ssh(job: &mut Job, ssh: bool) {
    job.ports.retain(|port| port.number != SSH_PORT);
    if ssh {
        job.ports.push(Port { number: SSH_PORT, optional: true });
        job.ports.sort_by_key(|port| port.number);
    } else if let Some(running) = &mut job.running {
        // At once: 222 closes, new sessions are refused, live ones end.
        running.ssh = false;
    }
    job.tags.insert("ssh".to_owned(), ssh.to_string());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        api::jobs::draft,
        wire::job::{CreateJob, JobKind},
    };

    fn job(kind: JobKind) -> Job {
        let create = CreateJob {
            fqn: "job::/sandbox/tom::web".to_owned(),
            kind,
            packages: vec!["package::/sandbox/tom::os".to_owned()],
            command: vec!["/bin/httpd".to_owned()],
            environment: BTreeMap::new(),
            user: None,
            working_directory: None,
            num_instances: None,
            resources: None,
            restart: None,
        };
        draft(create, "tom").unwrap()
    }

    fn change(job: &Job, update: &UpdateJob) -> Job {
        apply(job, update, &[]).unwrap()
    }

    fn to_state(state: JobState) -> UpdateJob {
        UpdateJob { state: Some(state), ..UpdateJob::default() }
    }

    fn ssh(on: bool, restart: bool) -> UpdateJob {
        UpdateJob { ssh: Some(on), restart, ..UpdateJob::default() }
    }

    #[test]
    fn an_app_begins_without_ssh_and_a_capsule_with_it() {
        let (app, capsule) = (job(JobKind::App), job(JobKind::Capsule));
        assert!(!app.ssh_wanted() && capsule.ssh_wanted());
        assert_eq!((app.tags["ssh"].as_str(), capsule.tags["ssh"].as_str()), ("false", "true"));
        let capsule = change(&capsule, &to_state(JobState::Started));
        assert_eq!(capsule.running.unwrap().process.command, Vec::<String>::new(), "it idles");
    }

    #[test]
    fn allowing_ssh_holds_from_the_next_start_and_removing_it_at_once() {
        let started = change(&job(JobKind::App), &to_state(JobState::Started));
        let allowed = change(&started, &ssh(true, false));
        assert!(allowed.ssh_wanted() && !allowed.ssh_in_force());
        assert_eq!(allowed.generation, started.generation);
        let restarted = change(&started, &ssh(true, true));
        assert!(restarted.ssh_in_force());
        assert_eq!(restarted.generation, started.generation + 1);
        assert_eq!(restarted.tags["ssh"], "true");
        let removed = change(&restarted, &ssh(false, false));
        assert!(!removed.ssh_wanted() && !removed.ssh_in_force());
        assert_eq!((removed.generation, removed.tags["ssh"].as_str()), (restarted.generation, "false"));
    }

    #[test]
    fn a_restart_does_not_start_what_is_stopped_and_a_start_does_not_restart_what_runs() {
        let stopped = change(&job(JobKind::App), &to_state(JobState::Stopped));
        assert_eq!(change(&stopped, &ssh(true, true)).state, JobState::Stopped);
        let started = change(&stopped, &to_state(JobState::Started));
        assert_eq!(change(&started, &to_state(JobState::Started)).generation, started.generation);
        assert!(change(&started, &to_state(JobState::Stopped)).running.is_none());
    }

    #[test]
    fn a_change_made_from_another_version_is_refused() {
        let update = UpdateJob { for_version: Some(7), ..ssh(true, false) };
        assert_eq!(apply(&job(JobKind::App), &update, &[]).unwrap_err().code, "conflict");
    }

    #[test]
    fn an_app_without_any_command_cannot_start() {
        let mut app = job(JobKind::App);
        app.process.command.clear();
        let error = apply(&app, &to_state(JobState::Started), &[]).unwrap_err();
        assert_eq!(error.message, "`job::/sandbox/tom::web` has no start command, and its packages name none");
    }

    #[test]
    fn each_part_of_a_change_wants_its_permit() {
        let wants = |update: UpdateJob| permits_for(&update).unwrap();
        assert_eq!(wants(ssh(true, false)), [JobPermit::Update]);
        assert_eq!(wants(ssh(true, true)), [JobPermit::Update, JobPermit::Start, JobPermit::Stop]);
        assert_eq!(wants(to_state(JobState::Started)), [JobPermit::Start]);
        assert_eq!(wants(to_state(JobState::Stopped)), [JobPermit::Stop]);
        assert!(permits_for(&UpdateJob::default()).is_err());
        assert!(permits_for(&to_state(JobState::Errored)).is_err());
    }
}

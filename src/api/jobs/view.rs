//! Jobs and instances as their readers may see them.

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    api::fleet::{Fleet, Status},
    gate::JobSight,
    wire::job::{Instance, InstanceState, Job, JobState, JobView, Process},
};

/// The job as someone with this sight sees it.
pub(crate) fn job_view(fleet: &Fleet, mut job: Job, sight: JobSight) -> JobView {
    let settled = is_settled(fleet, &job);
    let running = fleet.of_job(job.uuid).iter().filter(|it| state_of(it) == InstanceState::Running).count();
    let mut partial = false;
    if !sight.read {
        partial = true;
        let nothing = Process {
            command: vec![],
            environment: job.process.environment,
            user: String::new(),
            working_directory: String::new(),
        };
        job.process = nothing;
        job.packages.clear();
        job.owner.clear();
        job.tags.retain(|name, _| name == "ssh");
    }
    // What instances were started with is for managers; its environment is as secret as the job's.
    if let Some(running) = &mut job.running {
        running.process.environment.clear();
        if !sight.read {
            running.process.clone_from(&job.process);
            running.process.environment.clear();
            running.packages.clear();
            running.layers.clear();
        }
    }
    if sight.environment.is_none() {
        partial = partial || !job.process.environment.is_empty();
        job.process.environment.clear();
    }
    JobView { job, partial, running_instances: u32::try_from(running).unwrap_or(u32::MAX), settled }
}

/// Whether the instances are what the job wants: all of the present generation run, with SSH served where it is on, and
/// no others are left. What has ended or cannot run has nothing under way.
pub(crate) fn is_settled(fleet: &Fleet, job: &Job) -> bool {
    // The mirror may be late: what it says of an older job says nothing of this one.
    let mirrored = fleet.registry().job(job.uuid).is_some_and(|it| job.version <= it.version);
    let instances = fleet.of_job(job.uuid);
    match job.state {
        JobState::Finished | JobState::Errored => true,
        JobState::Created | JobState::Ready | JobState::Stopped => mirrored && instances.is_empty(),
        JobState::Started => {
            let serves = |it: &Status| {
                let port = it.actual.as_ref().is_some_and(|it| it.public_port.is_some() && it.host_key.is_some());
                let current = it.record.generation == job.generation;
                current && state_of(it) == InstanceState::Running && (port || !job.ssh_in_force())
            };
            let wanted = usize::try_from(job.num_instances).unwrap_or(usize::MAX);
            mirrored && instances.len() == wanted && instances.iter().all(serves)
        }
    }
}

/// An instance as the API shows it.
pub(crate) fn instance_view(status: &Status) -> Instance {
    let actual = status.actual.as_ref();
    let away = (!status.connected).then(|| "its instance manager is not connected".to_owned());
    Instance {
        uuid: status.record.uuid,
        job: status.record.job,
        state: state_of(status),
        im: status.record.im,
        host: status.host.map(|it| it.to_string()).unwrap_or_default(),
        public_port: actual.and_then(|it| it.public_port),
        host_key_fingerprint: actual.and_then(|it| it.host_key.as_deref()).and_then(fingerprint),
        message: actual.and_then(|it| it.message.clone()).or(away),
    }
}

fn state_of(status: &Status) -> InstanceState {
    status.actual.as_ref().map_or(InstanceState::New, |it| it.state)
}

/// `SHA256:...`, as OpenSSH prints it, of a public key in OpenSSH format.
fn fingerprint(public_key: &str) -> Option<String> {
    let blob = STANDARD.decode(public_key.split_whitespace().nth(1)?).ok()?;
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_one_that_openssh_prints() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS";
        let printed = fingerprint(key).unwrap();
        assert!(printed.starts_with("SHA256:") && printed.len() == 7 + 43, "{printed}");
        assert_eq!(fingerprint("ssh-ed25519"), None);
        assert_eq!(fingerprint("ssh-ed25519 ***"), None);
    }
}

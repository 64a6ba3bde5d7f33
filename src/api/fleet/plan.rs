//! Which instances should exist and where, as a pure function of what is recorded and reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use uuid::Uuid;

use crate::wire::{
    im::ActualInstance,
    job::{InstanceRecord, Job, JobState},
};

/// How long a manager may be away before its instances are started elsewhere. Long, because its containers usually
/// outlive the link: starting a second one is worse than waiting.
pub(crate) const LOST_AFTER: Duration = Duration::from_mins(5);

/// What is known of a manager.
#[derive(Debug, Clone, Default)]
pub(crate) struct ManagerView {
    /// None while it is connected; else for how long it has been away.
    pub(crate) away: Option<Duration>,
    /// What it last reported.
    pub(crate) actual: BTreeMap<Uuid, ActualInstance>,
}

/// One step towards what should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new instance of a job, on this manager.
    Create { job: Uuid, generation: u64, im: Uuid },
    /// The record goes; its manager then removes the instance.
    Delete(Uuid),
    /// The manager is lost: another one gets it under a new epoch.
    Move { instance: Uuid, im: Uuid },
    /// Every instance has ended for good.
    Conclude { job: Uuid, generation: u64, state: JobState, message: Option<String> },
}

/// All steps that are due.
pub(crate) fn plan(
    jobs: &BTreeMap<Uuid, Job>,
    records: &[InstanceRecord],
    managers: &BTreeMap<Uuid, ManagerView>,
) -> Vec<Step> {
    let mut load = Load::of(records, managers);
    let mut steps = Vec::new();
    let mut kept: BTreeMap<Uuid, Vec<&InstanceRecord>> = BTreeMap::new();
    for record in records {
        match jobs.get(&record.job) {
            Some(job) if holds_instances(job) && record.generation == job.generation => {
                kept.entry(record.job).or_default().push(record);
            }
            _ => steps.push(Step::Delete(record.uuid)),
        }
    }
    for job in jobs.values().filter(|job| holds_instances(job)) {
        let mine = kept.remove(&job.uuid).unwrap_or_default();
        steps_of_job(job, &mine, managers, &mut load, &mut steps);
    }
    steps
}

fn holds_instances(job: &Job) -> bool {
    match job.state {
        // What has ended keeps its last instances until it is stopped, for their logs.
        JobState::Started | JobState::Finished | JobState::Errored => job.running.is_some(),
        JobState::Created | JobState::Ready | JobState::Stopped => false,
    }
}

fn steps_of_job(
    job: &Job,
    mine: &[&InstanceRecord],
    managers: &BTreeMap<Uuid, ManagerView>,
    load: &mut Load,
    steps: &mut Vec<Step>,
) {
    let wanted = usize::try_from(job.num_instances).unwrap_or(usize::MAX);
    // Two API servers may have made one each at the same moment; both then delete the same one.
    steps.extend(mine.iter().skip(wanted).map(|record| Step::Delete(record.uuid)));
    if job.state != JobState::Started {
        return;
    }
    for record in mine.iter().take(wanted) {
        let away = managers.get(&record.im).and_then(|it| it.away);
        if away.is_some_and(|away| LOST_AFTER <= away)
            && let Some(im) = load.take()
        {
            steps.push(Step::Move { instance: record.uuid, im });
        }
    }
    for _ in mine.len()..wanted {
        let Some(im) = load.take() else { break };
        steps.push(Step::Create { job: job.uuid, generation: job.generation, im });
    }
    steps.extend(conclusion(job, mine, managers));
}

/// A job whose every instance has ended and is not started again.
fn conclusion(job: &Job, mine: &[&InstanceRecord], managers: &BTreeMap<Uuid, ManagerView>) -> Option<Step> {
    let reports: Vec<&ActualInstance> = mine.iter().filter_map(|record| report(record, managers)).collect();
    if reports.is_empty() || reports.len() < mine.len() {
        return None;
    }
    let (state, message) = if reports.iter().all(|it| it.flapping) {
        (JobState::Errored, Some("flapping: three failures in five minutes, no more restarts".to_owned()))
    } else if !job.restart && reports.iter().all(|it| it.exit.is_some()) {
        let status = reports.iter().find_map(|it| it.exit.filter(|code| *code != 0)).unwrap_or(0);
        (JobState::Finished, Some(format!("ended with status {status}")))
    } else {
        return None;
    };
    Some(Step::Conclude { job: job.uuid, generation: job.generation, state, message })
}

fn report<'a>(record: &InstanceRecord, managers: &'a BTreeMap<Uuid, ManagerView>) -> Option<&'a ActualInstance> {
    managers.get(&record.im)?.actual.get(&record.uuid).filter(|it| it.epoch == record.epoch)
}

/// How many instances each connected manager has.
struct Load(BTreeMap<Uuid, usize>);

impl Load {
    fn of(records: &[InstanceRecord], managers: &BTreeMap<Uuid, ManagerView>) -> Self {
        let connected: BTreeSet<Uuid> =
            managers.iter().filter(|(_, it)| it.away.is_none()).map(|(uuid, _)| *uuid).collect();
        let count = |im: &Uuid| records.iter().filter(|it| it.im == *im).count();
        Self(connected.into_iter().map(|im| (im, count(&im))).collect())
    }

    /// The least loaded manager, which then has one more.
    fn take(&mut self) -> Option<Uuid> {
        let (im, count) = self.0.iter_mut().min_by_key(|(_, count)| **count)?;
        *count = count.saturating_add(1);
        Some(*im)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::job::{InstanceState, JobKind, Process, Resources, RunningSpec};

    fn job(state: JobState, generation: u64, num_instances: u32) -> Job {
        let process = Process {
            command: vec!["/bin/true".to_owned()],
            environment: BTreeMap::new(),
            user: "root".to_owned(),
            working_directory: "/".to_owned(),
        };
        let running = RunningSpec {
            process: process.clone(),
            packages: vec![],
            layers: vec![],
            resources: Resources::default(),
            ssh: false,
        };
        Job {
            uuid: Uuid::from_u128(1),
            fqn: "job::/sandbox/tom::web".to_owned(),
            kind: JobKind::App,
            owner: "tom".to_owned(),
            state,
            version: 1,
            num_instances,
            process,
            packages: vec![],
            ports: vec![],
            tags: BTreeMap::new(),
            resources: Resources::default(),
            restart: true,
            console: None,
            generation,
            running: Some(Box::new(running)),
            message: None,
        }
    }

    fn record(uuid: u128, im: u128, generation: u64) -> InstanceRecord {
        InstanceRecord {
            uuid: Uuid::from_u128(uuid),
            job: Uuid::from_u128(1),
            im: Uuid::from_u128(im),
            epoch: 1,
            generation,
        }
    }

    fn actual(uuid: u128, epoch: u64) -> ActualInstance {
        ActualInstance {
            uuid: Uuid::from_u128(uuid),
            epoch,
            state: InstanceState::Running,
            public_port: None,
            host_key: None,
            has_shell: None,
            exit: None,
            flapping: false,
            message: None,
        }
    }

    fn managers(of: &[(u128, Option<u64>)]) -> BTreeMap<Uuid, ManagerView> {
        of.iter()
            .map(|(im, away)| {
                (Uuid::from_u128(*im), ManagerView { away: away.map(Duration::from_secs), actual: BTreeMap::new() })
            })
            .collect()
    }

    fn jobs(job: Job) -> BTreeMap<Uuid, Job> {
        BTreeMap::from([(job.uuid, job)])
    }

    #[test]
    fn instances_are_spread_over_connected_managers_only() {
        let steps = plan(&jobs(job(JobState::Started, 1, 4)), &[], &managers(&[(7, None), (8, None), (9, Some(1))]));
        let on =
            |im| steps.iter().filter(move |it| matches!(it, Step::Create { im: on, .. } if *on == Uuid::from_u128(im)));
        assert_eq!((on(7).count(), on(8).count(), steps.len()), (2, 2, 4));
    }

    #[test]
    fn a_restart_replaces_instances_of_an_older_generation() {
        let steps = plan(&jobs(job(JobState::Started, 2, 1)), &[record(5, 7, 1)], &managers(&[(7, None)]));
        let create = Step::Create { job: Uuid::from_u128(1), generation: 2, im: Uuid::from_u128(7) };
        assert_eq!(steps, [Step::Delete(Uuid::from_u128(5)), create]);
    }

    #[test]
    fn stopped_deleted_and_shrunk_jobs_lose_instances() {
        let both = [record(5, 7, 1), record(6, 7, 1)];
        let at = managers(&[(7, None)]);
        let gone = [Step::Delete(Uuid::from_u128(5)), Step::Delete(Uuid::from_u128(6))];
        assert_eq!(plan(&jobs(job(JobState::Stopped, 1, 2)), &both, &at), gone);
        assert_eq!(plan(&BTreeMap::new(), &both, &at), gone);
        assert_eq!(plan(&jobs(job(JobState::Started, 1, 1)), &both, &at), gone[1..]);
    }

    #[test]
    fn a_manager_that_is_away_keeps_its_instances_until_it_is_lost() {
        let started = jobs(job(JobState::Started, 1, 1));
        let one = [record(5, 7, 1)];
        assert_eq!(plan(&started, &one, &managers(&[(7, Some(299)), (8, None)])), []);
        let moved = Step::Move { instance: Uuid::from_u128(5), im: Uuid::from_u128(8) };
        assert_eq!(plan(&started, &one, &managers(&[(7, Some(300)), (8, None)])), [moved]);
        assert_eq!(plan(&started, &one, &managers(&[(7, Some(300))])), [], "nowhere to go");
        assert_eq!(plan(&started, &one, &managers(&[(8, None)])), [], "a manager not yet heard of is not lost");
    }

    #[test]
    fn a_job_is_concluded_by_reports_of_the_present_epoch_only() {
        let mut batch = job(JobState::Started, 1, 1);
        batch.restart = false;
        let one = [record(5, 7, 1)];
        let mut at = managers(&[(7, None)]);
        let mut ended = actual(5, 0);
        ended.exit = Some(3);
        let report = |at: &mut BTreeMap<Uuid, ManagerView>, it: &ActualInstance| {
            at.get_mut(&Uuid::from_u128(7)).unwrap().actual.insert(it.uuid, it.clone());
        };
        report(&mut at, &ended);
        assert_eq!(plan(&jobs(batch.clone()), &one, &at), [], "an older epoch");
        ended.epoch = 1;
        report(&mut at, &ended);
        let steps = plan(&jobs(batch.clone()), &one, &at);
        assert!(matches!(steps.as_slice(), [Step::Conclude { state: JobState::Finished, .. }]), "{steps:?}");
        batch.state = JobState::Finished;
        assert_eq!(plan(&jobs(batch), &one, &at), [], "it stays for its logs and is not started again");
        let mut flapping = actual(5, 1);
        flapping.flapping = true;
        report(&mut at, &flapping);
        let steps = plan(&jobs(job(JobState::Started, 1, 1)), &one, &at);
        assert!(matches!(steps.as_slice(), [Step::Conclude { state: JobState::Errored, .. }]), "{steps:?}");
    }
}

//! Carries out the plan, whenever anything that it depends on changes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::{
        fleet::{
            Fleet,
            plan::{LOST_AFTER, Step, plan},
        },
        records::{self, Change, instance_key, job_key},
    },
    store::{Revision, Store, StoreError},
    wire::job::{InstanceRecord, Job, JobState},
};

/// How long to rest after the store refused a step.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps instance records as the jobs want them, until `stop`.
pub(crate) async fn run(fleet: Fleet, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut stored = fleet.registry().subscribe();
    let mut reported = fleet.subscribe();
    loop {
        // Marked before looking, so that a change while looking is looked at again.
        stored.mark_unchanged();
        reported.mark_unchanged();
        let mut wake = fleet.next_loss();
        if fleet.registry().is_caught_up() {
            let work = work(&fleet, store.as_ref());
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = work => done,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "instances cannot be scheduled for now");
                wake = Some(Instant::now() + RETRY);
            }
        }
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = stored.changed() => if changed.is_err() { return },
            changed = reported.changed() => if changed.is_err() { return },
            () = timer => (),
        }
    }
}

/// Plans once, does it, and waits for the mirror to have it, so that the next plan does not do it again.
async fn work(fleet: &Fleet, store: &dyn Store) -> Result<(), StoreError> {
    let jobs: BTreeMap<Uuid, Job> = fleet.registry().jobs().into_iter().map(|job| (job.uuid, job)).collect();
    let steps = plan(&jobs, &fleet.registry().instances(None), &fleet.views());
    for step in steps {
        tracing::info!(?step, "scheduling");
        if let Some((prefix, revision)) = carry_out(store, step).await? {
            fleet.registry().has_seen(prefix, revision).await;
        }
    }
    Ok(())
}

async fn carry_out(store: &dyn Store, step: Step) -> Result<Option<(&'static str, Revision)>, StoreError> {
    match step {
        Step::Create { job, generation, im } => {
            let record = InstanceRecord { uuid: Uuid::new_v4(), job, im, epoch: 1, generation };
            let revision = records::save(store, &instance_key(record.uuid), None, &record).await?;
            Ok(Some(("instance", revision)))
        }
        Step::Delete(instance) => {
            records::remove(store, &instance_key(instance)).await?;
            Ok(None)
        }
        Step::Move { instance, im } => {
            let key = instance_key(instance);
            let moved = records::change(store, &key, |record: &InstanceRecord| {
                let epoch = record.epoch.saturating_add(1);
                Ok::<_, StoreError>(Change::To(InstanceRecord { im, epoch, ..record.clone() }))
            });
            Ok(moved.await?.map(|stored| ("instance", stored.revision)))
        }
        Step::Conclude { job, generation, state, message } => {
            let key = job_key(job);
            let concluded = records::change(store, &key, |found: &Job| {
                if found.generation != generation || found.state != JobState::Started {
                    return Ok::<_, StoreError>(Change::Leave);
                }
                Ok(Change::To(Job { state, message: message.clone(), ..found.clone() }))
            });
            Ok(concluded.await?.map(|stored| ("job", stored.revision)))
        }
    }
}

impl Fleet {
    /// When the next manager that is away counts as lost.
    fn next_loss(&self) -> Option<Instant> {
        let away = self.views().into_values().filter_map(|view| view.away);
        let left = away.filter_map(|away| LOST_AFTER.checked_sub(away)).min()?;
        Some(Instant::now() + left)
    }
}

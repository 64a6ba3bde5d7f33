//! What one manager should run, from the mirrored records.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    api::{fleet::Fleet, registry::Registry},
    wire::{im::DesiredInstance, job::InstanceRecord},
};

impl Fleet {
    /// All instances that `im` should run, ascending. None before the mirror is complete: a set from half a mirror
    /// would have the manager remove what only has not been read yet.
    pub(crate) fn desired(&self, im: Uuid) -> Option<Vec<DesiredInstance>> {
        let registry = self.registry();
        if !registry.is_caught_up() {
            return None;
        }
        let mine = registry.instances(None).into_iter().filter(|record| record.im == im);
        Some(mine.filter_map(|record| desired_instance(registry, &record, self.inner.console_lease)).collect())
    }

    /// Whether `im` holds an instance that is made of this layer, and so may read it.
    pub(crate) fn may_read_layer(&self, im: Uuid, digest: &str) -> bool {
        let instances = self.desired(im).unwrap_or_default();
        instances.iter().any(|instance| instance.layers.iter().any(|layer| layer.digest == digest))
    }
}

fn desired_instance(registry: &Registry, record: &InstanceRecord, console_lease: Duration) -> Option<DesiredInstance> {
    let job = registry.job(record.job).filter(|job| job.generation == record.generation)?;
    let running = job.running.as_deref()?;
    Some(DesiredInstance {
        uuid: record.uuid,
        job: job.uuid,
        epoch: record.epoch,
        process: running.process.clone(),
        layers: running.layers.clone(),
        resources: running.resources,
        ssh: running.ssh,
        restart: job.restart,
        lease_ms: job.console.as_ref().map(|_| u64::try_from(console_lease.as_millis()).unwrap_or(u64::MAX)),
        fqn: job.fqn,
    })
}

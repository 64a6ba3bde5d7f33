//! Where a tunnel looks for jobs and instances: the store for what decides, the mirrors for what follows.

use std::{fmt, sync::Arc};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    api::{
        fleet::{Fleet, Located, Status},
        records::PROBE,
        registry::Registry,
        tunnel::instance::Doing,
    },
    store::{Key, Store, StoreError},
    wire::job::Job,
};

/// Jobs and instances.
pub trait Directory: Send + Sync + fmt::Debug + 'static {
    /// A job as the store has it now.
    fn job(&self, uuid: Uuid) -> Doing<'_, Result<Option<Job>, StoreError>>;

    /// The version of a job in the mirror, late by a moment.
    fn mirrored_version(&self, uuid: Uuid) -> Option<u64>;

    /// The instances of a job, reachable or not.
    fn instances(&self, job: Uuid) -> Vec<Status>;

    /// The lease epoch of an instance that should exist.
    fn epoch(&self, instance: Uuid) -> Option<u64>;

    /// Where an instance is reached, if it can be.
    fn locate(&self, instance: Uuid) -> Option<Located>;

    /// Told after each change of the mirrors.
    fn subscribe(&self) -> watch::Receiver<u64>;
}

/// Of one API server.
#[derive(Debug)]
pub struct ApiDirectory {
    store: Arc<dyn Store>,
    registry: Registry,
    fleet: Fleet,
}

impl ApiDirectory {
    /// Of its parts.
    pub fn new(store: Arc<dyn Store>, registry: Registry, fleet: Fleet) -> Self {
        Self { store, registry, fleet }
    }
}

impl Directory for ApiDirectory {
    fn job(&self, uuid: Uuid) -> Doing<'_, Result<Option<Job>, StoreError>> {
        Box::pin(async move {
            let key = Key::new(["job".to_owned(), uuid.to_string()]);
            let Some(entry) = self.store.get(&key).await?.filter(|it| it.value != PROBE) else { return Ok(None) };
            // A record that cannot be understood is an error, never absent.
            let parsed = serde_json::from_slice(&entry.value);
            parsed.map(Some).map_err(|error| StoreError::Unavailable(format!("`{key}` cannot be read: {error}")))
        })
    }

    fn mirrored_version(&self, uuid: Uuid) -> Option<u64> {
        self.registry.job(uuid).map(|it| it.version)
    }

    fn instances(&self, job: Uuid) -> Vec<Status> {
        self.fleet.of_job(job)
    }

    fn epoch(&self, instance: Uuid) -> Option<u64> {
        self.registry.instance(instance).map(|it| it.epoch)
    }

    fn locate(&self, instance: Uuid) -> Option<Located> {
        self.fleet.locate(instance)
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.registry.subscribe()
    }
}

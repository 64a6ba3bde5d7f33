//! The instance managers: what each should run, what each says it runs, and where an instance is reached.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::{
    api::registry::Registry,
    wire::{
        im::{ActualInstance, ToIm},
        job::{InstanceRecord, InstanceState},
    },
};

/// The links to all instance managers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    managers: Mutex<BTreeMap<Uuid, Manager>>,
    changed: watch::Sender<u64>,
}

/// A manager that has been heard of since this process began.
#[derive(Debug)]
struct Manager {
    address: IpAddr,
    ports: (u16, u16),
    /// To the open link; none while it is away.
    link: Option<mpsc::Sender<ToIm>>,
    /// When the link was lost.
    lost: Option<Instant>,
    /// What it last said, also after the link was lost: its containers outlive it.
    actual: BTreeMap<Uuid, ActualInstance>,
}

/// Where a running instance is reached, and what is known of who answers there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The instance.
    pub instance: Uuid,
    /// Whose it is.
    pub job: Uuid,
    /// Lease epoch; a certificate must name it.
    pub epoch: u64,
    /// Its manager.
    pub im: Uuid,
    /// Public port of its SSH server on the manager's host.
    pub address: SocketAddr,
    /// The only host key (OpenSSH format) that may answer there.
    pub host_key: String,
    /// Whether the image has a shell; none until known.
    pub has_shell: Option<bool>,
}

/// An instance as it should be, with what its manager says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// As the store has it.
    pub record: InstanceRecord,
    /// As the manager that holds the lease, in this epoch, last reported it.
    pub actual: Option<ActualInstance>,
    /// The manager's address.
    pub host: Option<IpAddr>,
    /// Whether its manager is connected.
    pub connected: bool,
}

impl Fleet {
    /// Knows no manager yet.
    pub fn new(registry: Registry) -> Self {
        let inner = Inner { registry, managers: Mutex::default(), changed: watch::Sender::new(0) };
        Self { inner: Arc::new(inner) }
    }

    /// Where an instance is reached. None unless it runs, its manager has said so under the lease's present epoch,
    /// and its SSH is served.
    pub fn locate(&self, instance: Uuid) -> Option<Located> {
        located(&self.status(instance)?)
    }

    /// All instances of a job that can be reached.
    pub fn running(&self, job: Uuid) -> Vec<Located> {
        self.of_job(job).iter().filter_map(located).collect()
    }

    /// One instance, reachable or not.
    pub fn status(&self, instance: Uuid) -> Option<Status> {
        Some(self.describe(self.inner.registry.instance(instance)?))
    }

    /// All instances of a job, reachable or not.
    pub fn of_job(&self, job: Uuid) -> Vec<Status> {
        self.inner.registry.instances(Some(job)).into_iter().map(|record| self.describe(record)).collect()
    }

    /// Told (with a growing number) after each change of what managers report. What the store says changes with
    /// [`Registry::subscribe`].
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    fn describe(&self, record: InstanceRecord) -> Status {
        let managers = self.managers();
        let manager = managers.get(&record.im);
        let actual = manager.and_then(|it| it.actual.get(&record.uuid)).filter(|it| it.epoch == record.epoch).cloned();
        Status {
            actual,
            host: manager.map(|it| it.address),
            connected: manager.is_some_and(|it| it.link.is_some()),
            record,
        }
    }

    fn managers(&self) -> MutexGuard<'_, BTreeMap<Uuid, Manager>> {
        self.inner.managers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn located(status: &Status) -> Option<Located> {
    let actual = status.actual.as_ref().filter(|it| it.state == InstanceState::Running)?;
    Some(Located {
        instance: status.record.uuid,
        job: status.record.job,
        epoch: status.record.epoch,
        im: status.record.im,
        address: SocketAddr::new(status.host?, actual.public_port?),
        host_key: actual.host_key.clone()?,
        has_shell: actual.has_shell,
    })
}

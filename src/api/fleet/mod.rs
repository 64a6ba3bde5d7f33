//! The instance managers: what each should run, what each says it runs, and where an instance is reached.

mod calls;
mod desired;
pub(crate) mod link;
mod plan;
pub(crate) mod schedule;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use uuid::Uuid;

pub use crate::api::fleet::calls::LogsError;
use crate::{
    api::{
        fleet::{calls::Calls, plan::ManagerView},
        registry::Registry,
    },
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
    console_lease: Duration,
    managers: Mutex<BTreeMap<Uuid, Manager>>,
    changed: watch::Sender<u64>,
    calls: Calls,
    /// A manager that has not come since then is away since then.
    began: Instant,
}

/// A manager that has been heard of since this process began.
#[derive(Debug)]
struct Manager {
    address: IpAddr,
    ports: (u16, u16),
    /// To the open link; none while it is away.
    link: Option<mpsc::Sender<ToIm>>,
    /// Which link: a report or an end of an older one is not believed.
    serial: u64,
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
    /// Knows no manager yet. `console_lease` is how long a manager keeps a console's instance without renewal.
    pub fn new(registry: Registry, console_lease: Duration) -> Self {
        let inner = Inner {
            registry,
            console_lease,
            managers: Mutex::default(),
            changed: watch::Sender::new(0),
            calls: Calls::default(),
            began: Instant::now(),
        };
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

    /// The managers that have come since this process began.
    pub fn connected_managers(&self) -> Vec<ManagerStatus> {
        let managers = self.managers();
        let describe = |(uuid, it): (&Uuid, &Manager)| ManagerStatus {
            uuid: *uuid,
            address: it.address,
            ports: it.ports,
            connected: it.link.is_some(),
            instances: it.actual.len(),
        };
        managers.iter().map(describe).collect()
    }

    /// The mirror that it goes by.
    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// What planning needs to know of every manager that holds a lease or has come.
    fn views(&self) -> BTreeMap<Uuid, ManagerView> {
        let holders: BTreeSet<Uuid> = self.inner.registry.instances(None).into_iter().map(|it| it.im).collect();
        let managers = self.managers();
        let unheard = holders.into_iter().filter(|im| !managers.contains_key(im));
        let unheard =
            unheard.map(|im| (im, ManagerView { away: Some(self.inner.began.elapsed()), ..ManagerView::default() }));
        let heard = managers.iter().map(|(im, it)| {
            let away = it.link.is_none().then(|| it.lost.map_or(Duration::ZERO, |lost| lost.elapsed()));
            (*im, ManagerView { away, actual: it.actual.clone() })
        });
        unheard.chain(heard).collect()
    }

    /// A manager has come; a link that it had before ends, because its queue does.
    fn attach(&self, im: Uuid, address: IpAddr, ports: (u16, u16), link: mpsc::Sender<ToIm>) -> u64 {
        let mut managers = self.managers();
        let before = managers.remove(&im);
        let serial = before.as_ref().map_or(0, |it| it.serial.wrapping_add(1));
        let actual = before.map(|it| it.actual).unwrap_or_default();
        managers.insert(im, Manager { address, ports, link: Some(link), serial, lost: None, actual });
        drop(managers);
        self.touch();
        serial
    }

    /// A link is over.
    fn detach(&self, im: Uuid, serial: u64) {
        if let Some(manager) = self.managers().get_mut(&im).filter(|it| it.serial == serial) {
            manager.link = None;
            manager.lost = Some(Instant::now());
        }
        self.inner.calls.abandon(im);
        self.touch();
    }

    /// A manager says what it has: everything. Ports outside its range are not believed, nor is an epoch that the
    /// lease has not (when it is looked at).
    fn report(&self, im: Uuid, serial: u64, instances: Vec<ActualInstance>) {
        if let Some(manager) = self.managers().get_mut(&im).filter(|it| it.serial == serial) {
            let (first, last) = manager.ports;
            manager.actual = instances
                .into_iter()
                .map(|mut it| {
                    it.public_port = it.public_port.filter(|port| (first..=last).contains(port));
                    (it.uuid, it)
                })
                .collect();
        }
        self.touch();
    }

    fn link_of(&self, im: Uuid) -> Option<mpsc::Sender<ToIm>> {
        self.managers().get(&im)?.link.clone()
    }

    fn touch(&self) {
        self.inner.changed.send_modify(|count| *count = count.wrapping_add(1));
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

/// A manager as `GET /v1/instance_managers` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerStatus {
    /// Identity.
    pub uuid: Uuid,
    /// Address at which its public ports are reached.
    pub address: IpAddr,
    /// First and last public port.
    pub ports: (u16, u16),
    /// Whether its link is open.
    pub connected: bool,
    /// How many instances it last reported.
    pub instances: usize,
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

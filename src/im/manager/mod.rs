//! Makes what exists on the host equal to what is desired.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    im::{
        ImError, Settings,
        manager::{
            host::Host,
            keeper::{Found, Keeper, Orders, Wish},
            launch::Shim,
        },
        runtime::probe,
        shim::files::read_json,
        uplink::Uplink,
    },
    wire::{im::DesiredInstance, shim::ShimStatus},
};

pub mod conversation;
pub mod host;
pub mod keeper;
pub mod launch;
pub mod slots;
pub mod trial;

/// For the removal of all instances on a clean stop.
const FINISH_MAX: Duration = Duration::from_mins(1);

/// Serves until `shutdown`: connects to the API server again and again, and keeps the desired instances.
///
/// On a clean stop instances live on under their shims, or are removed if the settings say so.
pub async fn run(settings: Settings, uplink: Arc<dyn Uplink>, shutdown: CancellationToken) -> Result<(), ImError> {
    probe::probe(&settings).await?;
    let stop_instances = settings.stop_instances_on_exit;
    let host = Arc::new(Host::open(settings, Arc::clone(&uplink)).await?);
    let mut manager = Manager::adopt(Arc::clone(&host)).await?;
    conversation::converse(&host, &*uplink, &mut manager, &shutdown).await;
    if stop_instances {
        manager.desire(Vec::new());
        // What cannot be removed, the next start tries again; this one must end.
        if tokio::time::timeout(FINISH_MAX, manager.finish()).await.is_err() {
            return Err(ImError::Unusable("some instances could not be removed in time".to_owned()));
        }
        host.network.close().await?;
    }
    Ok(())
}

/// All instances of the host.
#[derive(Debug)]
pub struct Manager {
    host: Arc<Host>,
    keepers: BTreeMap<Uuid, watch::Sender<Orders>>,
    tasks: JoinSet<Uuid>,
    user_authorities: Arc<Vec<String>>,
    /// The last that was desired; none until an API server has said so.
    desired: Option<BTreeMap<Uuid, DesiredInstance>>,
}

impl Manager {
    /// Takes up living instances, and removes what dead ones have left on the host.
    pub async fn adopt(host: Arc<Host>) -> Result<Self, ImError> {
        let (instances, strange) = host.found()?;
        for path in strange {
            tracing::warn!(path = %path.display(), "removing what an interrupted start has left");
            host::remove_folder(path).await?;
        }
        let mut manager = Self {
            host: Arc::clone(&host),
            keepers: BTreeMap::new(),
            tasks: JoinSet::new(),
            user_authorities: Arc::default(),
            desired: None,
        };
        let mut found = Vec::new();
        for instance in instances {
            found.push((instance, look(&host, instance).await?));
        }
        let mut pairs = std::collections::BTreeSet::new();
        let mut with_processes = Vec::new();
        for (instance, state) in &found {
            if matches!(state, Found::Ended(_) | Found::Nothing) {
                continue;
            }
            with_processes.push(*instance);
            if let Some(specification) = host.specification(*instance)? {
                let pair = host.adopt_slot(specification.slot)?;
                if matches!(state, Found::Running(_)) {
                    pairs.insert(pair);
                }
            }
        }
        host.network.sweep(&pairs).await?;
        host.sweep_cgroups(&with_processes).await?;
        if pairs.is_empty() {
            trial::trial(&host).await?;
        }
        for (instance, state) in found {
            manager.spawn(instance, Wish::Unknown, state);
        }
        Ok(manager)
    }

    /// From now on exactly these are desired.
    pub fn desire(&mut self, instances: Vec<DesiredInstance>) {
        self.desired = Some(instances.into_iter().map(|it| (it.uuid, it)).collect());
        self.reconcile();
    }

    /// From now on certificates of these authorities count.
    pub fn trust(&mut self, user_authorities: Vec<String>) {
        self.user_authorities = Arc::new(user_authorities);
        for orders in self.keepers.values() {
            let authorities = Arc::clone(&self.user_authorities);
            orders.send_if_modified(|it| {
                let changed = it.user_authorities != authorities;
                it.user_authorities = authorities;
                changed
            });
        }
    }

    /// The leases of these begin anew.
    pub fn renew(&self, instances: &[Uuid]) {
        for orders in instances.iter().filter_map(|it| self.keepers.get(it)) {
            orders.send_modify(|it| it.renewals = it.renewals.wrapping_add(1));
        }
    }

    /// Comes back when an instance has gone, so that it can be made again should it be desired again. Never, if none is left.
    pub async fn gone(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(instance)) => {
                self.keepers.remove(&instance);
                self.reconcile();
            }
            Some(Err(error)) => tracing::error!(%error, "the task of an instance failed"),
            None => std::future::pending().await,
        }
    }

    /// Comes back when every instance has gone.
    pub async fn finish(&mut self) {
        while !self.tasks.is_empty() {
            self.gone().await;
        }
    }

    fn reconcile(&mut self) {
        let Some(desired) = self.desired.clone() else { return };
        for (instance, orders) in &self.keepers {
            let wish = desired.get(instance).map_or(Wish::Remove, |it| Wish::Run(Box::new(it.clone())));
            orders.send_if_modified(|it| {
                // What is being removed is removed to the end, and made anew then.
                let changed = it.wish != Wish::Remove && it.wish != wish;
                if changed {
                    it.wish = wish;
                }
                changed
            });
        }
        for (instance, wanted) in desired {
            if !self.keepers.contains_key(&instance) {
                self.spawn(instance, Wish::Run(Box::new(wanted)), Found::Nothing);
            }
        }
    }

    fn spawn(&mut self, instance: Uuid, wish: Wish, found: Found) {
        let orders = Orders { wish, user_authorities: Arc::clone(&self.user_authorities), renewals: 0 };
        let (sender, receiver) = watch::channel(orders);
        let keeper = Keeper::new(Arc::clone(&self.host), instance, receiver);
        self.keepers.insert(instance, sender);
        self.tasks.spawn(async move {
            keeper.keep(found).await;
            instance
        });
    }
}

/// In which state a former manager, and time, have left an instance.
async fn look(host: &Host, instance: Uuid) -> Result<Found, ImError> {
    let files = host.files(instance);
    if let Some(shim) = Shim::connect(&files).await? {
        return Ok(Found::Running(Box::new(shim)));
    }
    launch::shim_gone(&files).await?;
    Ok(match read_json::<ShimStatus>(&files.ended())? {
        Some(last) => Found::Ended(Box::new(last)),
        None => Found::Orphaned,
    })
}

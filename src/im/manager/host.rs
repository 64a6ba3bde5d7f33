//! What all instances of one manager share: its folder, its network, its numbers, its ports.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::{
    im::{
        ImError, Settings,
        cgroup::Cgroups,
        error::Context,
        layers::Layers,
        manager::slots::Slots,
        network::{Network, Pair, Ports},
        remove,
        runtime::{Runc, Runtime},
        shim::files::{Files, read_json, write_json},
        uplink::Uplink,
    },
    wire::{im::ActualInstance, shim::ShimSpecification},
};

/// Instances that are started at the same time.
const STARTS_MAX: usize = 4;

/// Shared by the tasks of all instances.
#[derive(Debug)]
pub struct Host {
    /// As given.
    pub settings: Settings,
    /// The packet filter and pairs.
    pub network: Network,
    /// Unpacked layers.
    pub layers: Layers,
    /// For layers that are missing.
    pub uplink: Arc<dyn Uplink>,
    /// What is reported of every instance.
    pub actual: watch::Sender<BTreeMap<Uuid, ActualInstance>>,
    /// Held while an instance is started: a few at a time are quicker than all at once.
    pub starting: Semaphore,
    /// Held while a layer is fetched, so that instances that need the same one fetch it once.
    pub fetching: tokio::sync::Mutex<()>,
    name: String,
    slots: Mutex<Slots>,
    ports: Mutex<Ports>,
    /// One manager for one folder.
    _lock: File,
}

/// `manager.json` of the state folder.
#[derive(Debug, Serialize, Deserialize)]
struct Own {
    /// Six hex digits that name our table, pairs and cgroups.
    name: String,
}

/// `manager.json` of an instance's folder.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Remembered {
    /// Behind which 222 is.
    pub public_port: Option<u16>,
}

impl Host {
    /// Opens the state folder and brings the packet filter up.
    pub async fn open(settings: Settings, uplink: Arc<dyn Uplink>) -> Result<Self, ImError> {
        for folder in [settings.state.clone(), settings.state.join("instances")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.context(|| format!("make `{}`", folder.display()))?;
        }
        let path = settings.state.join("lock");
        let lock = File::create(&path).context(|| format!("open `{}`", path.display()))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            ImError::Unusable(format!("`{}` is in use by another instance manager", settings.state.display()))
        })?;
        let name = own_name(&settings.state)?;
        let layers = Layers::open(settings.state.join("layers"))?;
        layers.sweep()?;
        Ok(Self {
            network: Network::open(&name).await?,
            slots: Mutex::new(Slots::new(&settings)?),
            ports: Mutex::new(Ports::new(settings.ports)?),
            actual: watch::Sender::new(BTreeMap::new()),
            starting: Semaphore::new(STARTS_MAX),
            fetching: tokio::sync::Mutex::default(),
            settings,
            layers,
            uplink,
            name,
            _lock: lock,
        })
    }

    /// The folder of an instance.
    pub fn files(&self, instance: Uuid) -> Files {
        Files::new(self.settings.state.join("instances").join(instance.to_string()))
    }

    /// Instances that have a folder, and other entries of the folder that do not belong there.
    pub fn found(&self) -> Result<(Vec<Uuid>, Vec<PathBuf>), ImError> {
        let folder = self.settings.state.join("instances");
        let entries = fs::read_dir(&folder).context(|| format!("read `{}`", folder.display()))?;
        let (mut instances, mut strange) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.context(|| format!("read `{}`", folder.display()))?;
            match entry.file_name().to_str().and_then(|it| it.parse().ok()) {
                Some(instance) if self.files(instance).specification().exists() => instances.push(instance),
                _ => strange.push(entry.path()),
            }
        }
        Ok((instances, strange))
    }

    /// Path of an instance's cgroups.
    pub fn cgroup(&self, instance: Uuid) -> String {
        format!("{}/{}/{instance}", self.settings.cgroup, self.name)
    }

    /// Kills and removes cgroups of instances that we do not have.
    pub async fn sweep_cgroups(&self, known: &[Uuid]) -> Result<(), ImError> {
        let all = Cgroups::new(&format!("{}/{}", self.settings.cgroup, self.name))?;
        for child in all.children("") {
            if !known.iter().any(|it| it.to_string() == child) {
                all.kill(&child).await?;
                all.remove(&child).await?;
            }
        }
        Ok(())
    }

    /// A number with its pair and first user id.
    pub fn take_slot(&self) -> Result<(u32, Pair, u32), ImError> {
        let mut slots = self.slots();
        let slot = slots.take()?;
        let (pair, uid_base) = slots.resources(slot)?;
        Ok((slot, pair, uid_base))
    }

    /// The pair of a number, which is now in use.
    pub fn adopt_slot(&self, slot: u32) -> Result<Pair, ImError> {
        let mut slots = self.slots();
        slots.adopt(slot);
        slots.resources(slot).map(|(pair, _)| pair)
    }

    /// Gives a number back, whose files and pair are gone.
    pub fn release_slot(&self, slot: u32) {
        self.slots().release(slot);
    }

    /// Reserves a public port, and remembers it in the instance's folder before anything leads through it.
    pub fn take_port(&self, files: &Files) -> Result<u16, ImError> {
        let port = self.ports().reserve(Instant::now())?;
        write_json(&files.manager(), &Remembered { public_port: Some(port) })?;
        Ok(port)
    }

    /// Takes up a port that an instance already has.
    pub fn adopt_port(&self, port: u16) {
        self.ports().adopt(port);
    }

    /// Closes a public port, and lets it rest.
    pub async fn release_port(&self, files: &Files, port: u16) -> Result<(), ImError> {
        self.network.withdraw(port).await?;
        if files.folder().exists() {
            write_json(&files.manager(), &Remembered::default())?;
        }
        self.ports().release(port, Instant::now());
        Ok(())
    }

    /// Ends whatever may still run of an instance without a shim, and removes its pair.
    pub async fn bury(&self, instance: Uuid, slot: u32) -> Result<(), ImError> {
        let files = self.files(instance);
        let cgroups = Cgroups::new(&self.cgroup(instance))?;
        cgroups.kill("").await?;
        Runc::new(self.settings.runtime.clone(), files.runtime()).delete(&instance.to_string()).await?;
        cgroups.remove("").await?;
        cgroups.tidy_above();
        let pair = self.slots().resources(slot)?.0;
        self.network.detach(pair).await
    }

    /// Removes what an instance has written and only running ones need; logs and the last status stay.
    pub async fn strip(&self, files: &Files) -> Result<(), ImError> {
        for folder in [files.upper(), files.work(), files.bundle(), files.runtime()] {
            remove_folder(folder).await?;
        }
        Ok(())
    }

    /// Removes an instance's folder.
    pub async fn forget(&self, files: &Files) -> Result<(), ImError> {
        remove_folder(files.folder().to_owned()).await
    }

    /// What the shim of an instance was told.
    pub fn specification(&self, instance: Uuid) -> Result<Option<ShimSpecification>, ImError> {
        read_json(&self.files(instance).specification())
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a folder that may be large.
pub async fn remove_folder(folder: PathBuf) -> Result<(), ImError> {
    let removed = tokio::task::spawn_blocking(move || remove::remove(&folder)).await;
    removed.unwrap_or_else(|error| Err(ImError::Unusable(error.to_string())))
}

/// Chosen at random once, so that several managers on one host do not meet.
fn own_name(state: &Path) -> Result<String, ImError> {
    let path = state.join("manager.json");
    if let Some(Own { name }) = read_json(&path)? {
        let good = name.len() == 6 && name.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        return if good { Ok(name) } else { Err(ImError::Damaged { path, message: "no name".to_owned() }) };
    }
    let name: String = Uuid::new_v4().simple().to_string().chars().take(6).collect();
    write_json(&path, &Own { name: name.clone() })?;
    Ok(name)
}

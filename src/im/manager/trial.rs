//! One instance at the start, of nothing but the agent's own program, to see that instances can run on this host at all.

use std::{collections::BTreeMap, fs, time::Duration};

use uuid::Uuid;

use crate::{
    im::{
        ImError,
        error::Context,
        manager::{
            host::Host,
            launch::{self, Shim, shim_gone},
        },
        network::Pair,
        shim::files::Files,
    },
    wire::{
        im::DesiredInstance,
        job::{InstanceState, Process, Resources},
        shim::ToShim,
    },
};

/// From its start to its end.
const TRIAL_MAX: Duration = Duration::from_mins(1);

/// Runs the trial; fails with what does not work here: the runtime, overlayfs, idmapped mounts, cgroups, a kernel too old.
pub async fn trial(host: &Host) -> Result<(), ImError> {
    let empty = host.settings.state.join("empty");
    fs::create_dir_all(&empty).context(|| format!("make `{}`", empty.display()))?;
    let desired = nothing();
    let files = host.files(desired.uuid);
    let specification = launch::specify(host, &desired, &[], vec![empty])?;
    let pair = Pair::new(host.settings.network, specification.slot)?;
    let tried = tokio::time::timeout(TRIAL_MAX, attempt(host, &files, pair)).await;
    let tried = tried.unwrap_or_else(|_| Err(ImError::Unusable("it takes too long".to_owned())));
    let cleared = clear(host, &files, desired.uuid, specification.slot).await;
    let runtime = host.settings.runtime.display();
    tried.and(cleared).map_err(|error| ImError::Unusable(format!("instances cannot run here by `{runtime}`: {error}")))
}

async fn attempt(host: &Host, files: &Files, pair: Pair) -> Result<(), ImError> {
    let mut shim = Shim::start(host, files).await?;
    host.network.attach(pair, shim.process()).await?;
    shim.say(&ToShim::Attached).await?;
    while let Some(status) = shim.hear().await {
        match status.state {
            InstanceState::Running => return shim.say(&ToShim::Stop { grace_ms: 0 }).await,
            InstanceState::Removed => return Err(ImError::Unusable(status.message.unwrap_or_default())),
            InstanceState::New | InstanceState::Setup | InstanceState::Starting | InstanceState::Stopping => {}
        }
    }
    Err(ImError::Unusable("its shim ended".to_owned()))
}

async fn clear(host: &Host, files: &Files, instance: Uuid, slot: u32) -> Result<(), ImError> {
    let gone = tokio::time::timeout(TRIAL_MAX, shim_gone(files)).await;
    gone.unwrap_or_else(|_| Err(ImError::Unusable("its shim does not end".to_owned())))?;
    host.bury(instance, slot).await?;
    host.release_slot(slot);
    host.forget(files).await
}

fn nothing() -> DesiredInstance {
    let process = Process {
        command: Vec::new(),
        environment: BTreeMap::new(),
        user: "root".to_owned(),
        working_directory: "/".to_owned(),
    };
    DesiredInstance {
        uuid: Uuid::new_v4(),
        job: Uuid::nil(),
        fqn: "trial".to_owned(),
        epoch: 0,
        process,
        layers: Vec::new(),
        resources: Resources::default(),
        ssh: false,
        restart: false,
        lease_ms: None,
    }
}

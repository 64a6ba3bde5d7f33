//! Takes over leases that nobody renews, whoever's they were, and deletes their clones.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::{
        Api,
        console::lease,
        jobs,
        records::{Stored, console_key, load, load_all},
    },
    store::StoreError,
    wire::job::{ConsoleLease, Job},
};

/// Looks within one time to live.
const LOOKS: u32 = 4;

/// A job whose name does not come within this time was left by a crash between the two writes; likewise a clone that
/// has no lease for so long.
const ORPHAN_AFTER: Duration = Duration::from_mins(1);

/// Sweeps until `stop`.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut seen = Seen::default();
    let every = api.console_lease() / LOOKS;
    loop {
        if let Err(error) = sweep(&api, &mut seen).await {
            tracing::warn!(%error, "consoles cannot be swept for now");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => (),
        }
    }
}

/// What was seen and since when, on this process's own clock: clocks of owners are never compared.
#[derive(Debug, Default)]
struct Seen {
    leases: BTreeMap<String, (ConsoleLease, Instant)>,
    orphans: BTreeMap<Uuid, Instant>,
}

async fn sweep(api: &Api, seen: &mut Seen) -> Result<(), StoreError> {
    let leases: Vec<Stored<ConsoleLease>> = load_all(api.store.as_ref(), "console").await?;
    let now = Instant::now();
    let before = std::mem::take(&mut seen.leases);
    for Stored { value: lease, .. } in leases {
        let since = before.get(&lease.session).filter(|(known, _)| *known == lease).map_or(now, |(_, since)| *since);
        if now.duration_since(since) < api.console_lease() {
            seen.leases.insert(lease.session.clone(), (lease, since));
        } else if lease::take(api.store.as_ref(), &lease, &api.lease_owner()).await? {
            tracing::info!(session = lease.session, clone = %lease.clone, "an abandoned console is deleted");
            api.end_console(&lease.session).await?;
        }
    }
    sweep_orphans(api, seen, now).await
}

/// Jobs that no name leads to, left by a crash while they were made, and clones that no lease leads to.
async fn sweep_orphans(api: &Api, seen: &mut Seen, now: Instant) -> Result<(), StoreError> {
    if !api.registry.is_caught_up() {
        return Ok(());
    }
    let mut orphans = BTreeMap::new();
    for job in api.registry.jobs() {
        if is_orphan(api, &job).await? {
            let since = seen.orphans.get(&job.uuid).copied().unwrap_or(now);
            if now.duration_since(since) < ORPHAN_AFTER {
                orphans.insert(job.uuid, since);
            } else {
                jobs::delete(api.store.as_ref(), job.uuid, &job.fqn).await?;
            }
        }
    }
    seen.orphans = orphans;
    Ok(())
}

async fn is_orphan(api: &Api, job: &Job) -> Result<bool, StoreError> {
    if let Some(lease) = &job.console
        && load::<ConsoleLease>(api.store.as_ref(), &console_key(&lease.session)).await?.is_none()
    {
        return Ok(true);
    }
    let holder = jobs::by_name(api.store.as_ref(), &job.fqn).await?;
    Ok(holder.is_none_or(|it| it.value.uuid != job.uuid))
}

//! Renews the leases of consoles that are in use, and deletes those that are not.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    api::{
        Api,
        console::{Held, lease},
    },
    store::StoreError,
};

/// Renewals within one time to live, so that a slow one costs nothing.
const RENEWALS: u32 = 4;

/// Rest after the store refused to delete.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until `stop`, and then deletes what is held: sessions end with this process.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let every = api.console_lease() / RENEWALS;
    let mut next_renewal = Instant::now() + every;
    let mut retry: Option<Instant> = None;
    loop {
        let next_end = api.consoles.held().values().filter_map(|held| held.ends).min();
        // After a failure the clock of what is overdue starts again with the rest.
        let next_end = next_end.map(|at| retry.map_or(at, |retry| at.max(retry)));
        let at = next_end.map_or(next_renewal, |end| end.min(next_renewal));
        tokio::select! {
            () = stop.cancelled() => break,
            () = api.consoles.inner.due.notified() => (),
            () = tokio::time::sleep_until(at) => (),
        }
        let now = Instant::now();
        retry = if retry.is_none_or(|retry| retry <= now) {
            let failed = end_all(&api, |held| held.ends.is_some_and(|ends| ends <= now)).await.is_err();
            failed.then(|| Instant::now() + RETRY)
        } else {
            retry
        };
        if next_renewal <= now {
            renew_all(&api).await;
            next_renewal = now + every;
        }
    }
    let _stopped = end_all(&api, |_| true).await;
}

/// Ends each console that is due; what could not be ended stays held and is tried again.
async fn end_all(api: &Api, due: impl Fn(&Held) -> bool) -> Result<(), StoreError> {
    let all: Vec<(Uuid, Held)> = api.consoles.held().iter().map(|(uuid, held)| (*uuid, held.clone())).collect();
    let mut outcome = Ok(());
    for (clone, held) in all.into_iter().filter(|(_, held)| due(held)) {
        match api.end_console(&held.session).await {
            Ok(()) => api.consoles.forget(clone),
            Err(error) => {
                tracing::warn!(%error, session = held.session, "a console cannot be deleted for now");
                outcome = Err(error);
            }
        }
    }
    outcome
}

/// Renews in the store first: a manager is told to go on only for a lease that goes on.
async fn renew_all(api: &Api) {
    let all: Vec<(Uuid, Held)> = api.consoles.held().iter().map(|(uuid, held)| (*uuid, held.clone())).collect();
    let owner = api.lease_owner();
    let mut renewed = Vec::new();
    for (clone, held) in all {
        match lease::renew(api.store.as_ref(), &held.session, &owner).await {
            Ok(true) => renewed.extend(api.registry.instances(Some(clone)).into_iter().map(|it| it.uuid)),
            // Someone has swept or deleted it: what is left of it goes with the lease.
            Ok(false) => {
                tracing::warn!(session = held.session, "a console's lease is no longer ours");
                api.consoles.forget(clone);
            }
            Err(error) => tracing::warn!(%error, session = held.session, "a console's lease was not renewed"),
        }
    }
    if !renewed.is_empty() {
        api.fleet.renew(&renewed);
    }
}

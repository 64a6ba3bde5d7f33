//! What every way of serving needs: the stop signal, certificates that are renewed, a line that says it is ready.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Auth,
    cli::daemon::DaemonError,
    link::{Credentials, Role},
};

/// A token that SIGTERM or SIGINT cancels.
pub(super) fn stop_signal() -> Result<CancellationToken, DaemonError> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::info!("stopping");
        cancelled.cancel();
    });
    Ok(stop)
}

/// Certificates for a role of this process, made anew while it runs.
pub(super) fn credentials(
    auth: &Arc<Auth>,
    role: Role,
    id: &str,
    stop: &CancellationToken,
) -> Result<Credentials, DaemonError> {
    let credentials = auth.components().credentials(role, id)?;
    let (auth, kept, stop) = (Arc::clone(auth), credentials.clone(), stop.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(auth.components().refresh_every()) => (),
            }
            if let Err(error) = auth.components().refresh(&kept) {
                tracing::error!(%error, "a component's certificate could not be made anew");
            }
        }
    });
    Ok(credentials)
}

/// Tells whoever started us that we serve, in one line: `ready WHERE`. That nobody reads it is no failure.
pub(super) fn say_ready(place: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "ready {place}").and_then(|()| out.flush()));
}

//! Takes note of the deaths of orphans, so that an instance whose first process does not is not filled with the dead.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tracing::warn;

/// The processes that somebody here waits for.
#[derive(Debug, Clone, Default)]
pub(in crate::ssh) struct Children {
    awaited: Arc<Mutex<BTreeSet<i32>>>,
}

/// One of them; forgotten when dropped, after its status was taken.
#[derive(Debug)]
pub(in crate::ssh) struct Awaited {
    children: Children,
    id: Pid,
}

impl Children {
    /// Somebody waits for this one. Called before anything can be awaited, so that the reaper never sees it unlisted.
    pub(in crate::ssh) fn awaited(&self, id: Pid) -> Awaited {
        self.with(|it| it.insert(id.as_raw_nonzero().get()));
        Awaited { children: self.clone(), id }
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<i32>) -> T) -> T {
        change(&mut self.awaited.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.children.with(|it| it.remove(&self.id.as_raw_nonzero().get()));
    }
}

/// Adopts the orphans of sessions and reaps them, for ever. Where the kernel does not list children, their first process
/// has to do it, as without an agent.
pub(in crate::ssh) async fn run(children: &Children) {
    let list = format!("/proc/self/task/{}/children", getpid().as_raw_nonzero());
    let deaths = signal(SignalKind::child());
    let (Ok(mut deaths), Ok(_)) = (deaths, fs::read_to_string(&list)) else {
        return std::future::pending().await;
    };
    if let Err(error) = set_child_subreaper(Some(getpid())) {
        warn!("orphans are not adopted: {error}");
    }
    while deaths.recv().await.is_some() {
        for id in fs::read_to_string(&list).unwrap_or_default().split_ascii_whitespace() {
            reap(children, id);
        }
    }
}

fn reap(children: &Children, id: &str) {
    let Some(id) = id.parse().ok().and_then(Pid::from_raw) else { return };
    if !children.with(|it| it.contains(&id.as_raw_nonzero().get())) {
        // Most of them live.
        let _alive = waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

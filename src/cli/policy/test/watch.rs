//! Tests that run again when a file of theirs changes: the only file that knows notify.

use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use notify::{Event, EventKind, RecursiveMode, Watcher};

/// An editor writes a file in several steps; what follows within this is one change.
const SETTLED: Duration = Duration::from_millis(50);

/// Does it now, and again after each change in one of the folders. Ends only where watching fails.
pub(super) fn each_change(folders: &[PathBuf], mut run: impl FnMut()) -> notify::Result<()> {
    let (sender, events) = mpsc::channel();
    // Before the first run, so that no change falls between.
    let mut watcher = notify::recommended_watcher(sender)?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    loop {
        run();
        while !is_change(&events.recv().map_err(|_| notify::Error::generic("the watcher has ended"))??) {}
        while events.recv_timeout(SETTLED).is_ok() {}
    }
}

/// Whether a document or a file of tests may say something else now; reading one is no change.
fn is_change(event: &Event) -> bool {
    let is_ours = |path: &Path| path.extension().is_some_and(|it| it == "pol" || it == "toml");
    let writes = match event.kind {
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    };
    writes && event.paths.iter().any(|it| is_ours(it))
}

//! The cgroups of one instance, in whatever hierarchies the host has: v1, v2, or both (hybrid).
//!
//! Below the instance's own folder lie `app` with the job's limits, and `ssh` with a small reserve of its own, in which
//! `ssh/agent` and `ssh/<session>` are; so a job at its limits can still be entered, and one session be killed whole.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::time::{Instant, sleep};

use crate::{
    im::{ImError, error::Context, process::Process},
    wire::job::Resources,
};

mod mounts;

pub use mounts::{Hierarchy, mounted};

/// Killed processes that are not gone by then hang in the kernel; we say so instead of waiting on.
const KILL_SECONDS_MAX: Duration = Duration::from_secs(10);

/// Where the job's own processes are.
pub const APP: &str = "app";

/// Above the agent and all sessions.
pub const SSH: &str = "ssh";

/// Where the agent is.
pub const AGENT: &str = "ssh/agent";

/// One instance's folder in every hierarchy.
#[derive(Debug, Clone)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    path: String,
}

impl Cgroups {
    /// `path` is relative to the hierarchies' roots.
    pub fn new(path: &str) -> Result<Self, ImError> {
        Ok(Self { hierarchies: mounted()?, path: path.to_owned() })
    }

    /// With hierarchies other than the host's.
    pub fn of(hierarchies: Vec<Hierarchy>, path: &str) -> Self {
        Self { hierarchies, path: path.to_owned() }
    }

    /// As the runtime is told it.
    pub fn absolute(&self) -> String {
        format!("/{}", self.path)
    }

    /// Makes the folder `below` (`""` for the instance's own) in every hierarchy.
    pub fn make(&self, below: &str) -> Result<(), ImError> {
        self.hierarchies.iter().try_for_each(|it| self.make_in(it, below))
    }

    fn make_in(&self, hierarchy: &Hierarchy, below: &str) -> Result<(), ImError> {
        // Whoever was the last in a folder takes it away, maybe between two steps of this.
        const TRIES: usize = 100;
        let path = Path::new(&self.path).join(below);
        let mut tries = 0..TRIES;
        loop {
            let mut folder = hierarchy.mount().to_owned();
            let made = path.components().try_for_each(|part| {
                folder.push(part);
                hierarchy.make(&folder)
            });
            match made {
                Err(ImError::Io { source, .. }) if gone(&source) && tries.next().is_some() => {}
                made => return made,
            }
        }
    }

    /// Hands the limiting controllers down to the folder's children. In v2 the folder itself must be without processes.
    pub fn delegate(&self, below: &str) -> Result<(), ImError> {
        self.hierarchies.iter().try_for_each(|it| it.delegate(&self.folder(it, below)))
    }

    /// Bounds what the processes below a folder use together.
    pub fn limit(&self, below: &str, resources: &Resources) -> Result<(), ImError> {
        self.hierarchies.iter().try_for_each(|it| it.limit(&self.folder(it, below), resources))
    }

    /// Moves a process.
    pub fn place(&self, below: &str, pid: Pid) -> Result<(), ImError> {
        for hierarchy in &self.hierarchies {
            let file = self.folder(hierarchy, below).join("cgroup.procs");
            let number = pid.as_raw_nonzero().to_string();
            fs::write(&file, number).context(|| format!("place a process in `{}`", file.display()))?;
        }
        Ok(())
    }

    /// Whether a process is in exactly this folder, in every hierarchy that we keep it in.
    pub fn holds(&self, below: &str, pid: Pid) -> bool {
        let Ok(text) = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())) else { return false };
        let wanted = Path::new(&self.path).join(below);
        let inside =
            text.lines().filter(|line| line.splitn(3, ':').nth(2).is_some_and(|it| Path::new(it).ends_with(&wanted)));
        !self.hierarchies.is_empty() && inside.count() == self.hierarchies.len()
    }

    /// Names of the folders directly below one.
    pub fn children(&self, below: &str) -> BTreeSet<String> {
        let folders = self.hierarchies.iter().map(|it| self.folder(it, below));
        let entries = folders.filter_map(|it| fs::read_dir(it).ok()).flatten().flatten();
        entries.filter(|it| it.path().is_dir()).filter_map(|it| it.file_name().into_string().ok()).collect()
    }

    /// Every process in a folder and below it.
    pub fn processes(&self, below: &str) -> Result<BTreeSet<i32>, ImError> {
        let mut res = BTreeSet::new();
        for hierarchy in &self.hierarchies {
            for folder in tree(&self.folder(hierarchy, below)) {
                let text = match fs::read_to_string(folder.join("cgroup.procs")) {
                    Ok(text) => text,
                    Err(error) if gone(&error) => continue,
                    Err(error) => return Err(error).context(|| format!("read `{}`", folder.display())),
                };
                res.extend(text.lines().filter_map(|it| it.parse::<i32>().ok()).filter(|it| *it > 0));
            }
        }
        Ok(res)
    }

    /// Kills every process in a folder and below it, and comes back when they are dead.
    ///
    /// v2 kills a whole tree at once (`cgroup.kill`). In v1 forks are forbidden first (`pids.max`), then each process is
    /// killed, until none is left; who wants to use the folder again limits it again.
    pub async fn kill(&self, below: &str) -> Result<(), ImError> {
        let deadline = Instant::now().checked_add(KILL_SECONDS_MAX).unwrap_or_else(Instant::now);
        for hierarchy in &self.hierarchies {
            hierarchy.kill(&self.folder(hierarchy, below))?;
        }
        loop {
            let left = self.processes(below)?;
            if left.is_empty() {
                return Ok(());
            }
            for pid in left.into_iter().filter_map(Pid::from_raw) {
                let Some(process) = Process::open(pid)? else { continue };
                // Between the listing and now the number may have become another's.
                if !self.processes(below)?.contains(&pid.as_raw_nonzero().get()) {
                    continue;
                }
                process.signal(Signal::KILL);
                if tokio::time::timeout_at(deadline, process.ended()).await.is_err() {
                    return Err(ImError::Unusable(format!("process {} does not die", pid.as_raw_nonzero())));
                }
            }
            if deadline < Instant::now() {
                return Err(ImError::Unusable(format!("processes in `{}/{below}` do not die", self.path)));
            }
        }
    }

    /// Removes a folder and all below it; that it is not there is no error.
    pub async fn remove(&self, below: &str) -> Result<(), ImError> {
        for hierarchy in &self.hierarchies {
            let mut folders = tree(&self.folder(hierarchy, below));
            folders.reverse();
            for folder in folders {
                remove_folder(&folder).await?;
            }
        }
        Ok(())
    }

    /// Removes folders above the instance's own as far as they are empty.
    pub fn tidy_above(&self) {
        for hierarchy in &self.hierarchies {
            for above in Path::new(&self.path).ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()) {
                if fs::remove_dir(hierarchy.mount().join(above)).is_err() {
                    break;
                }
            }
        }
    }

    fn folder(&self, hierarchy: &Hierarchy, below: &str) -> PathBuf {
        hierarchy.mount().join(&self.path).join(below)
    }
}

/// A folder and all below it, each above its children.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut res = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(folder) = res.get(at).cloned() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        res.extend(entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).map(|it| it.path()));
        at = at.saturating_add(1);
    }
    res
}

/// The kernel lets go of a dead process's cgroup a moment after its death is told, and tells nobody when.
async fn remove_folder(folder: &Path) -> Result<(), ImError> {
    for _ in 0..400 {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(()),
            Err(error) if gone(&error) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(error).context(|| format!("remove `{}`", folder.display())),
        }
    }
    Err(ImError::Unusable(format!("`{}` stays busy", folder.display())))
}

/// Whether a folder went away before or while it was used.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

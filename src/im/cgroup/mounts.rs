//! One cgroup hierarchy, v1 or v2, and what is written into it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    im::{ImError, error::Context},
    wire::job::Resources,
};

/// Microseconds in which a processor quota is counted.
const PERIOD_US: u64 = 100_000;

/// The kernel takes no smaller quota.
const QUOTA_US_MIN: u64 = 1_000;

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1, with its controllers.
    V1 {
        /// Where it is mounted.
        mount: PathBuf,
        /// `memory`, `pids`, ...; or a name for one without controllers.
        controllers: Vec<String>,
    },
    /// Version 2.
    V2 {
        /// Where it is mounted.
        mount: PathBuf,
        /// Whether memory, processor and processes are limited here, or (hybrid) in v1 hierarchies.
        limits: bool,
    },
}

/// The host's hierarchies.
pub fn mounted() -> Result<Vec<Hierarchy>, ImError> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).context(|| format!("read `{path}`"))?;
    let res = parse(&text);
    if res.is_empty() {
        return Err(ImError::Unusable("no cgroup hierarchy is mounted".to_owned()));
    }
    Ok(res)
}

/// Reads `mountinfo` (proc(5)): mount point is field 5; behind ` - ` come type, source and super options.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut res: Vec<Hierarchy> = Vec::new();
    let mut limited = false;
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
        let mut right = right.split(' ');
        let (kind, _source, options) = (right.next(), right.next(), right.next().unwrap_or_default());
        let hierarchy = match kind {
            Some("cgroup") => {
                let controllers =
                    options.split(',').filter(|it| !matches!(*it, "rw" | "ro" | "xattr" | "clone_children"));
                let controllers: Vec<String> = controllers.map(str::to_owned).collect();
                limited |= controllers.iter().any(|it| it == "memory" || it == "pids");
                Hierarchy::V1 { mount, controllers }
            }
            Some("cgroup2") => Hierarchy::V2 { mount, limits: true },
            _ => continue,
        };
        // The same hierarchy may be mounted twice, as in a container of ours.
        let same = |it: &Hierarchy| match (it, &hierarchy) {
            (Hierarchy::V1 { controllers: a, .. }, Hierarchy::V1 { controllers: b, .. }) => a == b,
            (Hierarchy::V2 { .. }, Hierarchy::V2 { .. }) => true,
            (Hierarchy::V1 { .. }, Hierarchy::V2 { .. }) | (Hierarchy::V2 { .. }, Hierarchy::V1 { .. }) => false,
        };
        if !res.iter().any(same) {
            res.push(hierarchy);
        }
    }
    for hierarchy in &mut res {
        if let Hierarchy::V2 { limits, .. } = hierarchy {
            *limits = !limited;
        }
    }
    res
}

impl Hierarchy {
    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        match self {
            Self::V1 { mount, .. } | Self::V2 { mount, .. } => mount,
        }
    }

    fn has(&self, controller: &str) -> bool {
        match self {
            Self::V1 { controllers, .. } => controllers.iter().any(|it| it == controller),
            Self::V2 { limits, .. } => *limits && matches!(controller, "memory" | "cpu" | "pids"),
        }
    }

    /// Makes one folder whose parent exists.
    pub(crate) fn make(&self, folder: &Path) -> Result<(), ImError> {
        match fs::create_dir(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(error).context(|| format!("make `{}`", folder.display())),
        }
        match self {
            Self::V1 { .. } if self.has("cpuset") => inherit_cpuset(folder),
            Self::V1 { .. } | Self::V2 { .. } => Ok(()),
        }
    }

    /// See [`crate::im::cgroup::Cgroups::delegate`]; also for all folders above, up to the root.
    pub(crate) fn delegate(&self, folder: &Path) -> Result<(), ImError> {
        let Self::V2 { mount, limits: true } = self else { return Ok(()) };
        let mut above: Vec<&Path> = folder.ancestors().take_while(|it| it.starts_with(mount)).collect();
        above.reverse();
        for folder in above {
            write(&folder.join("cgroup.subtree_control"), "+cpu +memory +pids")?;
        }
        Ok(())
    }

    /// See [`crate::im::cgroup::Cgroups::limit`].
    pub(crate) fn limit(&self, folder: &Path, resources: &Resources) -> Result<(), ImError> {
        let quota_us = resources.cpu_ms_per_second.saturating_mul(PERIOD_US / 1_000).max(QUOTA_US_MIN);
        let (memory, pids) = (resources.memory_bytes.to_string(), resources.pids.to_string());
        match self {
            Self::V1 { .. } => {
                if self.has("memory") {
                    write(&folder.join("memory.limit_in_bytes"), &memory)?;
                    // Swap would only delay the end. Absent where the kernel does not account for it.
                    write_if_there(&folder.join("memory.memsw.limit_in_bytes"), &memory)?;
                }
                if self.has("cpu") {
                    write(&folder.join("cpu.cfs_period_us"), &PERIOD_US.to_string())?;
                    write(&folder.join("cpu.cfs_quota_us"), &quota_us.to_string())?;
                }
                if self.has("pids") {
                    write(&folder.join("pids.max"), &pids)?;
                }
            }
            Self::V2 { limits: true, .. } => {
                write(&folder.join("memory.max"), &memory)?;
                write_if_there(&folder.join("memory.swap.max"), "0")?;
                write(&folder.join("cpu.max"), &format!("{quota_us} {PERIOD_US}"))?;
                write(&folder.join("pids.max"), &pids)?;
            }
            Self::V2 { limits: false, .. } => {}
        }
        Ok(())
    }

    /// Starts the killing of all processes of a folder as far as the hierarchy can do that by itself.
    pub(crate) fn kill(&self, folder: &Path) -> Result<(), ImError> {
        match self {
            Self::V1 { .. } if self.has("pids") => write_if_there(&folder.join("pids.max"), "0"),
            Self::V1 { .. } => Ok(()),
            // Absent before Linux 5.14; the caller then kills one by one.
            Self::V2 { .. } => write_if_there(&folder.join("cgroup.kill"), "1"),
        }
    }
}

/// A v1 cpuset begins empty and takes no process until it has processors and memory nodes.
fn inherit_cpuset(folder: &Path) -> Result<(), ImError> {
    let Some(parent) = folder.parent() else { return Ok(()) };
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let value = fs::read_to_string(parent.join(name)).context(|| format!("read `{name}`"))?;
        write(&folder.join(name), value.trim())?;
    }
    Ok(())
}

fn write(file: &Path, value: &str) -> Result<(), ImError> {
    fs::write(file, value).context(|| format!("write {value} to `{}`", file.display()))
}

fn write_if_there(file: &Path, value: &str) -> Result<(), ImError> {
    if file.exists() { write(file, value) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 31 0:38 / /elsewhere rw,relatime - cgroup2 cgroup2 rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
";

    #[test]
    fn hybrid_limits_in_v1_only() {
        let found = parse(HYBRID);
        assert_eq!(found.len(), 4);
        assert_eq!(found[3], Hierarchy::V2 { mount: "/sys/fs/cgroup/unified".into(), limits: false });
        assert!(found[1].has("memory") && !found[0].has("memory"));
    }

    #[test]
    fn pure_v2_limits_in_v2() {
        let found = parse("41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        assert_eq!(found, [Hierarchy::V2 { mount: "/sys/fs/cgroup".into(), limits: true }]);
    }

    #[test]
    fn v2_limits_are_written_as_the_kernel_reads_them() {
        let root = tempfile::tempdir().unwrap();
        let v2 = Hierarchy::V2 { mount: root.path().to_owned(), limits: true };
        let folder = root.path().join("a");
        v2.make(&folder).unwrap();
        fs::write(folder.join("memory.swap.max"), "max").unwrap();
        fs::write(folder.join("cgroup.kill"), "").unwrap();
        v2.delegate(&folder).unwrap();
        let resources = Resources { memory_bytes: 64 << 20, cpu_ms_per_second: 250, pids: 17 };
        v2.limit(&folder, &resources).unwrap();
        v2.kill(&folder).unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("memory.max"), "67108864");
        assert_eq!(read("memory.swap.max"), "0");
        assert_eq!(read("cpu.max"), "25000 100000");
        assert_eq!(read("pids.max"), "17");
        assert_eq!(read("cgroup.kill"), "1");
        assert_eq!(read("cgroup.subtree_control"), "+cpu +memory +pids");
        assert_eq!(fs::read_to_string(root.path().join("cgroup.subtree_control")).unwrap(), "+cpu +memory +pids");
    }
}

//! The OCI configuration of an instance's container: every namespace, few capabilities, a seccomp allow-list.

use std::{collections::BTreeMap, path::Path};

use oci_spec::runtime::{LinuxSeccomp, Process as OciProcess, Spec};
use serde_json::{Value, json};

use crate::im::ImError;

/// User ids of one instance; id 0 inside is `uid_base` outside.
pub const RANGE: u32 = 65_536;

/// What root inside may do to what is the instance's own. It lies in a user namespace, so none of these reaches the host.
///
/// - `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`: package managers and the agent arrange files and terminals of other users;
/// - `SETUID`, `SETGID`: the agent becomes the job's user, as does every `su`-like start script;
/// - `KILL`: root ends processes of the job's user;
/// - `NET_BIND_SERVICE`: ports below 1024 for programs that look for the capability.
///
/// Left out on purpose: `MKNOD`, `NET_RAW`, `SETFCAP`, `SETPCAP`, `SYS_CHROOT`, `AUDIT_WRITE`, which others grant, and all more.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETUID",
];

/// What `PATH` is for a job that does not set it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A process of a container, ids as seen inside.
#[derive(Debug, Clone)]
pub struct ContainerProcess<'a> {
    /// Program and arguments; not empty.
    pub arguments: Vec<String>,
    /// Environment.
    pub environment: &'a BTreeMap<String, String>,
    /// Absolute.
    pub working_directory: &'a str,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Everything of a container that differs from instance to instance.
#[derive(Debug, Clone)]
pub struct Container<'a> {
    /// First process.
    pub process: ContainerProcess<'a>,
    /// Mounted root file system.
    pub root: &'a Path,
    /// A sysfs of the instance's own network namespace.
    pub sys: &'a Path,
    /// Folder with `hosts`, `hostname` and `resolv.conf`.
    pub etc: &'a Path,
    /// Inside: `web-3f2a`.
    pub hostname: &'a str,
    /// Absolute, as the cgroup hierarchies see it.
    pub cgroup: &'a str,
    /// The user namespace, which has the mapping that `uid_base` says.
    pub user_namespace: &'a Path,
    /// The network namespace, which belongs to the user namespace.
    pub network_namespace: &'a Path,
    /// Outside id of user 0.
    pub uid_base: u32,
    /// Bytes of `/dev/shm`.
    pub shared_memory_bytes: u64,
}

/// The seccomp profile: an allow-list; all else fails with `EPERM`, `clone3` with `ENOSYS` so that libc falls back.
const SECCOMP: &str = include_str!("seccomp.json");

/// The container's `config.json`.
pub fn container(container: &Container<'_>) -> Result<Spec, ImError> {
    let value = json!({
        "ociVersion": "1.0.2",
        "process": process_value(&container.process)?,
        "root": { "path": container.root, "readonly": false },
        "hostname": container.hostname,
        "mounts": mounts(container),
        "linux": linux(container)?,
    });
    serde_json::from_value(value).map_err(|error| ImError::Unusable(format!("container configuration: {error}")))
}

/// The process of a `runc exec`.
pub fn process(process: &ContainerProcess<'_>) -> Result<OciProcess, ImError> {
    serde_json::from_value(process_value(process)?)
        .map_err(|error| ImError::Unusable(format!("process configuration: {error}")))
}

fn process_value(process: &ContainerProcess<'_>) -> Result<Value, ImError> {
    if process.arguments.is_empty() {
        return Err(ImError::Unusable("no command to run".to_owned()));
    }
    if !process.working_directory.starts_with('/') {
        return Err(ImError::Unusable(format!("working directory `{}` is not absolute", process.working_directory)));
    }
    let texts = process.arguments.iter().map(String::as_str).chain([process.working_directory]);
    if texts.chain(process.environment.values().map(String::as_str)).any(|it| it.contains('\0')) {
        return Err(ImError::Unusable("a zero byte in the command, environment or working directory".to_owned()));
    }
    Ok(json!({
        "terminal": false,
        "user": { "uid": process.uid, "gid": process.gid, "additionalGids": process.groups },
        "args": process.arguments,
        "env": environment(process.environment)?,
        "cwd": process.working_directory,
        "capabilities": {
            "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            "inheritable": [], "ambient": [],
        },
        // rlimits are the host's: raising one needs CAP_SYS_RESOURCE, which not every host's root has.
        "noNewPrivileges": true,
    }))
}

fn environment(given: &BTreeMap<String, String>) -> Result<Vec<String>, ImError> {
    let mut res = Vec::new();
    if !given.contains_key("PATH") {
        res.push(format!("PATH={PATH}"));
    }
    for (name, value) in given {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(ImError::Unusable(format!("`{}` is no name of an environment variable", name.escape_debug())));
        }
        res.push(format!("{name}={value}"));
    }
    Ok(res)
}

fn mounts(container: &Container<'_>) -> Value {
    let shm = format!("size={}", container.shared_memory_bytes);
    let file = |name: &str| {
        json!({
            "destination": format!("/etc/{name}"), "type": "bind", "source": container.etc.join(name),
            "options": ["bind", "ro", "nosuid", "nodev", "noexec"],
        })
    };
    json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
          "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
          "options": ["nosuid", "noexec", "nodev", "mode=1777", shm] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] },
        // A ready one is bound: inside it could not be mounted, for the runtime has hidden parts of the host's.
        { "destination": "/sys", "type": "bind", "source": container.sys,
          "options": ["rbind", "ro", "nosuid", "noexec", "nodev"] },
        file("hosts"), file("hostname"), file("resolv.conf"),
    ])
}

fn linux(container: &Container<'_>) -> Result<Value, ImError> {
    let mapping = json!([{ "containerID": 0, "hostID": container.uid_base, "size": RANGE }]);
    Ok(json!({
        "uidMappings": mapping,
        "gidMappings": mapping,
        "namespaces": [
            { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" },
            { "type": "user", "path": container.user_namespace },
            { "type": "network", "path": container.network_namespace },
        ],
        // Memory, processor and process limits lie on the cgroup `app` below this one, not here: see `im::cgroup`.
        "cgroupsPath": container.cgroup,
        "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        "seccomp": seccomp()?,
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
            "/sys/devices/virtual/powercap", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }))
}

fn seccomp() -> Result<LinuxSeccomp, ImError> {
    serde_json::from_str(SECCOMP).map_err(|error| ImError::Unusable(format!("seccomp profile: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(environment: &BTreeMap<String, String>) -> ContainerProcess<'_> {
        let arguments = vec!["/bin/true".to_owned()];
        ContainerProcess { arguments, environment, working_directory: "/", uid: 0, gid: 0, groups: Vec::new() }
    }

    #[test]
    fn profile_refuses_by_default_and_lists_nothing_dangerous() {
        let profile = seccomp().unwrap();
        assert_eq!(profile.default_action(), oci_spec::runtime::LinuxSeccompAction::ScmpActErrno);
        let allowed: Vec<&str> = profile
            .syscalls()
            .iter()
            .flatten()
            .flat_map(oci_spec::runtime::LinuxSyscall::names)
            .map(String::as_str)
            .collect();
        let dangerous = [
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "keyctl",
            "add_key",
            "request_key",
            "unshare",
            "setns",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "kexec_load",
            "kexec_file_load",
            "init_module",
            "finit_module",
            "delete_module",
            "reboot",
            "swapon",
            "open_by_handle_at",
            "io_uring_setup",
            "pidfd_getfd",
            "move_mount",
            "open_tree",
            "fsopen",
            "fsmount",
            "mount_setattr",
            "acct",
            "settimeofday",
            "clock_settime",
            "sethostname",
            "quotactl",
            "lookup_dcookie",
            "iopl",
            "ioperm",
            "vhangup",
        ];
        for name in dangerous {
            assert!(!allowed.contains(&name), "{name}");
        }
        for name in ["pidfd_open", "pidfd_send_signal", "memfd_create", "rseq", "execve"] {
            assert!(allowed.contains(&name), "{name}");
        }
    }

    #[test]
    fn every_namespace_is_the_containers_own() {
        let environment = BTreeMap::new();
        let spec = container(&Container {
            process: sample(&environment),
            root: Path::new("/r"),
            sys: Path::new("/s"),
            etc: Path::new("/e"),
            hostname: "h",
            cgroup: "/c",
            user_namespace: Path::new("/u"),
            network_namespace: Path::new("/n"),
            uid_base: 1_000_000,
            shared_memory_bytes: 1,
        })
        .unwrap();
        let linux = spec.linux().as_ref().unwrap();
        assert_eq!(linux.namespaces().as_ref().unwrap().len(), 7);
        assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 1_000_000);
        assert_eq!(spec.process().as_ref().unwrap().no_new_privileges(), Some(true));
    }

    #[test]
    fn hostile_process_settings_are_refused() {
        let empty = BTreeMap::new();
        let bad = [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")];
        for (name, value) in bad {
            let environment = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert!(process(&sample(&environment)).is_err(), "{name:?}");
        }
        assert!(process(&ContainerProcess { arguments: Vec::new(), ..sample(&empty) }).is_err());
        assert!(process(&ContainerProcess { working_directory: "etc", ..sample(&empty) }).is_err());
    }
}

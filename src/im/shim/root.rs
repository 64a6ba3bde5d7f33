//! The instance's root file system and network namespace, made in a mount namespace that only its own processes see.
//!
//! Nothing is mounted in the host's mount namespace, so nothing can be left there: when the last process of the
//! instance is gone, so are its mounts and its network.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change, move_mount,
        open_tree,
    },
    process::{Pid, Signal, WaitOptions, kill_process, waitpid},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use crate::{
    im::{ImError, error::Context, runtime::spec::RANGE, shim::files::Files},
    wire::shim::ShimSpecification,
};

/// Folders that every Linux has and that hold nothing we need: one of them is covered in our mount namespace.
const COVERED: &[&str] = &["/mnt", "/srv", "/media", "/opt", "/run"];

/// Bytes read of a file of the image's.
const IMAGE_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where everything is, in this process's mount namespace.
#[derive(Debug)]
pub struct Root {
    place: PathBuf,
}

impl Root {
    /// Enters namespaces of its own and mounts everything. The process must have one thread only.
    pub fn prepare(specification: &ShimSpecification, files: &Files, hostname: &str) -> Result<Self, ImError> {
        // SAFETY: the flag concerns neither descriptors nor memory; with one thread no other is surprised.
        #[expect(unsafe_code, reason = "rustix cannot know which flags are harmless")]
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
            .context(|| "enter a new mount namespace".to_owned())?;
        // What the host unmounts we let go of; what we mount the host never sees.
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .context(|| "separate mounts from the host's".to_owned())?;
        let place = cover(specification, files)?;
        let root = Self { place };
        let namespace = root.make_namespaces(specification.uid_base)?;
        root.mount_layers(specification, files, &namespace)?;
        root.mount_sys()?;
        root.write_etc(specification, hostname)?;
        Ok(root)
    }

    /// The mounted root file system.
    pub fn path(&self) -> PathBuf {
        self.place.join("root")
    }

    /// The instance's user namespace.
    pub fn user_namespace(&self) -> PathBuf {
        self.place.join("user")
    }

    /// The instance's network namespace, in which this process is too.
    pub fn network_namespace(&self) -> PathBuf {
        self.place.join("net")
    }

    /// A sysfs of our network namespace.
    pub fn sys(&self) -> PathBuf {
        self.place.join("sys")
    }

    /// Folder with `hosts`, `hostname` and `resolv.conf`.
    pub fn etc(&self) -> PathBuf {
        self.place.join("etc")
    }

    /// Whether the image has `/bin/sh`.
    pub fn has_shell(&self) -> bool {
        let Ok(file) = self.resolve("bin/sh", OFlags::PATH) else { return false };
        fstat(&file).is_ok_and(|it| it.st_mode & 0o170_000 == 0o100_000 && it.st_mode & 0o111 != 0)
    }

    /// A file of the image's; `None` if there is none.
    pub fn read(&self, path: &str) -> Option<String> {
        // A fifo of that name would block without `NONBLOCK`.
        let file = File::from(self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?);
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || IMAGE_FILE_BYTES_MAX < metadata.len() {
            return None;
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, IMAGE_FILE_BYTES_MAX), &mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Every link of the image is followed inside of the image only.
    fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let root = openat(CWD, self.path(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// Makes the instance's user and network namespaces, which outlive any one container, and enters the latter.
    ///
    /// The runtime joins the user namespace first, and from there can only join a network namespace that belongs to it.
    fn make_namespaces(&self, uid_base: u32) -> Result<OwnedFd, ImError> {
        let what = || "make the instance's namespaces".to_owned();
        let holder = Holder::start(uid_base).context(what)?;
        for (kind, path) in [("user", self.user_namespace()), ("net", self.network_namespace())] {
            File::create(&path).context(what)?;
            mount_bind(holder.namespace(kind), &path).context(what)?;
        }
        let network = File::open(self.network_namespace()).context(what)?;
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).context(what)?;
        File::open(self.user_namespace()).map(OwnedFd::from).context(what)
    }

    fn mount_layers(
        &self,
        specification: &ShimSpecification,
        files: &Files,
        namespace: &OwnedFd,
    ) -> Result<(), ImError> {
        let mut lower = Vec::new();
        for (number, layer) in specification.layers.iter().enumerate() {
            let target = self.folder(&format!("l{number}"))?;
            mount_layer(layer, &target, namespace)?;
            lower.push(target.display().to_string());
        }
        lower.reverse(); // Overlayfs wants the highest first.
        let (upper, work) = (files.upper(), files.work());
        for folder in [&upper, &work] {
            chown(folder, Some(specification.uid_base), Some(specification.uid_base))
                .context(|| format!("give `{}` away", folder.display()))?;
        }
        rustix::fs::chmod(&upper, 0o755.into()).context(|| format!("open `{}`", upper.display()))?;
        // By descriptor: a path may have commas and colons, which mean something in these options.
        let open = |path: &Path| File::open(path).context(|| format!("open `{}`", path.display()));
        let (upper, work) = (open(&upper)?, open(&work)?);
        let options = format!(
            "lowerdir={},upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}",
            lower.join(":"),
            upper.as_raw_fd(),
            work.as_raw_fd()
        );
        let options = std::ffi::CString::new(options).map_err(|error| ImError::Unusable(error.to_string()))?;
        let target = self.folder("root")?;
        mount("overlay", &target, "overlay", MountFlags::NODEV | MountFlags::NOSUID, options.as_c_str())
            .context(|| "mount the root file system".to_owned())
    }

    fn mount_sys(&self) -> Result<(), ImError> {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let target = self.folder("sys")?;
        mount("sysfs", &target, "sysfs", flags, None).context(|| "mount sysfs".to_owned())
    }

    fn write_etc(&self, specification: &ShimSpecification, hostname: &str) -> Result<(), ImError> {
        let folder = self.folder("etc")?;
        let hosts = format!("127.0.0.1 localhost\n{} {hostname}\n", specification.address);
        let resolv = "# Instances reach no other host, so there is no name server.\n".to_owned();
        for (name, text) in [("hosts", hosts), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolv)] {
            let path = folder.join(name);
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)))
                .and_then(|()| chown(&path, Some(specification.uid_base), Some(specification.uid_base)))
                .context(|| format!("write `{}`", path.display()))?;
        }
        Ok(())
    }

    /// Makes a folder that the instance's user 0, a stranger to the host, may pass.
    fn folder(&self, name: &str) -> Result<PathBuf, ImError> {
        let path = self.place.join(name);
        fs::create_dir(&path)
            .and_then(|()| fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)))
            .context(|| format!("make `{}`", path.display()))?;
        Ok(path)
    }
}

/// Mounts a small tmpfs whose path anyone may pass; the manager's state is for root only, and the runtime, once it has
/// entered the user namespace, is nobody on the host.
fn cover(specification: &ShimSpecification, files: &Files) -> Result<PathBuf, ImError> {
    let needed = specification.layers.iter().chain([&specification.runtime, &specification.agent]);
    let needed: Vec<PathBuf> =
        needed.map(PathBuf::as_path).chain([files.folder()]).filter_map(|it| it.canonicalize().ok()).collect();
    let free = |it: &&Path| it.is_dir() && !needed.iter().any(|path| path.starts_with(it));
    let place = COVERED.iter().map(Path::new).find(free);
    let place = place.ok_or_else(|| ImError::Unusable(format!("none of {} can be mounted on", COVERED.join(" "))))?;
    mount("tmpfs", place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=4m")
        .context(|| format!("mount on `{}`", place.display()))?;
    Ok(place.to_owned())
}

/// Binds a layer so that user 0 of its files is the instance's user 0 (idmapped mounts, `mount_setattr(2)`), read-only.
fn mount_layer(layer: &Path, target: &Path, namespace: &OwnedFd) -> Result<(), ImError> {
    let what = || format!("mount layer `{}`", layer.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, layer, flags).context(what)?;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP | libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(namespace.as_raw_fd()).unwrap_or(u64::MAX),
    };
    // SAFETY: the path is empty and terminated, the attributes live through the call and are of the size that is told.
    #[expect(unsafe_code, reason = "rustix does not have this call")]
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error()).context(what);
    }
    move_mount(tree.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).context(what)
}

/// A process that does nothing but be in a new user namespace, with the instance's mapping, and in a new network
/// namespace that belongs to it. It is killed when dropped.
struct Holder {
    process: i64,
}

impl Holder {
    fn start(uid_base: u32) -> io::Result<Self> {
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::SIGCHLD;
        let flags = u64::try_from(flags).unwrap_or_default();
        // SAFETY: like fork; this process has one thread, and the child makes only the two system calls below.
        #[expect(unsafe_code, reason = "a namespace needs a process to be made by")]
        let process = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if process == 0 {
            // SAFETY: system calls without memory; the child dies with us or is killed.
            #[expect(unsafe_code, reason = "after fork nothing but system calls is allowed")]
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::pause();
                }
            }
        }
        if process < 0 {
            return Err(io::Error::last_os_error());
        }
        let holder = Self { process };
        for kind in ["uid", "gid"] {
            fs::write(format!("/proc/{process}/{kind}_map"), format!("0 {uid_base} {RANGE}\n"))?;
        }
        Ok(holder)
    }

    fn namespace(&self, kind: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{kind}", self.process))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.process).ok().and_then(Pid::from_raw) {
            let _gone = kill_process(pid, Signal::KILL);
            let _status = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

//! The SSH server inside the instance, from outside: started by the runtime, told what it needs, believed nothing.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{IoSliceMut, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
        recvmsg, send, socketpair,
    },
    process::Pid,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    im::{
        ImError,
        cgroup::{AGENT, Cgroups, SSH},
        error::Context,
        process::{Process, namespace, pid_of, watch},
        runtime::{
            Descriptors, Runtime,
            spec::{self, ContainerProcess},
        },
        shim::{
            files::{Files, write_json},
            log::Log,
        },
    },
    wire::agent::{AGENT_PACKET_BYTES_MAX, FromAgent, ToAgent},
};

/// Sessions of one instance at a time.
const SESSIONS_MAX: usize = 64;

/// Path by which a process runs the program that it has at descriptor 3.
pub const IMAGE: &str = "/proc/self/fd/3";

/// The agent's program in memory, sealed: nobody inside can rewrite it, and nothing need be mounted.
pub fn image(path: &Path) -> Result<OwnedFd, ImError> {
    let what = || format!("load `{}`", path.display());
    let program = std::fs::read(path).context(what)?;
    let image = memfd_create("apc-agent", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).context(what)?;
    let mut file = File::from(image);
    file.write_all(&program).context(what)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals).context(what)?;
    Ok(file.into())
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    control: AsyncFd<OwnedFd>,
}

/// What starting an agent takes.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// By which runtime.
    pub runtime: &'a dyn Runtime,
    /// In which container.
    pub id: &'a str,
    /// The instance's folder.
    pub files: &'a Files,
    /// Its cgroups.
    pub cgroups: &'a Cgroups,
    /// [`image`].
    pub image: &'a OwnedFd,
    /// Bound to port 222 in the instance.
    pub listener: &'a OwnedFd,
    /// For what it writes.
    pub log: &'a Log,
}

impl Agent {
    /// Starts one and tells it what it needs.
    pub async fn start(start: Start<'_>, first: &ToAgent) -> Result<Self, ImError> {
        let what = || "prepare the agent's descriptors".to_owned();
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).context(what)?;
        rustix::io::ioctl_fionbio(&ours, true).context(what)?;
        let process = start.files.bundle().join("agent.json");
        write_json(&process, &spec::process(&container_process())?)?;
        let (stderr, _reader) = start.log.pipe()?;
        let copy = |it: &OwnedFd| it.try_clone().context(what);
        let more = vec![copy(start.image)?, copy(start.listener)?, theirs];
        let pid =
            start.runtime.exec(start.id, &process, AGENT, Descriptors { stdout: copy(&stderr)?, stderr, more }).await?;
        let process = Process::open(pid)?.ok_or_else(|| ImError::Unusable("the agent ended at once".to_owned()))?;
        // The runtime knows only of the hierarchies that it manages itself.
        start.cgroups.place(AGENT, pid)?;
        let control = watch(ours, Interest::READABLE).context(what)?;
        let agent = Self { process, control };
        agent.send(first)?;
        Ok(agent)
    }

    /// Comes back when it has ended.
    pub async fn ended(&self) {
        self.process.ended().await;
    }

    /// Frees its process number once it has ended.
    pub fn reap(&self) {
        self.process.reap();
    }

    /// Tells it something. It must always have room for a packet: one that does not read is broken.
    pub fn send(&self, message: &ToAgent) -> Result<(), ImError> {
        let text = serde_json::to_vec(message).map_err(|error| ImError::Unusable(error.to_string()))?;
        if AGENT_PACKET_BYTES_MAX < text.len() {
            return Err(ImError::Unusable("the job's environment is too large for the agent".to_owned()));
        }
        send(self.control.get_ref(), &text, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            .map(drop)
            .context(|| "speak to the agent".to_owned())
    }

    /// The next thing it says; an error if it is nonsense, or the agent is gone.
    pub async fn receive(&self) -> Result<(FromAgent, Vec<OwnedFd>), ImError> {
        let what = || "listen to the agent".to_owned();
        let received = self.control.async_io(Interest::READABLE, |socket| Ok(receive(socket)?)).await;
        let (bytes, descriptors) = received.context(what)?;
        if bytes.is_empty() {
            return Err(ImError::Protocol("the agent has closed its socket".to_owned()));
        }
        let message =
            serde_json::from_slice(&bytes).map_err(|_| ImError::Protocol("the agent talks nonsense".to_owned()))?;
        Ok((message, descriptors))
    }
}

fn receive(socket: &OwnedFd) -> rustix::io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; AGENT_PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}

/// Root inside, so that it can become the job's user; it gets nothing of the job's environment this way.
fn container_process() -> ContainerProcess<'static> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let arguments = vec![IMAGE.to_owned()];
    ContainerProcess { arguments, environment: &NONE, working_directory: "/", uid: 0, gid: 0, groups: Vec::new() }
}

/// A session's name as a folder's.
pub fn session_folder(session: &str) -> Result<String, String> {
    let good = (1..=64).contains(&session.len())
        && session.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
        && session != "agent";
    if good { Ok(format!("{SSH}/{session}")) } else { Err("no session id".to_owned()) }
}

/// Moves the process behind a pidfd into a session's cgroup, if it is the agent's own child.
///
/// The agent may be hostile. Only a process of this container's process namespace that is in the agent's cgroup is
/// moved, and it is looked at again afterwards: a pidfd whose process still has the number then had it all the time.
pub fn enter(cgroups: &Cgroups, first: Pid, session: &str, descriptors: &[OwnedFd]) -> Result<(), String> {
    let folder = session_folder(session)?;
    let [descriptor] = descriptors else { return Err("there must be one descriptor".to_owned()) };
    let pid = pid_of(descriptor).ok_or("no living process")?;
    let same = |pid| matches!((namespace(pid, "pid"), namespace(first, "pid")), (Ok(a), Ok(b)) if a == b);
    if !same(pid) || !cgroups.holds(AGENT, pid) {
        return Err("not a process of the agent".to_owned());
    }
    let sessions = cgroups.children(SSH);
    if SESSIONS_MAX < sessions.len() && !sessions.contains(session) {
        return Err("too many sessions".to_owned());
    }
    cgroups.make(&folder).and_then(|()| cgroups.place(&folder, pid)).map_err(|error| error.to_string())?;
    if pid_of(descriptor) != Some(pid) {
        // It died between the two looks, and its number could have become another's.
        return Err("the process has ended".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_session_ids_become_folders() {
        assert_eq!(session_folder("api-1-0f").unwrap(), "ssh/api-1-0f");
        for bad in ["", "agent", "a/b", "..", ".", "a.b", "a b", "ä", &"x".repeat(65)] {
            assert!(session_folder(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn image_cannot_be_rewritten() {
        let image = image(Path::new("/proc/self/exe")).unwrap();
        assert!(rustix::io::write(&image, b"x").is_err());
        assert!(rustix::fs::ftruncate(&image, 0).is_err());
    }
}

//! Processes by descriptor, so that a reused number is never taken for the process that had it.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::{Interest, unix::AsyncFd};

use crate::im::{ImError, error::Context};

/// A process that exists, or at least still did when this was made.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    descriptor: AsyncFd<OwnedFd>,
}

impl Process {
    /// The process that has this number now; `None` if there is none.
    pub fn open(pid: Pid) -> Result<Option<Self>, ImError> {
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(descriptor) => {
                let descriptor = watch(descriptor, Interest::READABLE).context(|| "watch a process".to_owned())?;
                Ok(Some(Self { pid, descriptor }))
            }
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => Ok(None),
            Err(error) => Err(error).context(|| format!("open process {}", pid.as_raw_nonzero())),
        }
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; that it has ended is no error.
    pub fn signal(&self, signal: Signal) {
        let _gone = pidfd_send_signal(self.descriptor.get_ref(), signal);
    }

    /// Comes back when it has ended.
    pub async fn ended(&self) {
        // An error means that the runtime is going down; then nobody waits for the answer.
        drop(self.descriptor.readable().await);
    }

    /// Exit status of a child that has ended, as a shell would say it: 128 + N for death by signal N.
    pub fn reap(&self) -> Option<i32> {
        let status = waitid(WaitId::PidFd(self.descriptor.get_ref().as_fd()), WaitIdOptions::EXITED).ok()??;
        status.exit_status().or_else(|| status.terminating_signal().map(|it| it.saturating_add(128)))
    }
}

/// Lets tasks wait for a descriptor, which must not block.
pub(crate) fn watch(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open for its whole life and never becomes another.
    #[expect(unsafe_code, reason = "tokio cannot know that of every type with a descriptor")]
    let res = unsafe { AsyncFd::register_with_interest(descriptor, interest) };
    Ok(res?)
}

/// The process that a pidfd stands for, in our own numbers; `None` if it is no pidfd, or of a process that is gone.
///
/// The kernel writes the number into `fdinfo`; for a process outside of our namespace it is 0, for a reaped one -1.
pub fn pid_of(descriptor: &OwnedFd) -> Option<Pid> {
    let number = descriptor.as_raw_fd();
    let kind = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
    let kind = kind.to_str()?;
    if kind != "anon_inode:[pidfd]" && !kind.starts_with("pidfd:") {
        return None;
    }
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let pid: i32 = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    if pid < 1 {
        return None;
    }
    Pid::from_raw(pid)
}

/// Identity of a process's namespace of one kind (`pid`, `net`, ...).
pub fn namespace(pid: Pid, kind: &str) -> io::Result<std::path::PathBuf> {
    fs::read_link(format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero()))
}

/// Whether a process catches a signal; what a namespace's first process does not catch never reaches it.
pub fn catches(pid: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let bit = u32::try_from(signal.as_raw()).ok().and_then(|it| it.checked_sub(1)).and_then(|it| 1_u64.checked_shl(it));
    let caught = |name| mask(name).zip(bit).is_some_and(|(mask, bit)| mask & bit != 0);
    // A blocked signal may be taken by `sigwait` or a signalfd.
    caught("SigCgt:") || caught("SigBlk:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "`reap` is what waits, and what is tested")]
    async fn exit_status_of_a_child_is_told_once() {
        let child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let process = Process::open(pid).unwrap().unwrap();
        process.ended().await;
        assert_eq!(process.reap(), Some(7));
        assert!(Process::open(pid).unwrap().is_none());
    }

    #[tokio::test]
    #[expect(clippy::zombie_processes, reason = "`reap` is what waits, and what is tested")]
    async fn death_by_signal_is_128_and_the_signal() {
        let child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let process = Process::open(pid).unwrap().unwrap();
        process.signal(Signal::KILL);
        process.ended().await;
        assert_eq!(process.reap(), Some(137));
    }

    #[test]
    fn only_a_pidfd_of_a_living_process_names_one() {
        let me = rustix::process::getpid();
        let pidfd = pidfd_open(me, PidfdFlags::empty()).unwrap();
        assert_eq!(pid_of(&pidfd), Some(me));
        let file: OwnedFd = fs::File::open("/proc/self/status").unwrap().into();
        assert_eq!(pid_of(&file), None);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        assert_eq!(pid_of(&pidfd), None);
    }
}

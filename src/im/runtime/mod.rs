//! What the shim asks of an OCI runtime, whichever it is.

use std::{ffi::OsString, fmt, os::fd::OwnedFd, path::Path, pin::Pin};

use rustix::process::{Pid, Signal};

use crate::im::ImError;

pub mod probe;
pub mod program;
pub mod runc;
pub mod spec;

pub use runc::Runc;

/// A future of a runtime's.
pub type RuntimeFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ImError>> + Send + 'a>>;

/// What a container's process gets at its descriptors.
#[derive(Debug)]
pub struct Descriptors {
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
    /// Descriptors 3, 4, ...; the caller's own 3 to 9 must be reserved, so that none of them is overwritten.
    pub more: Vec<OwnedFd>,
}

/// State of a container as the runtime tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, its process not yet started.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended.
    Stopped,
}

/// An OCI runtime. Containers are named by the instance's uuid.
pub trait Runtime: Send + Sync + fmt::Debug + 'static {
    /// Makes a container of the bundle's `config.json`; its first process waits for `start`. Answers that process.
    fn create<'a>(&'a self, id: &'a str, bundle: &'a Path, descriptors: Descriptors) -> RuntimeFuture<'a, Pid>;

    /// Lets the first process run the bundle's program.
    fn start<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, ()>;

    /// Runs one more process in a container, in the cgroup `cgroup` below the container's; `process` is a file with the
    /// OCI process. Answers the process once it has been started; it becomes a child of the caller's subreaper.
    fn exec<'a>(
        &'a self,
        id: &'a str,
        process: &'a Path,
        cgroup: &'a str,
        descriptors: Descriptors,
    ) -> RuntimeFuture<'a, Pid>;

    /// Sends a signal to the first process.
    fn signal<'a>(&'a self, id: &'a str, signal: Signal) -> RuntimeFuture<'a, ()>;

    /// Kills what is left of a container and forgets it; that there is none is no error.
    fn delete<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, ()>;

    /// The container's state; `None` if there is none.
    fn state<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, Option<ContainerState>>;
}

/// Arguments of a program, from anything.
pub(crate) fn arguments<const N: usize>(words: [&dyn AsRef<std::ffi::OsStr>; N]) -> Vec<OsString> {
    words.iter().map(|it| it.as_ref().to_owned()).collect()
}

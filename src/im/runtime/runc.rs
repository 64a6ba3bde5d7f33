//! `runc` (and `crun`, whose command line is the same) behind the trait.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::process::{Pid, Signal};

use crate::im::{
    ImError,
    error::Context,
    runtime::{ContainerState, Descriptors, Runtime, RuntimeFuture, arguments, program},
};

/// The runtime as a program, with a folder of its own for its state.
#[derive(Debug)]
pub struct Runc {
    program: PathBuf,
    folder: PathBuf,
    calls: AtomicU64,
}

impl Runc {
    /// `folder` holds the runtime's state and must be the same for all calls about one container.
    pub fn new(program: PathBuf, folder: PathBuf) -> Self {
        Self { program, folder, calls: AtomicU64::new(0) }
    }

    /// A file name in the folder that no other call uses.
    fn scratch(&self, kind: &str) -> PathBuf {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{kind}-{}-{call}", std::process::id()))
    }

    fn globals(&self, log: Option<&Path>) -> Vec<OsString> {
        let mut words = arguments([&"--root", &self.folder]);
        if let Some(log) = log {
            words.extend(arguments([&"--log", &log, &"--log-format", &"json"]));
        }
        words
    }

    async fn call(&self, words: Vec<OsString>) -> Result<Vec<u8>, ImError> {
        let mut all = self.globals(None);
        all.extend(words);
        program::run(&self.program, all, b"").await
    }

    /// Runs `create` or `exec`, whose process keeps the descriptors, and reads which process it is.
    async fn launch(&self, mut words: Vec<OsString>, id: &str, descriptors: Descriptors) -> Result<Pid, ImError> {
        fs::create_dir_all(&self.folder).context(|| format!("make `{}`", self.folder.display()))?;
        let (log, pid_file) = (self.scratch("log"), self.scratch("pid"));
        let count = descriptors.more.len().to_string();
        words.extend(arguments([&"--pid-file", &pid_file, &"--preserve-fds", &count, &id]));
        let mut all = self.globals(Some(&log));
        all.append(&mut words);
        let done = program::hand_over(&self.program, all, descriptors, &log).await;
        let text = fs::read_to_string(&pid_file);
        drop(fs::remove_file(&pid_file));
        done?;
        let text = text.context(|| format!("read `{}`", pid_file.display()))?;
        text.trim()
            .parse()
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| ImError::Damaged { path: pid_file, message: "it holds no process id".to_owned() })
    }
}

impl Runtime for Runc {
    fn create<'a>(&'a self, id: &'a str, bundle: &'a Path, descriptors: Descriptors) -> RuntimeFuture<'a, Pid> {
        Box::pin(self.launch(arguments([&"create", &"--bundle", &bundle]), id, descriptors))
    }

    fn start<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, ()> {
        Box::pin(async move { self.call(arguments([&"start", &id])).await.map(drop) })
    }

    fn exec<'a>(
        &'a self,
        id: &'a str,
        process: &'a Path,
        cgroup: &'a str,
        descriptors: Descriptors,
    ) -> RuntimeFuture<'a, Pid> {
        let words = arguments([&"exec", &"--detach", &"--process", &process, &"--cgroup", &cgroup]);
        Box::pin(self.launch(words, id, descriptors))
    }

    fn signal<'a>(&'a self, id: &'a str, signal: Signal) -> RuntimeFuture<'a, ()> {
        let number = signal.as_raw().to_string();
        Box::pin(async move { self.call(arguments([&"kill", &id, &number])).await.map(drop) })
    }

    fn delete<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, ()> {
        Box::pin(async move {
            if !self.folder.join(id).exists() {
                return Ok(());
            }
            self.call(arguments([&"delete", &"--force", &id])).await.map(drop)
        })
    }

    fn state<'a>(&'a self, id: &'a str) -> RuntimeFuture<'a, Option<ContainerState>> {
        Box::pin(async move {
            if !self.folder.join(id).exists() {
                return Ok(None);
            }
            let text = self.call(arguments([&"state", &id])).await?;
            let state: oci_spec::runtime::State = serde_json::from_slice(&text)
                .map_err(|error| ImError::Protocol(format!("state of `{id}`: {error}")))?;
            Ok(match state.status() {
                oci_spec::runtime::ContainerState::Creating | oci_spec::runtime::ContainerState::Created => {
                    Some(ContainerState::Created)
                }
                oci_spec::runtime::ContainerState::Running => Some(ContainerState::Running),
                oci_spec::runtime::ContainerState::Stopped => Some(ContainerState::Stopped),
            })
        })
    }
}

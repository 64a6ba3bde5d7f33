//! The folder of one instance, as manager and shim both see it.

use std::{
    fs, io,
    io::Write,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::{Serialize, de::DeserializeOwned};

use crate::im::{ImError, error::Context};

/// Folder of an instance in the manager's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Of this folder, which need not exist.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder, for root only.
    pub fn make(&self) -> Result<(), ImError> {
        for folder in [self.folder.clone(), self.upper(), self.work(), self.bundle(), self.runtime()] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.context(|| format!("make `{}`", folder.display()))?;
        }
        Ok(())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the shim is to run.
    pub fn specification(&self) -> PathBuf {
        self.folder.join("spec.json")
    }

    /// What only the manager must remember: the public port.
    pub fn manager(&self) -> PathBuf {
        self.folder.join("manager.json")
    }

    /// Last status, written when nothing runs any more.
    pub fn ended(&self) -> PathBuf {
        self.folder.join("ended.json")
    }

    /// Held by the living shim.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// The shim's own complaints.
    pub fn complaints(&self) -> PathBuf {
        self.folder.join("shim.log")
    }

    /// What the main process writes to its standard output and error.
    pub fn output(&self) -> PathBuf {
        self.folder.join("output.log")
    }

    /// What the agent writes.
    pub fn agent_output(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    /// The OCI bundle.
    pub fn bundle(&self) -> PathBuf {
        self.folder.join("bundle")
    }

    /// The OCI runtime's state.
    pub fn runtime(&self) -> PathBuf {
        self.folder.join("runtime")
    }

    /// What the instance has written.
    pub fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Overlayfs's own folder.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Path of the shim's socket through a descriptor of the folder, because a socket's path may have 107 bytes only.
    pub fn socket(&self) -> Result<(OwnedFd, PathBuf), ImError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, &self.folder, flags, Mode::empty());
        let folder = folder.context(|| format!("open `{}`", self.folder.display()))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/shim.sock", folder.as_raw_fd()));
        Ok((folder, path))
    }
}

/// Writes a value beside and renames, so that nobody ever reads half of it.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ImError> {
    let text = serde_json::to_vec(value).map_err(|error| ImError::Unusable(error.to_string()))?;
    let beside = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().context(|| format!("write `{}`", path.display()))
}

/// Reads a value; `None` if there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(|| format!("read `{}`", path.display())),
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).map_err(|error| ImError::Damaged { path: path.to_owned(), message: error.to_string() })
}

//! Starts the shim of an instance, and speaks to it.

use std::{fs::File, os::unix::fs::OpenOptionsExt, path::PathBuf, process::Stdio, time::Duration};

use rustix::{
    fs::{FlockOperation, flock},
    process::Pid,
};
use tokio::{io::AsyncReadExt, net::UnixStream, process::Command};

use crate::{
    im::{
        ImError,
        error::Context,
        manager::host::Host,
        shim::{
            READY,
            files::{Files, read_json, write_json},
            server::{Lines, hear, lines, say},
        },
    },
    wire::{
        im::DesiredInstance,
        shim::{FromShim, SHIM_PROTOCOL, ShimSpecification, ShimStatus, ToShim},
    },
};

/// For the mounting of everything.
const READY_SECONDS_MAX: Duration = Duration::from_secs(30);

/// For the exchange of greetings.
const HELLO_SECONDS_MAX: Duration = Duration::from_secs(10);

/// A shim that we are connected to.
#[derive(Debug)]
pub struct Shim {
    lines: Lines,
    process: Pid,
}

impl Shim {
    /// Starts one for what the folder says.
    pub async fn start(host: &Host, files: &Files) -> Result<Self, ImError> {
        let mut words = host.settings.shim.iter();
        let program = words.next().ok_or_else(|| ImError::Unusable("no program for shims is set".to_owned()))?;
        let complaints = File::options().append(true).create(true).mode(0o600).open(files.complaints());
        let complaints = complaints.context(|| format!("open `{}`", files.complaints().display()))?;
        let mut command = Command::new(program);
        command.args(words).arg(files.folder()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(complaints);
        let mut child = command.spawn().context(|| format!("start `{}`", program.display()))?;
        let mut said = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            let heard = tokio::time::timeout(READY_SECONDS_MAX, stdout.read_to_end(&mut said)).await;
            if heard.is_err() {
                // It has neither connected anything nor started anything yet.
                drop(child.start_kill());
            }
        }
        // Buried by whoever is its parent then, if we go first.
        tokio::spawn(async move { child.wait().await });
        if said != READY.as_bytes() {
            let last = read_json::<ShimStatus>(&files.ended()).ok().flatten().and_then(|it| it.message);
            return Err(ImError::Unusable(last.unwrap_or_else(|| "its shim did not start".to_owned())));
        }
        Self::connect(files).await?.ok_or_else(|| ImError::Unusable("its shim ended at once".to_owned()))
    }

    /// Connects to the shim of a folder; `None` if there is none any more.
    pub async fn connect(files: &Files) -> Result<Option<Self>, ImError> {
        let (_folder, path) = files.socket()?;
        let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
        let mut lines = lines(stream);
        let greeting = async {
            say(&mut lines, &ToShim::Hello { protocol: SHIM_PROTOCOL }).await?;
            match hear(&mut lines).await? {
                Some(FromShim::Hello { protocol: SHIM_PROTOCOL, process, .. }) => Ok(Pid::from_raw(process)),
                _ => Err(ImError::Protocol("the shim speaks another version".to_owned())),
            }
        };
        let process = tokio::time::timeout(HELLO_SECONDS_MAX, greeting).await;
        let process = process.map_err(|_| ImError::Protocol("the shim does not answer".to_owned()))??;
        let process = process.ok_or_else(|| ImError::Protocol("the shim has no process id".to_owned()))?;
        Ok(Some(Self { lines, process }))
    }

    /// The shim's process, which is in the instance's network namespace.
    pub fn process(&self) -> Pid {
        self.process
    }

    /// Tells it something.
    pub async fn say(&mut self, message: &ToShim) -> Result<(), ImError> {
        say(&mut self.lines, message).await
    }

    /// Its next status; `None` when it is gone. Dropping the future loses nothing.
    pub async fn hear(&mut self) -> Option<ShimStatus> {
        loop {
            match hear(&mut self.lines).await {
                Ok(Some(FromShim::Status(status))) => return Some(status),
                Ok(Some(FromShim::Hello { .. })) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// Comes back when the folder has no living shim.
pub async fn shim_gone(files: &Files) -> Result<(), ImError> {
    let path = files.lock();
    let waited = tokio::task::spawn_blocking(move || {
        let Ok(lock) = File::open(&path) else { return Ok(()) };
        flock(&lock, FlockOperation::LockExclusive).context(|| format!("wait for `{}`", path.display()))
    });
    waited.await.unwrap_or_else(|error| Err(ImError::Unusable(error.to_string())))
}

/// Writes what the shim is to run.
pub fn specify(
    host: &Host,
    desired: &DesiredInstance,
    user_authorities: &[String],
    layers: Vec<PathBuf>,
) -> Result<ShimSpecification, ImError> {
    let files = host.files(desired.uuid);
    files.make()?;
    let (slot, pair, uid_base) = host.take_slot()?;
    let specification = ShimSpecification {
        protocol: SHIM_PROTOCOL,
        instance: desired.clone(),
        user_authorities: user_authorities.to_vec(),
        layers,
        slot,
        uid_base,
        host: pair.host(),
        address: pair.instance(),
        cgroup: host.cgroup(desired.uuid),
        runtime: host.settings.runtime.clone(),
        agent: host.settings.agent.clone(),
        reserve: host.settings.reserve,
    };
    let written = write_json(&files.specification(), &specification);
    if let Err(error) = written {
        host.release_slot(slot);
        return Err(error);
    }
    Ok(specification)
}

/// The folders of all layers, fetched and unpacked where they are missing.
pub async fn layers(host: &Host, desired: &DesiredInstance) -> Result<Vec<PathBuf>, ImError> {
    if desired.layers.is_empty() {
        return Err(ImError::Unusable("the job has no package, so it has no files".to_owned()));
    }
    let mut res = Vec::new();
    for layer in &desired.layers {
        let _alone = host.fetching.lock().await;
        let folder = match host.layers.find(layer)? {
            Some(folder) => folder,
            None => host.layers.add(layer, host.uplink.layer(&layer.digest).await?).await?,
        };
        res.push(folder);
    }
    Ok(res)
}

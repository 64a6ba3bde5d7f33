//! The process that holds one instance: parent of its container, keeper of its logs and exit status.
//!
//! It has a session, a mount namespace and a network namespace of its own, so that neither the manager's death nor the
//! host's terminal touches the instance, and nothing of the instance outlives it on the host but its folder.

use std::{
    fs::{self, File},
    io::Write,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::OpenOptionsExt, net::UnixListener},
    },
    path::Path,
    process::ExitCode,
};

use rustix::{
    fs::{FlockOperation, Mode, flock},
    process::{set_child_subreaper, setsid, umask},
};

use crate::{
    im::{
        ImError,
        error::Context,
        shim::{
            files::{Files, read_json, write_json},
            root::Root,
            supervisor::Supervisor,
        },
    },
    wire::shim::{SHIM_PROTOCOL, ShimSpecification, ShimStatus},
};

pub mod agent;
pub mod files;
pub mod flapping;
pub mod log;
pub mod port;
pub mod root;
pub mod server;
pub mod supervisor;
pub mod user;

/// What a shim writes to its standard output, and nothing else, when a manager can connect to it.
pub const READY: &str = "ready\n";

/// Entry of `apcd shim DIR`, where `DIR` is the instance's folder in the manager's state.
///
/// Must be called before the program has started any thread: it enters namespaces of its own. Its standard output is
/// for [`READY`]; what goes wrong later is in the folder.
pub fn main(folder: &Path) -> ExitCode {
    let files = Files::new(folder.to_owned());
    match run(&files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&files, &error);
            ExitCode::FAILURE
        }
    }
}

fn run(files: &Files) -> Result<(), ImError> {
    umask(Mode::from_raw_mode(0o077));
    let _low = reserve_low_descriptors()?;
    // Already a session leader when started by hand from a shell.
    let _session = setsid();
    set_child_subreaper(Some(rustix::process::getpid())).context(|| "become a subreaper".to_owned())?;
    let lock = File::create(files.lock()).context(|| format!("open `{}`", files.lock().display()))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| ImError::Unusable("this instance already has a shim".to_owned()))?;
    let specification: ShimSpecification = read_json(&files.specification())?
        .ok_or_else(|| ImError::Unusable(format!("no instance in `{}`", files.folder().display())))?;
    if specification.protocol != SHIM_PROTOCOL {
        return Err(ImError::Protocol("the manager speaks another version".to_owned()));
    }
    let hostname = hostname(&specification.instance.fqn);
    let root = Root::prepare(&specification, files, &hostname)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(|| "start the runtime".to_owned())?;
    runtime.block_on(async {
        let supervisor = Supervisor::new(specification, files.clone(), root, hostname)?;
        supervisor.run(listen(files)?, announce).await
    })
}

/// Passing descriptors 3, 4, 5 to a child must not overwrite anything that the child still needs.
fn reserve_low_descriptors() -> Result<Vec<OwnedFd>, ImError> {
    let mut res = Vec::new();
    loop {
        let file = File::open("/dev/null").context(|| "open `/dev/null`".to_owned())?;
        let enough = 9 <= rustix::fd::AsRawFd::as_raw_fd(&file.as_fd());
        res.push(OwnedFd::from(file));
        if enough {
            return Ok(res);
        }
    }
}

fn listen(files: &Files) -> Result<UnixListener, ImError> {
    let (_folder, path) = files.socket()?;
    // A dead shim's socket; the lock says that there is no living one.
    drop(fs::remove_file(&path));
    UnixListener::bind(&path).context(|| "open the shim's socket".to_owned())
}

/// Says that the socket is there, and lets go of the manager's pipe.
fn announce() -> Result<(), ImError> {
    let what = || "tell the manager".to_owned();
    let mut stdout = std::io::stdout();
    stdout.write_all(READY.as_bytes()).and_then(|()| stdout.flush()).context(what)?;
    let null = File::options().write(true).open("/dev/null").context(what)?;
    rustix::stdio::dup2_stdout(&null).context(what)
}

/// Leaves a last word where the manager looks for it.
fn report(files: &Files, error: &ImError) {
    let status = ShimStatus::ended(0, &error.to_string());
    if read_json::<ShimStatus>(&files.ended()).is_ok_and(|it| it.is_none()) {
        drop(write_json(&files.ended(), &status));
    }
    complain(files, &error.to_string());
}

/// Adds a line to the shim's own log.
pub(crate) fn complain(files: &Files, line: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(files.complaints());
    if let Ok(mut file) = file
        && file.metadata().is_ok_and(|it| it.len() < log::LOG_BYTES_MAX)
    {
        drop(writeln!(file, "{} {line}", jiff::Timestamp::now()));
    }
}

/// The last part of a job's name as a host name (RFC 1123): letters, digits and hyphens.
fn hostname(fqn: &str) -> String {
    let name = fqn.rsplit("::").next().unwrap_or_default();
    let clean: String = name.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).take(63).collect();
    let clean = clean.trim_matches('-');
    if clean.is_empty() { "instance".to_owned() } else { clean.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostname_is_the_jobs_local_name() {
        assert_eq!(hostname("job::/sandbox/tom::web"), "web");
        assert_eq!(hostname("job::/sandbox/tom::My_App.1"), "my-app-1");
        assert_eq!(hostname("job::/sandbox/tom::--"), "instance");
        assert_eq!(hostname("a\nb::\u{1b}[2J"), "2j");
        assert_eq!(hostname(&"x".repeat(100)).len(), 63);
    }
}

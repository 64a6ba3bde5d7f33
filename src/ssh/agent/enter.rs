//! `apc-agent enter FD`: a process that waits to be placed, becomes the session's user, and turns into its program.
//!
//! The agent cannot run code between `fork` and `exec` without `unsafe`; a small program of its own can. It reads what it is
//! to become from a pipe. If the agent dies, or the shim could not place it, the pipe ends empty and nothing is run.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            process::CommandExt,
        },
    },
    process::{Command, ExitCode},
};

use rustix::{
    fs::{Gid, Mode, Uid},
    io::Errno,
    process::{chdir, getegid, geteuid, getgroups, ioctl_tiocsctty, setsid, umask},
    thread::{set_no_new_privs, set_thread_gid, set_thread_groups, set_thread_uid},
};
use serde::{Deserialize, Serialize};

/// Bytes of a plan: the job's environment and one command, each under 64 KiB before encoding.
const PLAN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// As shells say it: not found, and not executable.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// What the process is to become. Bytes, because neither paths nor commands nor values need be text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ssh) struct Plan {
    pub(in crate::ssh) user: u32,
    pub(in crate::ssh) group: u32,
    pub(in crate::ssh) groups: Vec<u32>,
    /// Whether standard input is a terminal that is to be the controlling one.
    pub(in crate::ssh) terminal: bool,
    pub(in crate::ssh) directory: Vec<u8>,
    pub(in crate::ssh) program: Vec<u8>,
    pub(in crate::ssh) argument_zero: Vec<u8>,
    pub(in crate::ssh) arguments: Vec<Vec<u8>>,
    pub(in crate::ssh) environment: BTreeMap<String, Vec<u8>>,
}

/// Runs the mode. Returns only when there is nothing to run.
pub(in crate::ssh) fn run(descriptor: &OsStr) -> ExitCode {
    match read(descriptor) {
        Ok(Some(plan)) => become_program(&plan),
        Ok(None) => ExitCode::from(NOT_EXECUTABLE),
        Err(()) => ExitCode::from(2),
    }
}

/// The plan; none when the pipe ended empty. Its descriptor is closed before anything else happens.
fn read(descriptor: &OsStr) -> Result<Option<Plan>, ()> {
    let number: i32 = descriptor.to_str().and_then(|it| it.parse().ok()).filter(|it| 2 < *it).ok_or(())?;
    #[expect(unsafe_code, reason = "a descriptor that was inherited has no owner yet")]
    // SAFETY: the agent passes the number of a pipe that it left open for this process alone; nothing here owns it.
    let pipe = unsafe { OwnedFd::from_raw_fd(number) };
    let mut text = Vec::new();
    File::from(pipe).take(PLAN_BYTES_MAX).read_to_end(&mut text).map_err(|_| ())?;
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&text).map(Some).map_err(|_| ())
}

fn become_program(plan: &Plan) -> ExitCode {
    if let Err(error) = confine(plan) {
        return fail("the session's user cannot be taken on", &error.to_string(), NOT_EXECUTABLE);
    }
    let directory = OsStr::from_bytes(&plan.directory);
    if chdir(directory).is_err() && chdir("/").is_err() {
        return fail("no working directory", "/", NOT_EXECUTABLE);
    }
    umask(Mode::WGRP | Mode::WOTH);
    let os = |it: &Vec<u8>| OsString::from_vec(it.clone());
    let error = Command::new(OsStr::from_bytes(&plan.program))
        .arg0(OsStr::from_bytes(&plan.argument_zero))
        .args(plan.arguments.iter().map(os))
        .env_clear()
        .envs(plan.environment.iter().map(|(name, value)| (name, os(value))))
        .exec();
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let program = plan.program.escape_ascii().to_string();
    fail(&program, &error.to_string(), if missing { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// A session, a terminal, and nobody's rights but the user's. The order is that of every `login`: groups while there is the
/// right to set them, the user last.
fn confine(plan: &Plan) -> Result<(), Errno> {
    setsid()?;
    if plan.terminal {
        ioctl_tiocsctty(std::io::stdin())?;
    }
    set_no_new_privs(true)?;
    let (user, group) = (Uid::from_raw(plan.user), Gid::from_raw(plan.group));
    let groups: Vec<Gid> = plan.groups.iter().map(|it| Gid::from_raw(*it)).collect();
    let same = geteuid() == user && getegid() == group;
    // Where an agent may not change who it is, it may still start what runs as itself.
    if same && getgroups().is_ok_and(|it| it == groups) {
        return Ok(());
    }
    match set_thread_groups(&groups) {
        Err(Errno::PERM) if same => return Ok(()),
        other => other?,
    }
    // With the right to change ids, real and saved ids change too; this process has one thread.
    set_thread_gid(group)?;
    set_thread_uid(user)?;
    // Fail closed: what one could take back was never given up.
    if plan.user != 0 && set_thread_uid(Uid::ROOT).is_ok() { Err(Errno::PERM) } else { Ok(()) }
}

/// Standard error belongs to the session: the person reads it.
fn fail(what: &str, why: &str, code: u8) -> ExitCode {
    let _nobody_reads = writeln!(std::io::stderr(), "apc-agent: {what}: {why}");
    ExitCode::from(code)
}

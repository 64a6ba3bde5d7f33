//! One shell or command on one channel, from its start to its exit.

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt, sync::Arc, time::Duration};

use rustix::{
    fs::{Access, access},
    process::Signal,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::{debug, warn};

use crate::ssh::{
    agent::{
        Agent, Lease,
        account::{Account, SHELL},
        enter::Plan,
        outlet::{Exit, Gone, Outlet},
        process::{Held, Input, Output, Process, Streams, hold, resize},
        terminal::{self, Size, Terminal},
    },
    inbox::{Consumed, Inbox, Item},
};

/// Where programs are looked for unless the job says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Between telling programs that their client has gone, and killing them.
const HANGUP_GRACE: Duration = Duration::from_secs(1);

/// Status of our own failures, as `ssh` has it.
const FAILED: u32 = 255;

/// What a client says on a channel beside bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ssh) enum Word {
    /// No more input.
    Eof,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) enum Program {
    /// A login shell.
    Shell,
    /// `/bin/sh -c`.
    Command(Vec<u8>),
}

/// All that a session needs to start.
#[derive(Debug)]
pub(in crate::ssh) struct Start {
    pub(in crate::ssh) account: Account,
    pub(in crate::ssh) program: Program,
    pub(in crate::ssh) terminal: Option<Terminal>,
    /// What the client asked for; checked already.
    pub(in crate::ssh) environment: BTreeMap<String, String>,
}

/// A channel's ends.
#[derive(Debug)]
pub(in crate::ssh) struct Ends {
    pub(in crate::ssh) inbox: Arc<Inbox<Word>>,
    pub(in crate::ssh) outlet: Outlet,
    pub(in crate::ssh) signals: mpsc::Receiver<Signal>,
    pub(in crate::ssh) size: watch::Receiver<Size>,
}

/// Runs it. The lease is kept until nothing of it is left.
pub(in crate::ssh) async fn run(agent: Arc<Agent>, lease: Arc<Lease>, start: Start, ends: Ends) {
    let plan = plan(&agent, &start);
    if let Some(terminal) = &start.terminal {
        terminal::hand_over(&terminal.slave, start.account.user);
    }
    let (process, streams) = match enter(&agent, &lease, start.terminal, &plan).await {
        Ok(running) => running,
        Err(why) => {
            warn!(session = lease.session(), "not started: {why}");
            let _gone = ends.outlet.data(true, format!("apc-agent: {why}\r\n").into_bytes()).await;
            let _gone = ends.outlet.finish(Exit::Status(FAILED)).await;
            return;
        }
    };
    serve(&lease, process, streams, ends).await;
}

/// Starts the process, has it placed, and lets it go.
async fn enter(
    agent: &Agent,
    lease: &Lease,
    terminal: Option<Terminal>,
    plan: &Plan,
) -> Result<(Process, Streams), String> {
    let held: Held = hold(&agent.helper, &agent.children, terminal)
        .map_err(|error| format!("no process can be started: {error}"))?;
    agent.control.enter(lease.session(), held.descriptor()).await.map_err(|error| error.to_string())?;
    if lease.is_revoked() {
        return Err("the session has been ended".to_owned());
    }
    held.release(plan).await.map_err(|error| format!("the process did not wait: {error}"))
}

/// Why a session is over.
enum End {
    Exited,
    /// The client has closed the channel, or is gone.
    Hangup,
    Revoked,
}

async fn serve(lease: &Lease, mut process: Process, streams: Streams, mut ends: Ends) {
    let (exited, when_exited) = watch::channel(false);
    let Streams { mut input, output, errors } = streams;
    let end = {
        let leader = async {
            process.ended().await;
            // While it is not taken note of, its id is its group's alone. Whoever it has left behind goes with it, so that
            // what they have written is all there is; a program that wants to stay makes a group of its own.
            process.signal_all(Signal::KILL);
            let _nobody_waits = exited.send(true);
        };
        let out = pump(&output, false, &ends.outlet, when_exited.clone());
        let err = async {
            match &errors {
                Some(errors) => pump(errors, true, &ends.outlet, when_exited.clone()).await,
                None => Ok(()),
            }
        };
        let outputs = async {
            let ((), out, err) = tokio::join!(leader, out, err);
            out.and(err)
        };
        let feed = Feed {
            process: &process,
            inbox: &ends.inbox,
            outlet: &ends.outlet,
            signals: &mut ends.signals,
            size: &mut ends.size,
        };
        tokio::select! {
            biased;
            () = lease.revoked() => End::Revoked,
            res = outputs => if res.is_ok() { End::Exited } else { End::Hangup },
            () = feed.run(&mut input) => End::Hangup,
        }
    };
    // The terminal's master goes with them, which hangs up whoever still has the terminal.
    drop((input, output, errors));
    conclude(&mut process, &end, &ends.outlet).await;
}

/// Makes sure that nothing of the group is left, and tells the client if there is one.
async fn conclude(process: &mut Process, end: &End, outlet: &Outlet) {
    match end {
        End::Exited => (),
        End::Hangup => {
            process.signal_all(Signal::HUP);
            process.signal_all(Signal::CONT);
            let _killed_below = timeout(HANGUP_GRACE, process.ended()).await;
            process.signal_all(Signal::KILL);
        }
        End::Revoked => process.signal_all(Signal::KILL),
    }
    let exit = process.exit().await.unwrap_or(Exit::Status(FAILED));
    debug!(?exit, "session's process ended");
    let _gone = outlet.finish(exit).await;
}

/// Hands on what the process writes, until it has ended and nothing of it is left in the pipe.
async fn pump(output: &Output, stderr: bool, outlet: &Outlet, mut exited: watch::Receiver<bool>) -> Result<(), Gone> {
    loop {
        tokio::select! {
            biased;
            bytes = output.read() => match bytes {
                Some(bytes) => outlet.data(stderr, bytes).await?,
                None => return Ok(()),
            },
            () = ended(&mut exited) => break,
        }
    }
    while let Some(bytes) = output.read_now() {
        outlet.data(stderr, bytes).await?;
    }
    Ok(())
}

/// Waits for the word; whoever would say it is there as long as anybody waits.
async fn ended(exited: &mut watch::Receiver<bool>) {
    let _said = exited.wait_for(|it| *it).await.is_ok();
}

/// Hands on what the client says.
struct Feed<'a> {
    process: &'a Process,
    inbox: &'a Inbox<Word>,
    outlet: &'a Outlet,
    signals: &'a mut mpsc::Receiver<Signal>,
    size: &'a mut watch::Receiver<Size>,
}

impl Feed<'_> {
    /// Until the client's channel is closed.
    async fn run(mut self, input: &mut Input) {
        let mut consumed = Consumed::default();
        loop {
            let item = tokio::select! {
                biased;
                Some(signal) = self.signals.recv() => {
                    self.process.signal(input, signal);
                    continue;
                }
                Ok(()) = self.size.changed() => {
                    resize(input, *self.size.borrow_and_update());
                    continue;
                }
                item = self.inbox.next() => item,
            };
            match item {
                None => return,
                Some(Item::Mark(Word::Eof)) => {
                    let last = input.end();
                    self.write(input, &last).await;
                }
                Some(Item::Data { bytes, .. }) => {
                    self.write(input, &bytes).await;
                    consumed.add(bytes.len());
                }
            }
            if let Some(bytes) = consumed.due() {
                if self.outlet.grant(bytes).await.is_err() {
                    return;
                }
                consumed.granted(bytes);
            }
        }
    }

    /// Writes all. A process that reads nothing must still be reachable by signals, and end when its client goes.
    async fn write(&mut self, input: &mut Input, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            tokio::select! {
                biased;
                () = self.inbox.ended() => return,
                Some(signal) = self.signals.recv() => self.process.signal(input, signal),
                Ok(()) = self.size.changed() => resize(input, *self.size.borrow_and_update()),
                count = input.write_some(bytes) => bytes = bytes.get(count..).unwrap_or_default(),
            }
        }
    }
}

/// What the process is to become.
fn plan(agent: &Agent, start: &Start) -> Plan {
    let account = &start.account;
    let shell = shell(account);
    let (program, argument_zero, arguments) = match &start.program {
        Program::Shell => (shell.clone(), login_name(&shell), Vec::new()),
        Program::Command(command) => (SHELL.as_bytes().to_vec(), b"sh".to_vec(), vec![b"-c".to_vec(), command.clone()]),
    };
    Plan {
        user: account.user,
        group: account.group,
        groups: account.groups.clone(),
        terminal: start.terminal.is_some(),
        directory: agent.job.working_directory.as_bytes().to_vec(),
        program,
        argument_zero,
        arguments,
        environment: environment(agent, start, &shell),
    }
}

/// The user's shell if it can be run. A shell that says "no login" is passed over: who may log in is policy's to say.
fn shell(account: &Account) -> Vec<u8> {
    let bytes = account.shell.as_bytes();
    let refuses = bytes.ends_with(b"/nologin") || bytes.ends_with(b"/false");
    let runs = bytes.starts_with(b"/") && access(bytes, Access::EXEC_OK).is_ok();
    if runs && !refuses { bytes.to_vec() } else { SHELL.as_bytes().to_vec() }
}

/// `-sh`: by the dash a shell knows that it is a login shell.
fn login_name(shell: &[u8]) -> Vec<u8> {
    let name = shell.rsplit(|it| *it == b'/').next().unwrap_or(shell);
    [b"-", name].concat()
}

/// The job's own environment; what belongs to the user; what the client may say.
fn environment(agent: &Agent, start: &Start, shell: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut res: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    res.insert("PATH".to_owned(), PATH.as_bytes().to_vec());
    for (name, value) in &agent.job.environment {
        let sound = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if sound {
            res.insert(name.clone(), value.as_bytes().to_vec());
        }
    }
    for (name, value) in &start.environment {
        res.insert(name.clone(), value.as_bytes().to_vec());
    }
    let bytes = |it: &OsStr| it.as_bytes().to_vec();
    res.insert("HOME".to_owned(), bytes(&start.account.home));
    res.insert("USER".to_owned(), bytes(&start.account.name));
    res.insert("LOGNAME".to_owned(), bytes(&start.account.name));
    res.insert("SHELL".to_owned(), shell.to_vec());
    if let Some(terminal) = &start.terminal {
        res.insert("TERM".to_owned(), terminal.name.as_bytes().to_vec());
        res.insert("SSH_TTY".to_owned(), terminal.path.as_bytes().to_vec());
    }
    res
}

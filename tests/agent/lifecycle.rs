//! From the held process to the report that nothing is left: what the shim sees.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use gatehouse::wire::agent::ToAgent;
use libtest_mimic::Trial;

use crate::{
    fixture::{Agent, Heard, PATIENCE, Placing, is_alive, progress, wait_until, wait_until_still},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        nothing_runs_before_it_is_placed,
        what_cannot_be_placed_is_never_run,
        a_held_process_dies_with_its_agent,
        the_end_of_a_session_is_reported,
        a_client_that_vanishes_takes_its_processes_along,
        a_program_may_take_leave_when_its_client_vanishes,
        another_epoch_ends_sessions_at_once,
        unreadable_authorities_trust_nobody,
        the_agent_ends_with_its_shim,
        orphans_are_reaped,
    ]
}

fn entered(agent: &Agent) -> (u64, String, i32) {
    match agent.hear() {
        Heard::Enter { request, session, process } => (request, session, process),
        other @ (Heard::Leave(_) | Heard::Closed) => panic!("{other:?}"),
    }
}

fn nothing_runs_before_it_is_placed() {
    let agent = Agent::start();
    *agent.placing.lock().unwrap() = Placing::Hold;
    let marker = agent.directory.path().join("ran");
    let identity = agent.identity();
    let command = format!("touch {}", marker.display());
    let child = agent.ssh(&identity).args(["127.0.0.1", &command]).spawn().unwrap();
    let (request, session, process) = entered(&agent);
    assert_eq!(session, identity.session);
    // It is the helper, and waits; while it begins, the kernel tells no arguments of it.
    let arguments = || std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    wait_until("the helper is there", || arguments().starts_with(b"apc-agent\0enter\0"));
    wait_until_still("it waits", || progress(process));
    assert!(is_alive(process) && !marker.exists());
    agent.send(&ToAgent::Entered { request, error: None });
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(marker.exists());
}

fn what_cannot_be_placed_is_never_run() {
    let agent = Agent::start();
    *agent.placing.lock().unwrap() = Placing::Refuse;
    let marker = agent.directory.path().join("ran");
    let output = agent.run(&format!("touch {}", marker.display()));
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no room in the test"), "{output:?}");
    let (_, session, process) = entered(&agent);
    agent.hear_leave(&session);
    wait_until("the held process is gone", || !is_alive(process));
    assert!(!marker.exists());
}

fn a_held_process_dies_with_its_agent() {
    let mut agent = Agent::start();
    *agent.placing.lock().unwrap() = Placing::Hold;
    let marker = agent.directory.path().join("ran");
    let command = format!("touch {}", marker.display());
    let mut child = agent.ssh(&agent.identity()).args(["127.0.0.1", &command]).spawn().unwrap();
    let (_, _, process) = entered(&agent);
    agent.process().kill().unwrap();
    agent.process().wait().unwrap();
    wait_until("the held process is gone", || !is_alive(process));
    assert!(!child.wait().unwrap().success());
    assert!(!marker.exists());
}

fn the_end_of_a_session_is_reported() {
    let agent = Agent::start();
    let identity = agent.identity();
    assert!(agent.ssh(&identity).args(["127.0.0.1", "true"]).status().unwrap().success());
    entered(&agent);
    assert_eq!(agent.hear(), Heard::Leave(identity.session));
}

fn a_client_that_vanishes_takes_its_processes_along() {
    for terminal in ["-T", "-tt"] {
        let agent = Agent::start();
        let identity = agent.identity();
        let command = "trap '' HUP; echo started; while :; do sleep 1000; done";
        let mut child = agent.ssh(&identity).args([terminal, "127.0.0.1", command]).spawn().unwrap();
        let (_, _, process) = entered(&agent);
        let mut first = [0; 7];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        agent.hear_leave(&identity.session);
        assert!(!is_alive(process), "{terminal}");
    }
}

fn a_program_may_take_leave_when_its_client_vanishes() {
    let agent = Agent::start();
    let saved = agent.directory.path().join("saved");
    let command = format!("trap 'echo saved > {}; exit' HUP; echo started; sleep 1000 & wait", saved.display());
    // A program has one second: on a loaded machine one may be too slow for it, but not each of three.
    let took_leave = (0..3).any(|_| {
        let identity = agent.identity();
        let mut child = agent.ssh(&identity).args(["127.0.0.1", &command]).spawn().unwrap();
        let mut first = [0; 7];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        agent.hear_leave(&identity.session);
        saved.exists()
    });
    assert!(took_leave, "no program could save before it was killed");
}

fn another_epoch_ends_sessions_at_once() {
    let mut agent = Agent::start();
    let identity = agent.identity();
    let mut child =
        agent.ssh(&identity).args(["127.0.0.1", "trap '' HUP TERM; sleep 1000"]).stdin(Stdio::piped()).spawn().unwrap();
    let (_, _, process) = entered(&agent);
    let user_authorities = vec![agent.authority.public_key().to_openssh().unwrap()];
    // The same epoch changes nothing.
    agent.send(&ToAgent::Update { epoch: 7, user_authorities: user_authorities.clone() });
    assert_eq!(agent.stdout("echo in"), "in\n");
    assert!(is_alive(process));
    let began = Instant::now();
    agent.send(&ToAgent::Update { epoch: 8, user_authorities });
    agent.hear_leave(&identity.session);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(!is_alive(process));
    assert!(!child.wait().unwrap().success());
    assert!(!agent.run("echo in").status.success());
    agent.epoch = 8;
    assert_eq!(agent.stdout("echo in"), "in\n");
}

fn unreadable_authorities_trust_nobody() {
    let agent = Agent::start();
    assert_eq!(agent.stdout("echo in"), "in\n");
    let good = agent.authority.public_key().to_openssh().unwrap();
    agent.send(&ToAgent::Update { epoch: 7, user_authorities: vec![good.clone(), "ssh-ed25519 AAAA".to_owned()] });
    assert!(!agent.run("echo in").status.success());
    agent.send(&ToAgent::Update { epoch: 7, user_authorities: vec![good] });
    assert_eq!(agent.stdout("echo in"), "in\n");
}

fn the_agent_ends_with_its_shim() {
    let mut agent = Agent::start();
    let mut child = agent.ssh(&agent.identity()).args(["127.0.0.1", "sleep 1000"]).spawn().unwrap();
    let (_, _, process) = entered(&agent);
    agent.close_control();
    let began = Instant::now();
    let status = agent.process().wait().unwrap();
    assert!(began.elapsed() < PATIENCE / 2);
    assert!(status.success(), "{status}");
    wait_until("the session's process is gone", || !is_alive(process));
    assert!(!child.wait().unwrap().success());
}

/// The first process of an instance is the job's own, which may never have heard of zombies.
fn orphans_are_reaped() {
    let mut agent = Agent::start();
    agent.stdout("for i in 1 2 3 4 5; do (setsid sleep 0.2 >/dev/null 2>&1 </dev/null &); done");
    let parent = agent.process().id();
    let dead = || {
        let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        list.split_ascii_whitespace().filter(|it| !is_alive(it.parse().unwrap())).count()
    };
    let children = || std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    wait_until("no child is left", || children().trim().is_empty());
    assert_eq!(dead(), 0);
}

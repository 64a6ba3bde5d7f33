//! Whom the agent refuses, and what it refuses those whom it has let in.

use std::process::{Output, Stdio};

use libtest_mimic::Trial;
use russh::keys::ssh_key::certificate::CertType;

use crate::{
    fixture::{Agent, Draft, Heard, other_key},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        a_certificate_counts_once,
        bad_certificates_are_refused,
        a_certificate_for_one_instance_is_refused_by_another,
        keys_passwords_and_nothing_are_refused,
        forwarding_is_refused,
        subsystems_are_refused,
        a_session_runs_once_at_a_time,
        an_eleventh_channel_is_refused,
    ]
}

fn refused(agent: &Agent, output: &Output) {
    assert_eq!(output.status.code(), Some(255), "{output:?}\n{}", agent.log());
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(agent.heard.try_recv().is_err(), "something was started");
}

fn a_certificate_counts_once() {
    let agent = Agent::start();
    let identity = agent.identity();
    let run = || agent.ssh(&identity).args(["127.0.0.1", "echo in"]).output().unwrap();
    assert_eq!(run().stdout, b"in\n");
    agent.hear_leave(&identity.session);
    refused(&agent, &run());
    assert!(agent.log().contains("used before"), "{}", agent.log());
    // And the next one is let in.
    assert_eq!(agent.stdout("echo in"), "in\n");
}

type Change = Box<dyn Fn(&mut Draft)>;

fn bad_certificates_are_refused() {
    let agent = Agent::start();
    let instance = agent.instance.to_string();
    let cases: Vec<(&str, Change)> = vec![
        ("unknown authority", Box::new(|it| it.authority = other_key())),
        ("not this instance alone", Box::new(|it| it.principals = vec!["root".into()])),
        ("not this instance alone", Box::new(|it| it.principals = vec![])),
        ("not this instance alone", Box::new(|it| it.principals.push("root".into()))),
        ("not this instance alone", Box::new(move |it| it.principals = vec![format!("{instance},root")])),
        ("not this instance alone", Box::new(|it| it.principals = vec!["*".into()])),
        ("valid for too long", Box::new(|it| it.before = 3_600)),
        ("another lease epoch", Box::new(|it| it.epoch = 6)),
        ("another lease epoch", Box::new(|it| it.epoch = 8)),
        ("not one well-formed session", Box::new(|it| it.session = "../../x".into())),
        ("not one well-formed session", Box::new(|it| it.options = vec![("force-command".into(), "id".into())])),
        ("not one well-formed session", Box::new(|it| it.options = vec![("source-address".into(), "0/0".into())])),
    ];
    for (why, change) in cases {
        let mut draft = agent.draft();
        change(&mut draft);
        let identity = agent.identity_of(draft);
        refused(&agent, &agent.ssh(&identity).args(["127.0.0.1", "echo in"]).output().unwrap());
        assert!(agent.log().lines().last().is_some_and(|it| it.contains(why)), "{why}\n{}", agent.log());
    }
    // russh itself looks at the time and the type before we do.
    for change in [
        (|it: &mut Draft| (it.after, it.before) = (-60, -1)) as fn(&mut Draft),
        |it| (it.after, it.before) = (5, 60),
        |it| it.kind = CertType::Host,
    ] {
        let mut draft = agent.draft();
        change(&mut draft);
        let identity = agent.identity_of(draft);
        refused(&agent, &agent.ssh(&identity).args(["127.0.0.1", "echo in"]).output().unwrap());
    }
    assert_eq!(agent.stdout("echo in"), "in\n");
}

fn a_certificate_for_one_instance_is_refused_by_another() {
    let (one, mut other) = (Agent::start(), Agent::start());
    let keys = vec![one.authority.public_key().to_openssh().unwrap()];
    other.send(&gatehouse::wire::agent::ToAgent::Update { epoch: 7, user_authorities: keys });
    other.authority = one.authority.clone();
    assert_eq!(other.stdout("echo in"), "in\n");
    while other.heard.recv_timeout(std::time::Duration::from_millis(200)).is_ok() {}
    let identity = one.identity();
    refused(&other, &other.ssh(&identity).args(["127.0.0.1", "echo in"]).output().unwrap());
    // It was not used up by that.
    assert_eq!(one.ssh(&identity).args(["127.0.0.1", "echo in"]).output().unwrap().stdout, b"in\n");
}

fn keys_passwords_and_nothing_are_refused() {
    let agent = Agent::start();
    // The key alone, also the authority's own.
    let identity = agent.identity();
    std::fs::remove_file(&identity.certificate).unwrap();
    let mut command = agent.ssh_bare();
    command.arg("-i").arg(&identity.key).args(["-oIdentitiesOnly=yes", "127.0.0.1", "echo in"]);
    refused(&agent, &command.output().unwrap());
    let path = agent.directory.path().join("authority");
    let text = agent.authority.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
    crate::fixture::write_private(&path, &text);
    let mut command = agent.ssh_bare();
    command.arg("-i").arg(&path).args(["-oIdentitiesOnly=yes", "127.0.0.1", "echo in"]);
    refused(&agent, &command.output().unwrap());
    for methods in ["none", "password", "keyboard-interactive", "hostbased"] {
        let mut command = agent.ssh_bare();
        command.arg(format!("-oPreferredAuthentications={methods}")).args(["127.0.0.1", "echo in"]);
        let output = command.output().unwrap();
        refused(&agent, &output);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("(publickey)"), "only certificates are offered: {text}");
    }
}

fn forwarding_is_refused() {
    let agent = Agent::start();
    let output = agent.ssh(&agent.identity()).args(["-W", "127.0.0.1:22", "127.0.0.1"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("forwarding failed"), "{output:?}");
    let mut command = agent.ssh(&agent.identity());
    command.args(["-oExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22", "127.0.0.1", "echo in"]);
    let output = command.output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    // With the agent of the user it is not forwarded, and the session goes on without.
    let mut command = agent.ssh(&agent.identity());
    command.args(["-A", "127.0.0.1", "echo \"<$SSH_AUTH_SOCK$DISPLAY>\""]).env("SSH_AUTH_SOCK", "/nonexistent");
    assert_eq!(command.output().unwrap().stdout, b"<>\n");
}

fn subsystems_are_refused() {
    let agent = Agent::start();
    let output = agent.ssh(&agent.identity()).args(["-s", "127.0.0.1", "sftp"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("subsystem request failed"), "{output:?}");
    assert!(agent.log().contains("not supported yet"), "{}", agent.log());
}

fn a_session_runs_once_at_a_time() {
    let agent = Agent::start();
    let first = agent.identity();
    let mut running = agent.ssh(&first).args(["127.0.0.1", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    assert!(matches!(agent.hear(), Heard::Enter { .. }));
    let mut draft = agent.draft();
    draft.session.clone_from(&first.session);
    let second = agent.identity_of(draft);
    refused(&agent, &agent.ssh(&second).args(["127.0.0.1", "echo in"]).output().unwrap());
    drop(running.stdin.take());
    assert!(running.wait().unwrap().success());
}

fn an_eleventh_channel_is_refused() {
    let agent = Agent::start();
    let socket = agent.directory.path().join("mux");
    let mut command = agent.ssh_bare();
    let identity = agent.identity();
    command.arg("-i").arg(&identity.key).arg(format!("-oCertificateFile={}", identity.certificate.display()));
    let mut master = std::process::Command::new("ssh");
    let path = format!("-oControlPath={}", socket.display());
    master.arg(&path).args(["-oControlMaster=yes", "-N"]).args(command.get_args());
    let mut master = master.arg("127.0.0.1").stdin(Stdio::null()).spawn().unwrap();
    crate::fixture::wait_until("the master listens", || socket.exists());
    let channel = |command: &str| {
        let mut it = std::process::Command::new("ssh");
        it.args(["-F", "none", "-oBatchMode=yes", &path, "127.0.0.1", command]);
        it.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        it
    };
    let running: Vec<_> = (0..10).map(|_| channel("sleep 1000").spawn().unwrap()).collect();
    for _ in 0..10 {
        assert!(matches!(agent.hear(), Heard::Enter { .. }));
    }
    let output = channel("echo in").output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    master.kill().unwrap();
    master.wait().unwrap();
    for mut it in running {
        it.wait().unwrap();
    }
    agent.hear_leave(&identity.session);
}

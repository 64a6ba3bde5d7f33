//! What OpenSSH's own client sees: output, status, input, terminals, environment.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;

use crate::{
    fixture::{Agent, Heard, PATIENCE, needs_root, progress, wait_until_still, whoami},
    trials,
};

pub(crate) fn trials() -> Vec<Trial> {
    trials![
        output_errors_and_status_come_back_apart,
        many_lines_arrive_whole,
        megabytes_pass_both_ways_at_once_unchanged,
        a_shell_reads_its_script_from_standard_input,
        the_environment_is_the_jobs_and_the_users,
        only_language_and_terminal_may_be_set_from_outside,
        a_terminal_is_a_terminal,
        a_login_shell_knows_that_it_is_one,
        the_end_of_input_ends_a_program_on_a_terminal,
        a_missing_program_is_status_127,
        death_by_a_signal_is_no_status,
        output_after_the_end_of_input_is_not_lost,
        what_a_command_leaves_behind_does_not_hold_up_its_end,
        one_stuck_reader_stops_no_other_channel,
        one_stuck_writer_stops_no_other_channel,
        keyscan_sees_the_one_host_key,
        a_user_of_the_image_is_taken_on,
        policy_may_name_another_user,
        connecting_is_quick,
    ]
}

fn output_errors_and_status_come_back_apart() {
    let agent = Agent::start();
    let output = agent.run("echo out; echo err >&2; exit 7");
    assert_eq!(output.stdout, b"out\n", "{}", agent.log());
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(7));
}

fn many_lines_arrive_whole() {
    let agent = Agent::start();
    let expected = (1..=1000).fold(String::new(), |text, it| text + &format!("line {it}\n"));
    assert_eq!(agent.stdout("i=1; while [ $i -le 1000 ]; do echo line $i; i=$((i+1)); done"), expected);
}

/// Both directions full at once: where either end only wrote, both would wait for ever.
fn megabytes_pass_both_ways_at_once_unchanged() {
    let agent = Agent::start();
    let mut child = agent.ssh(&agent.identity()).args(["127.0.0.1", "cat"]).stdin(Stdio::piped()).spawn().unwrap();
    let sent: Vec<u8> = (0..4_000_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = thread::spawn({
        let sent = sent.clone();
        move || input.write_all(&sent).unwrap()
    });
    let mut received = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(received.len(), sent.len());
    assert!(received == sent, "bytes were changed");
}

fn a_shell_reads_its_script_from_standard_input() {
    let agent = Agent::start();
    let mut child = agent.ssh(&agent.identity()).arg("-T").arg("127.0.0.1").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo from the script\nexit 3\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"from the script\n", "{output:?}");
    assert_eq!(output.status.code(), Some(3));
}

fn the_environment_is_the_jobs_and_the_users() {
    let agent = Agent::start();
    let text = agent.stdout("env; pwd");
    let user = whoami();
    for line in ["JOB_SETTING=of the job".to_owned(), format!("USER={user}"), format!("LOGNAME={user}")] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert!(text.contains("\nHOME=/") || text.starts_with("HOME=/"), "{text}");
    assert!(text.contains("SHELL=/"), "{text}");
    // Nothing of the agent's own.
    assert!(!text.contains("RUST_BACKTRACE") && !text.contains("SSH_TTY"), "{text}");
    assert_eq!(text.lines().last(), Some(agent.directory.path().to_str().unwrap()));
}

fn only_language_and_terminal_may_be_set_from_outside() {
    let agent = Agent::start();
    let mut command = agent.ssh(&agent.identity());
    command.arg("-oSetEnv=LC_CTYPE=C.UTF-8 LD_PRELOAD=/evil.so LC_x=1 PATH=/evil LANG=C");
    let output = command.args(["127.0.0.1", "env"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("LC_CTYPE=C.UTF-8\n") && text.contains("LANG=C\n"), "{text}");
    assert!(!text.contains("evil") && !text.contains("LC_x"), "{text}");
}

fn a_terminal_is_a_terminal() {
    let agent = Agent::start();
    let mut command = agent.ssh(&agent.identity());
    command.arg("-tt").env("TERM", "xterm-256color");
    let output = command
        .args(["127.0.0.1", "tty; test -t 0 && test -t 1 && test -t 2 && echo all; echo $TERM $SSH_TTY; exit 5"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{text:?}\n{}", agent.log());
    assert_eq!(lines[1], "all");
    assert_eq!(lines[2], format!("xterm-256color {}", lines[0]));
    assert_eq!(output.status.code(), Some(5));
}

fn a_login_shell_knows_that_it_is_one() {
    let agent = Agent::start();
    let mut child = agent.ssh(&agent.identity()).arg("-tt").arg("127.0.0.1").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"echo \"<$0>\"\nexit 4\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("<-"), "{text}");
    assert_eq!(output.status.code(), Some(4));
}

/// A terminal's end of input is a character, which the end of ours becomes; also behind an unfinished line.
fn the_end_of_input_ends_a_program_on_a_terminal() {
    let agent = Agent::start();
    let mut child = agent
        .ssh(&agent.identity())
        .args(["-tt", "127.0.0.1", "echo ready; cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut ready = [0; 7];
    output.read_exact(&mut ready).unwrap();
    child.stdin.take().unwrap().write_all(b"unfinished").unwrap();
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(text.matches("unfinished").count() == 2, "{text:?}");
    assert!(child.wait().unwrap().success());
}

fn a_missing_program_is_status_127() {
    let agent = Agent::start();
    let output = agent.run("/there/is/no/such/program");
    assert_eq!(output.status.code(), Some(127));
    assert!(!output.stderr.is_empty());
}

fn death_by_a_signal_is_no_status() {
    let agent = Agent::start();
    assert_eq!(agent.run("kill -KILL $$").status.code(), Some(255));
}

fn output_after_the_end_of_input_is_not_lost() {
    let agent = Agent::start();
    assert_eq!(agent.stdout("cat >/dev/null; head -c 300000 /dev/zero | wc -c; echo end").trim(), "300000\nend");
}

fn what_a_command_leaves_behind_does_not_hold_up_its_end() {
    let agent = Agent::start();
    let began = Instant::now();
    let output = agent.run("sleep 1000 & echo $!");
    assert!(began.elapsed() < PATIENCE / 2, "it waited");
    let process: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    crate::fixture::wait_until("the process left behind is gone", || !crate::fixture::is_alive(process));
}

/// Two channels of one connection by OpenSSH's multiplexing.
struct Shared {
    agent: Agent,
    socket: String,
    master: std::process::Child,
}

impl Shared {
    fn new() -> Shared {
        let agent = Agent::start();
        let socket = agent.directory.path().join("mux").to_str().unwrap().to_owned();
        let mut command = agent.ssh(&agent.identity());
        command.args(["-oControlMaster=yes", "-oControlPersist=no", "-N"]).arg(format!("-oControlPath={socket}"));
        // The last `ControlPath` would not count: the first does.
        let arguments: Vec<_> = command.get_args().filter(|it| *it != "-oControlPath=none").map(Into::into).collect();
        let mut command = rebuilt(&command, &arguments);
        let master = command.arg("127.0.0.1").spawn().unwrap();
        crate::fixture::wait_until("the master listens", || std::path::Path::new(&socket).exists());
        Shared { agent, socket, master }
    }

    fn channel(&self) -> std::process::Command {
        let mut command = std::process::Command::new("ssh");
        command.args(["-F", "none", "-oBatchMode=yes"]).arg(format!("-oControlPath={}", self.socket));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).arg("127.0.0.1");
        command
    }

    fn answers_promptly(&self) {
        let began = Instant::now();
        let output = self.channel().arg("echo prompt").output().unwrap();
        assert_eq!(output.stdout, b"prompt\n", "{output:?}\n{}", self.agent.log());
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ended = self.master.kill();
        let _ended = self.master.wait();
    }
}

fn rebuilt(from: &std::process::Command, arguments: &[std::ffi::OsString]) -> std::process::Command {
    let mut command = std::process::Command::new(from.get_program());
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(from.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// A program that never reads: unchanged russh would stop reading the connection.
fn one_stuck_reader_stops_no_other_channel() {
    let shared = Shared::new();
    let mut stuck = shared.channel().arg("echo stuck; exec sleep 1000").stdin(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 6];
    stuck.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let mut input = stuck.stdin.take().unwrap();
    let (sender, written) = std::sync::mpsc::channel();
    let writer = thread::spawn(move || {
        let chunk = vec![1; 64 * 1024];
        while input.write_all(&chunk).is_ok() {
            let _test_is_over = sender.send(chunk.len());
        }
    });
    // Until nothing more goes through: the window is shut.
    let mut total = 0;
    while let Ok(count) = written.recv_timeout(Duration::from_millis(500)) {
        total += count;
    }
    assert!((128 * 1024..64 * 1024 * 1024).contains(&total), "{total}");
    shared.answers_promptly();
    shared.answers_promptly();
    stuck.kill().unwrap();
    stuck.wait().unwrap();
    writer.join().unwrap();
    shared.answers_promptly();
}

/// A client that never reads.
fn one_stuck_writer_stops_no_other_channel() {
    let shared = Shared::new();
    let mut stuck = shared.channel().arg("echo $$; exec cat /dev/zero").spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(1, stuck.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let process = line.trim().parse().unwrap();
    wait_until_still("the window is shut", || progress(process));
    shared.answers_promptly();
    shared.answers_promptly();
    stuck.kill().unwrap();
    stuck.wait().unwrap();
}

fn keyscan_sees_the_one_host_key() {
    let agent = Agent::start();
    let output = std::process::Command::new("ssh-keyscan")
        .args(["-p", &agent.address.port().to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let keys: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
    assert_eq!(keys.len(), 1, "{text}");
    assert!(keys[0].ends_with(agent.host_key.trim()), "{text} {}", agent.host_key);
}

fn a_user_of_the_image_is_taken_on() {
    if !needs_root("a session runs as the job's user, with nothing of root's") {
        return;
    }
    let agent = Agent::start_as("daemon");
    let text = agent.stdout("id -u; id -g; id -G; grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status; cd /; pwd");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..3], ["1", "1", "1"], "{text}");
    assert!(text.contains("CapEff:\t0000000000000000\n") && text.contains("CapPrm:\t0000000000000000\n"), "{text}");
    assert!(text.contains("NoNewPrivs:\t1\n"), "{text}");
    // The terminal is the user's too.
    let mut command = agent.ssh(&agent.identity());
    let output = command.args(["-tt", "127.0.0.1", "echo hello > $SSH_TTY && stat -c %u $SSH_TTY"]).output().unwrap();
    assert_eq!(output.stdout, b"hello\r\n1\r\n");
}

fn policy_may_name_another_user() {
    if !needs_root("`ssh.user` is taken on") {
        return;
    }
    let agent = Agent::start();
    let mut draft = agent.draft();
    draft.user = Some("bin".to_owned());
    let identity = agent.identity_of(draft);
    let output = agent.ssh(&identity).args(["127.0.0.1", "id -u; echo $USER"]).output().unwrap();
    assert_eq!(output.stdout, b"2\nbin\n", "{output:?}");
    let mut draft = agent.draft();
    draft.user = Some("nobody-here".to_owned());
    let identity = agent.identity_of(draft);
    let output = agent.ssh(&identity).args(["127.0.0.1", "id -u"]).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(agent.log().contains("no user `nobody-here` in this image"), "{}", agent.log());
}

/// A sanity figure, and a bound that only a stall would break.
fn connecting_is_quick() {
    let agent = Agent::start();
    agent.stdout("true");
    let identities: Vec<_> = (0..5).map(|_| agent.identity()).collect();
    let began = Instant::now();
    for identity in &identities {
        assert!(agent.ssh(identity).args(["127.0.0.1", "true"]).status().unwrap().success());
    }
    let each = began.elapsed() / 5;
    eprintln!("ssh connects, runs `true` and ends in {each:?}");
    assert!(each < Duration::from_secs(5));
    assert!(matches!(agent.hear(), Heard::Enter { .. }));
}

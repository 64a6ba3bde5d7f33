//! An agent process with a listener, a shim that is this test, an authority, and clients with certificates.

use std::{
    collections::BTreeMap,
    fs,
    io::{IoSliceMut, Write},
    mem::MaybeUninit,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gatehouse::wire::{
    agent::{AGENT_PROTOCOL, FromAgent, ToAgent},
    sign::SESSION_OPTION,
};
use russh::keys::{
    Algorithm, PrivateKey,
    key::safe_rng,
    ssh_key::{LineEnding, certificate::Builder, certificate::CertType},
};
use rustix::{
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
        recvmsg, send, socketpair,
    },
};
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the shim does when a process asks to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placing {
    Place,
    Refuse,
    /// Until [`Agent::place_held`].
    Hold,
}

/// What the shim has heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Enter { request: u64, session: String, process: i32 },
    Leave(String),
    Closed,
}

pub(crate) struct Agent {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) host_key: String,
    pub(crate) authority: PrivateKey,
    pub(crate) instance: Uuid,
    pub(crate) epoch: u64,
    pub(crate) placing: Arc<Mutex<Placing>>,
    pub(crate) heard: mpsc::Receiver<Heard>,
    control: Option<Arc<OwnedFd>>,
    process: Child,
    serial: AtomicU64,
}

/// What a certificate says; changed by tests.
pub(crate) struct Draft {
    pub(crate) authority: PrivateKey,
    pub(crate) principals: Vec<String>,
    pub(crate) kind: CertType,
    pub(crate) session: String,
    pub(crate) epoch: u64,
    pub(crate) user: Option<String>,
    pub(crate) serial: u64,
    pub(crate) after: i64,
    pub(crate) before: i64,
    pub(crate) options: Vec<(String, String)>,
}

/// A key with its certificate, in files.
pub(crate) struct Identity {
    pub(crate) key: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) session: String,
}

impl Agent {
    /// Serves an instance of whoever runs the tests.
    pub(crate) fn start() -> Agent {
        Agent::start_as(&whoami())
    }

    pub(crate) fn start_as(user: &str) -> Agent {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let process = spawn(OwnedFd::from(listener), far, &directory.path().join("agent.log"));
        let authority = key();
        let instance = Uuid::new_v4();
        let start = ToAgent::Start {
            protocol: AGENT_PROTOCOL,
            instance,
            epoch: 7,
            user_authorities: vec![authority.public_key().to_openssh().unwrap()],
            user: user.to_owned(),
            environment: BTreeMap::from([
                ("JOB_SETTING".to_owned(), "of the job".to_owned()),
                ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ]),
            working_directory: directory.path().to_str().unwrap().to_owned(),
        };
        let near = Arc::new(near);
        send_packet(&near, &start);
        let Some((FromAgent::Ready { host_key }, _)) = receive_packet(&near) else {
            panic!("the agent is not ready: {}", fs::read_to_string(directory.path().join("agent.log")).unwrap())
        };
        let placing = Arc::new(Mutex::new(Placing::Place));
        let (sender, heard) = mpsc::channel();
        thread::spawn({
            let (near, placing) = (Arc::clone(&near), Arc::clone(&placing));
            move || shim(&near, &placing, &sender)
        });
        Agent {
            directory,
            address,
            host_key,
            authority,
            instance,
            epoch: 7,
            placing,
            heard,
            control: Some(near),
            process,
            serial: AtomicU64::new(1),
        }
    }

    pub(crate) fn send(&self, message: &ToAgent) {
        send_packet(self.control.as_ref().unwrap(), message);
    }

    /// Closes the shim's end.
    pub(crate) fn close_control(&mut self) {
        let control = self.control.take().unwrap();
        rustix::net::shutdown(&*control, rustix::net::Shutdown::Both).unwrap();
    }

    pub(crate) fn process(&mut self) -> &mut Child {
        &mut self.process
    }

    pub(crate) fn draft(&self) -> Draft {
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        Draft {
            authority: self.authority.clone(),
            principals: vec![self.instance.to_string()],
            kind: CertType::User,
            session: format!("api-{serial}"),
            epoch: self.epoch,
            user: None,
            serial,
            after: -10,
            before: 50,
            options: Vec::new(),
        }
    }

    /// A key with a good certificate.
    pub(crate) fn identity(&self) -> Identity {
        self.identity_of(self.draft())
    }

    pub(crate) fn identity_of(&self, draft: Draft) -> Identity {
        let subject = key();
        let certificate = sign(&subject, &draft);
        let name = Uuid::new_v4().to_string();
        let path = self.directory.path().join(&name);
        write_private(&path, &subject.to_openssh(LineEnding::LF).unwrap());
        let certificate_path = self.directory.path().join(format!("{name}-cert.pub"));
        fs::write(&certificate_path, certificate).unwrap();
        Identity { key: path, certificate: certificate_path, session: draft.session }
    }

    /// `ssh` with everything but what it is to run.
    pub(crate) fn ssh(&self, identity: &Identity) -> Command {
        let mut command = self.ssh_bare();
        command
            .arg("-i")
            .arg(&identity.key)
            .arg(format!("-oCertificateFile={}", identity.certificate.display()))
            .arg("-oIdentitiesOnly=yes")
            .arg("-oPreferredAuthentications=publickey");
        command
    }

    /// `ssh` without any credentials.
    pub(crate) fn ssh_bare(&self) -> Command {
        let known = self.directory.path().join("known_hosts");
        fs::write(&known, format!("[127.0.0.1]:{} {}\n", self.address.port(), self.host_key)).unwrap();
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-l", "job", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oLogLevel=ERROR"])
            .arg(format!("-oUserKnownHostsFile={}", known.display()))
            .args(["-oGlobalKnownHostsFile=none", "-oControlPath=none"])
            .args(["-p", &self.address.port().to_string()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command over a connection of its own.
    pub(crate) fn run(&self, command: &str) -> Output {
        self.ssh(&self.identity()).arg("127.0.0.1").arg(command).output().unwrap()
    }

    /// Runs it and expects success.
    pub(crate) fn stdout(&self, command: &str) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{output:?}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default()
    }

    /// The next thing that the shim hears.
    pub(crate) fn hear(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the agent said nothing\n{}", self.log()))
    }

    /// Whatever else it hears before it.
    pub(crate) fn hear_leave(&self, session: &str) {
        while self.hear() != Heard::Leave(session.to_owned()) {}
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
}

pub(crate) fn other_key() -> PrivateKey {
    key()
}

/// Signs in the OpenSSH format.
pub(crate) fn sign(subject: &PrivateKey, draft: &Draft) -> String {
    sign_public(subject.public_key().key_data().clone(), draft)
}

pub(crate) fn sign_public(subject: russh::keys::ssh_key::public::KeyData, draft: &Draft) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let at = |offset: i64| u64::try_from(now + offset).unwrap();
    let mut builder =
        Builder::new_with_random_nonce(&mut safe_rng(), subject, at(draft.after), at(draft.before)).unwrap();
    builder.serial(draft.serial).unwrap().cert_type(draft.kind).unwrap().key_id("test").unwrap();
    if draft.principals.is_empty() {
        builder.all_principals_valid().unwrap();
    }
    for principal in &draft.principals {
        builder.valid_principal(principal).unwrap();
    }
    let option = serde_json::json!({"session": draft.session, "epoch": draft.epoch, "user": draft.user});
    builder.critical_option(SESSION_OPTION, option.to_string()).unwrap();
    for (name, value) in &draft.options {
        builder.critical_option(name, value).unwrap();
    }
    builder.extension("permit-pty", "").unwrap();
    builder.sign(&draft.authority).unwrap().to_openssh().unwrap()
}

pub(crate) fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

pub(crate) fn whoami() -> String {
    String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says loudly what is not tested.
pub(crate) fn needs_root(what: &str) -> bool {
    if !is_root() {
        eprintln!("\n!!! SKIPPED, needs root: {what}\n");
    }
    is_root()
}

/// Waits until something is so; the condition is asked again and again because no event tells of it.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it did not come to be: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until something stands still: the same reading many times in a row, because nothing tells that nothing happens.
pub(crate) fn wait_until_still<T: PartialEq>(what: &str, read: impl Fn() -> T) -> T {
    const TIMES: usize = 30;
    let mut last = read();
    let mut times = 0;
    wait_until(what, || {
        let now = read();
        times = if now == last { times + 1 } else { 0 };
        last = now;
        times == TIMES
    });
    read()
}

/// What a process has written, and how often it gave up the processor of itself: both stand still while it is held up.
pub(crate) fn progress(process: i32) -> (String, String) {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
        text.lines().find(|it| it.starts_with(key)).unwrap().to_owned()
    };
    (line("io", "wchar:"), line("status", "voluntary_ctxt_switches:"))
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(process: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|it| !it.trim().is_empty() && !it.trim_start().starts_with('Z'))
}

/// Starts the agent as the shim does: descriptors 3, 4 and 5.
fn spawn(listener: OwnedFd, control: OwnedFd, log: &Path) -> Child {
    let program = std::env::var_os("APC_AGENT").map_or_else(|| std::env::current_exe().unwrap(), PathBuf::from);
    // Out of the way of those that they are to become.
    let [listener, control] = [listener, control].map(|it| fcntl_dupfd_cloexec(it, 20).unwrap());
    for descriptor in [&listener, &control] {
        fcntl_setfd(descriptor, FdFlags::empty()).unwrap();
    }
    let script = format!(
        r#"exec -a apc-agent /proc/self/fd/3 3<"$0" 4<&{0} 5<&{1} {0}<&- {1}<&-"#,
        listener.as_raw_fd(),
        control.as_raw_fd()
    );
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).arg(program).env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(fs::File::create(log).unwrap());
    command.spawn().unwrap()
}

fn send_packet(socket: &OwnedFd, message: &ToAgent) {
    send(socket, &serde_json::to_vec(message).unwrap(), SendFlags::NOSIGNAL).unwrap();
}

fn receive_packet(socket: &OwnedFd) -> Option<(FromAgent, Vec<OwnedFd>)> {
    let mut packet = vec![0; 64 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut ancillary, flags).ok()?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    (received.bytes != 0).then(|| (serde_json::from_slice(&packet[..received.bytes]).unwrap(), descriptors))
}

fn shim(socket: &OwnedFd, placing: &Mutex<Placing>, heard: &mpsc::Sender<Heard>) {
    while let Some((message, descriptors)) = receive_packet(socket) {
        let told = match message {
            FromAgent::Enter { request, session } => {
                assert_eq!(descriptors.len(), 1);
                let process = process_of(&descriptors[0]);
                match *placing.lock().unwrap() {
                    Placing::Place => send_packet(socket, &ToAgent::Entered { request, error: None }),
                    Placing::Refuse => {
                        let error = Some("no room in the test".to_owned());
                        send_packet(socket, &ToAgent::Entered { request, error });
                    }
                    Placing::Hold => (),
                }
                Heard::Enter { request, session, process }
            }
            FromAgent::Leave { session } => Heard::Leave(session),
            FromAgent::Ready { .. } => panic!("ready twice"),
        };
        if heard.send(told).is_err() {
            return;
        }
    }
    let _test_is_over = heard.send(Heard::Closed);
}

/// Whom a pidfd stands for.
fn process_of(pidfd: &OwnedFd) -> i32 {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let line = info.lines().find_map(|it| it.strip_prefix("Pid:")).unwrap();
    line.trim().parse().unwrap()
}

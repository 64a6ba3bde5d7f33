//! A whole cluster in a network namespace of its own: the real `apcd`, the real `apc`, real containers.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

pub const APC: &str = env!("CARGO_BIN_EXE_apc");
pub const APCD: &str = env!("CARGO_BIN_EXE_apcd");

/// Longer than anything takes on a loaded machine; only a hang reaches it.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// Whether this process may make containers; says loudly when a test is skipped.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED, NOT ROOT: {test} needs name spaces and containers");
    }
    root
}

/// A network namespace with loopback up, removed with everything in it.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gh-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name]);
        let res = Self { name };
        res.run("ip", &["link", "set", "lo", "up"]);
        res
    }

    /// A command that runs inside. (`ip netns exec` would hide the cgroup mounts below `/sys`.)
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg(program);
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a server of a test needs to run again after it was killed.
pub struct Cluster {
    pub namespace: Namespace,
    pub directory: PathBuf,
    pub server: Child,
    pub url: String,
}

/// What `apc` said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Cluster {
    /// Starts `apcd all` with the users admin, tom and mary, all logged in.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// As [`Cluster::start`], with more lines of configuration behind `[im]`.
    pub fn start_with(more: &str) -> Self {
        Self::start_in(std::env::temp_dir().join(format!("gatehouse-e2e-{}", uuid::Uuid::new_v4().simple())), more)
    }

    /// As [`Cluster::start_with`], with the state in `directory`.
    pub fn start_in(directory: PathBuf, more: &str) -> Self {
        Self::start_linked_in(directory, more, |_| ())
    }

    /// As [`Cluster::start_with`]; `link` may connect the namespace before anything starts.
    pub fn start_linked(more: &str, link: impl FnOnce(&Namespace)) -> Self {
        let directory = std::env::temp_dir().join(format!("gatehouse-e2e-{}", uuid::Uuid::new_v4().simple()));
        Self::start_linked_in(directory, more, link)
    }

    fn start_linked_in(directory: PathBuf, more: &str, link: impl FnOnce(&Namespace)) -> Self {
        let namespace = Namespace::new();
        link(&namespace);
        fs::create_dir_all(directory.join("state")).unwrap();
        let config = format!(
            "cluster = \"test\"\nstate = \"{}\"\n\n[router]\nlisten = \"127.0.0.1:0\"\n\n[im]\nstop_instances_on_exit = true\n{more}",
            directory.join("state").display()
        );
        fs::write(directory.join("gatehouse.toml"), config).unwrap();
        let (server, url) = serve(&namespace, &directory);
        let res = Self { namespace, directory, server, url };
        for name in ["admin", "tom", "mary"] {
            res.add_user(name);
            res.log_in(name);
        }
        res
    }

    /// Kills the server without warning.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts the server again on the same state; people's targets follow the new port.
    pub fn restart(&mut self) {
        let (server, url) = serve(&self.namespace, &self.directory);
        self.server = server;
        self.url = url;
        for name in ["admin", "tom", "mary"] {
            self.log_in(name);
        }
    }

    /// Stops the server as an operator does, and tells how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        terminate(&self.server);
        wait(&mut self.server)
    }

    pub fn add_user(&self, name: &str) {
        let config = self.directory.join("gatehouse.toml");
        let mut child = self
            .namespace
            .command(APCD)
            .args(["user", "add", name, "--password-stdin", "--config"])
            .arg(config)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("password of {name}\n").as_bytes()).unwrap();
        assert!(wait(&mut child).success());
    }

    /// A one-time token by which a component joins.
    pub fn join_token(&self, role: &str) -> String {
        let config = self.directory.join("gatehouse.toml");
        self.namespace.run(APCD, &["join", role, "--config", config.to_str().unwrap()]).trim().to_owned()
    }

    pub fn log_in(&self, name: &str) {
        let authority = self.directory.join("state/router/ca.pem").display().to_string();
        let said = self.apc(name, &["target", &self.url, "--ca", &authority]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let password = format!("password of {name}\n");
        let said = self.apc_with(name, &["login", "--user", name, "--password-stdin"], password.as_bytes());
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// Runs `apc` as somebody and waits for its end.
    pub fn apc(&self, who: &str, arguments: &[&str]) -> Said {
        self.apc_with(who, arguments, b"")
    }

    /// Runs `apc` as somebody with this input.
    pub fn apc_with(&self, who: &str, arguments: &[&str], input: &[u8]) -> Said {
        let mut child = self.spawn(who, arguments);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // A command that does not read its input closes the pipe.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Said::of(&output)
    }

    /// As [`Cluster::apc`]; the command must succeed.
    pub fn does(&self, who: &str, arguments: &[&str]) -> Said {
        let said = self.apc(who, arguments);
        assert_eq!(said.code, Some(0), "apc {arguments:?} as {who}: {said:?}\n{}", self.log());
        said
    }

    /// Starts `apc` as somebody, all three streams piped.
    pub fn spawn(&self, who: &str, arguments: &[&str]) -> Child {
        self.namespace
            .command(APC)
            .args(arguments)
            .env("APC_HOME", self.directory.join("homes").join(who))
            .env_remove("APC_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A busybox image imported by tom, and an app `web` of it, started, with SSH allowed if so asked.
    pub fn deploy(&self, ssh: bool) {
        let image = self.image();
        self.does("tom", &["package", "import", &image, "--name", "busybox"]);
        let create = [
            "app",
            "create",
            "web",
            "--package",
            "busybox",
            "--env",
            "GREETING=hello",
            "--user",
            "app",
            "--",
            "/bin/httpd",
            "-f",
            "-p",
            "8080",
            "-h",
            "/srv",
        ];
        self.does("tom", &create);
        if ssh {
            self.does("tom", &["app", "update", "web", "--allow-ssh"]);
        }
        self.does("tom", &["app", "start", "web"]);
    }

    /// Imports a document as the admin.
    pub fn import(&self, name: &str, text: &str) {
        let path = self.directory.join(format!("{name}.pol"));
        fs::write(&path, text).unwrap();
        self.does("admin", &["policy", "import", path.to_str().unwrap()]);
    }

    /// Directory of a root file system with busybox and the users root and app.
    pub fn image(&self) -> String {
        let root = self.directory.join("image");
        if !root.exists() {
            make_image(&root);
        }
        root.display().to_string()
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("apcd.log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.try_wait().ok().flatten().is_none() {
            terminate(&self.server);
            wait(&mut self.server);
        }
        if std::thread::panicking() {
            eprintln!("--- apcd said:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn serve(namespace: &Namespace, directory: &Path) -> (Child, String) {
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("apcd.log")).unwrap();
    let mut server = namespace
        .command(APCD)
        .args(["all", "--config"])
        .arg(directory.join("gatehouse.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ready ").map(str::to_owned));
    let Some(url) = ready else {
        wait(&mut server);
        panic!("apcd did not start:\n{}", fs::read_to_string(directory.join("apcd.log")).unwrap());
    };
    (server, url)
}

pub fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Waits for a child; a hang fails the test instead of hanging it.
pub fn wait(child: &mut Child) -> ExitStatus {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        process::{Pid, PidfdFlags, pidfd_open},
    };
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let timeout = Timespec { tv_sec: WAIT_MAX.as_secs().try_into().unwrap(), tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).unwrap();
    assert_eq!(ready, 1, "process {} does not end", child.id());
    child.wait().unwrap()
}

/// Reads from a pipe until `ready` is in it, and gives what was read.
pub fn read_until(from: &mut impl Read, ready: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(ready) {
        assert_eq!(from.read(&mut byte).unwrap(), 1, "ended with {:?}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Polls a condition that has no event of its own (kernel tables), with a bound.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < WAIT_MAX, "not so within {WAIT_MAX:?}: {what}");
        std::thread::yield_now();
    }
}

fn make_image(root: &Path) {
    for dir in ["bin", "dev", "etc", "home/app", "proc", "root", "srv", "sys", "tmp"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for tool in run("/bin/busybox", &["--list"]).lines().filter(|it| *it != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(tool)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\n").unwrap();
    fs::write(root.join("srv/index.html"), "hello\n").unwrap();
}

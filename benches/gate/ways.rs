//! The three ways to a program at the far end, each as a client's process.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use gatehouse::cli::connect::shell_words;
use rustix::{
    process::{Pid, Signal, WaitOptions, getpid, kill_process_group, set_child_subreaper, waitpgid},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    cluster::{APC, APCD, Cluster, wait},
    router::LISTEN,
    servers::{FIRST, SECOND, Servers},
};

/// How one gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `ssh`, straight.
    Direct,
    /// `ssh -J`, through a second sshd.
    Jump,
    /// `apc app connect`.
    Ours,
}

impl Way {
    /// In the order of every table.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Jump, Self::Ours];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "ssh",
            Self::Jump => "ssh -J",
            Self::Ours => "apc",
        })
    }
}

/// Both kinds of servers at work. The order of the fields is that of their end.
pub struct Ways {
    pub servers: Servers,
    pub cluster: Cluster,
}

impl Ways {
    /// Starts everything, and moves this thread, and what it starts from now on, into the network namespace of it.
    pub fn open() -> Self {
        let agent = Path::new(APCD).with_file_name("apc-agent");
        assert!(agent.exists(), "there is no {}; `make bench-gate` builds it", agent.display());
        // What a client leaves behind (`ssh -J` starts a second one) is ours to wait for and to count.
        set_child_subreaper(Some(getpid())).unwrap();
        let cluster = Cluster::start_with(LISTEN);
        cluster.deploy(true);
        // The job is started before all its processes are; from here on there are no more and no fewer.
        cluster.does("tom", &["app", "connect", "web", "--", "true"]);
        let servers = Servers::start(&cluster, &cluster.image());
        let namespace = File::open(format!("/run/netns/{}", cluster.namespace.name)).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).unwrap();
        Self { servers, cluster }
    }

    /// A client that runs these words, as leader of a process group; with a terminal at the far end if so asked.
    pub fn command(&self, way: Way, terminal: bool, words: &[&str]) -> Command {
        let mut command = if way == Way::Ours {
            let mut apc = Command::new(APC);
            apc.env("APC_HOME", self.cluster.directory.join("homes/tom")).env_remove("APC_TOKEN");
            apc.args(["app", "connect", "web"]).args(terminal.then_some("--tty")).arg("--").args(words);
            apc
        } else {
            let mut ssh = Command::new("ssh");
            ssh.arg("-F").arg(&self.servers.client_config).arg(if terminal { "-tt" } else { "-T" });
            if way == Way::Jump {
                ssh.args(["-J", FIRST]);
            }
            ssh.arg(SECOND).arg(shell_words(words));
            ssh
        };
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }
}

/// A running client; killed when it goes, with all that it has started.
pub struct Client(pub Child);

impl Client {
    /// Starts it, and answers how long it takes to its end, which must be a good one.
    pub fn run(command: &mut Command) -> Duration {
        let start = Instant::now();
        let mut client = Self(command.stderr(Stdio::piped()).spawn().unwrap());
        let status = client.0.wait().unwrap();
        let elapsed = start.elapsed();
        let mut errors = String::new();
        client.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(status.success(), "{command:?}: {errors}");
        elapsed
    }

    /// Ends its input and waits for its end.
    pub fn finish(mut self) {
        drop(self.0.stdin.take());
        assert!(wait(&mut self.0).success());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.0);
        let _gone = kill_process_group(group, Signal::KILL);
        let _gone = self.0.wait();
        while waitpgid(group, WaitOptions::empty()).is_ok() {}
    }
}

//! The life of one instance: start, restarts, SSH on and off, its lease, and its end.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rustix::{
    net::{
        AddressFamily, Shutdown, SocketFlags, SocketType, bind, listen, shutdown, socket_with,
        sockopt::set_socket_reuseaddr,
    },
    process::Signal,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    im::{
        ImError,
        cgroup::{AGENT, APP, Cgroups, SSH},
        error::Context,
        network::{INSIDE, SSH_PORT, ip, sysctl},
        process::{Process, catches},
        runtime::{
            Descriptors, Runc, Runtime,
            spec::{self, Container, ContainerProcess},
        },
        shim::{
            agent::{self, Agent},
            complain,
            files::{Files, write_json},
            flapping::Failures,
            log::{LOG_BYTES_MAX, Log},
            root::Root,
            server, user,
        },
    },
    wire::{
        agent::{AGENT_PROTOCOL, FromAgent, ToAgent},
        im::DesiredInstance,
        job::InstanceState,
        shim::{ShimSpecification, ShimStatus, ToShim},
    },
};

/// How long an agent may take until it serves.
const AGENT_READY_MAX: Duration = Duration::from_secs(20);

/// How long the last output of a dead process may take to arrive.
const OUTPUT_SECONDS_MAX: Duration = Duration::from_secs(2);

/// Grace for the main process when the host stops its shims.
const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// Everything about the instance.
#[derive(Debug)]
pub struct Supervisor {
    specification: ShimSpecification,
    id: String,
    files: Files,
    root: Root,
    hostname: String,
    runtime: Arc<dyn Runtime>,
    cgroups: Cgroups,
    image: OwnedFd,
    /// Bound to port 222 as long as the instance lives, so that the job cannot squat on it; listens while SSH is on.
    listener: OwnedFd,
    status: watch::Sender<ShimStatus>,
    /// What may change: `ssh`, epoch; the rest is as at the start.
    instance: DesiredInstance,
    user_authorities: Vec<String>,
    output: Log,
    agent_output: Log,
    readers: Vec<JoinHandle<()>>,
    container: Option<Process>,
    agent: Option<Agent>,
    failures: Failures,
    agent_failures: u32,
    attached: bool,
    stopping: bool,
    due: Due,
}

/// When something is to happen by itself.
#[derive(Debug, Default)]
struct Due {
    start: Option<Instant>,
    agent: Option<Instant>,
    agent_ready: Option<Instant>,
    kill: Option<Instant>,
    lease: Option<Instant>,
}

/// What happened.
#[derive(Debug)]
enum Event {
    Command(Option<ToShim>),
    ContainerEnded,
    AgentEnded,
    AgentSaid(Result<(FromAgent, Vec<OwnedFd>), ImError>),
    Start,
    StartAgent,
    AgentLate,
    Kill,
    LeaseOver,
    Terminate,
}

impl Supervisor {
    /// Prepares everything that needs no network.
    pub fn new(specification: ShimSpecification, files: Files, root: Root, hostname: String) -> Result<Self, ImError> {
        let status = ShimStatus {
            state: InstanceState::Setup,
            epoch: specification.instance.epoch,
            host_key: None,
            has_shell: root.has_shell(),
            process: None,
            exit: None,
            flapping: false,
            message: None,
        };
        let due = Due { lease: lease(&specification.instance), ..Due::default() };
        Ok(Self {
            id: specification.instance.uuid.to_string(),
            runtime: Arc::new(Runc::new(specification.runtime.clone(), files.runtime())),
            cgroups: Cgroups::new(&specification.cgroup)?,
            image: agent::image(&specification.agent)?,
            listener: bind_ssh_port()?,
            status: watch::Sender::new(status),
            instance: specification.instance.clone(),
            user_authorities: specification.user_authorities.clone(),
            output: Log::open(files.output(), LOG_BYTES_MAX),
            agent_output: Log::open(files.agent_output(), LOG_BYTES_MAX / 8),
            readers: Vec::new(),
            container: None,
            agent: None,
            failures: Failures::default(),
            agent_failures: 0,
            attached: false,
            stopping: false,
            due,
            specification,
            files,
            root,
            hostname,
        })
    }

    /// Serves the manager's socket, and runs the instance until it is over; `announce` says that both may begin.
    pub async fn run(
        mut self,
        socket: UnixListener,
        announce: impl FnOnce() -> Result<(), ImError>,
    ) -> Result<(), ImError> {
        let what = || "open the shim's socket".to_owned();
        socket.set_nonblocking(true).context(what)?;
        let socket = tokio::net::UnixListener::from_std(socket).context(what)?;
        let (sender, mut commands) = mpsc::channel(16);
        let server = server::serve(socket, self.instance.uuid, self.status.subscribe(), sender);
        let server = tokio::spawn(server);
        let mut terminate = signal(SignalKind::terminate()).context(|| "wait for signals".to_owned())?;
        announce()?;
        while self.status.borrow().state != InstanceState::Removed {
            let event = tokio::select! {
                command = commands.recv() => Event::Command(command),
                () = ended(self.container.as_ref()) => Event::ContainerEnded,
                event = agent_event(self.agent.as_ref()) => event,
                () = at(self.due.start) => Event::Start,
                () = at(self.due.agent) => Event::StartAgent,
                () = at(self.due.agent_ready) => Event::AgentLate,
                () = at(self.due.kill) => Event::Kill,
                () = at(self.due.lease) => Event::LeaseOver,
                _ = terminate.recv() => Event::Terminate,
            };
            self.handle(event).await;
        }
        // The last status is told, if there is a manager that listens.
        let _told = tokio::time::timeout(OUTPUT_SECONDS_MAX, server).await;
        Ok(())
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(Some(command)) => self.command(command).await,
            // The server is gone, which only a bug explains; the lease and the host's signals still end us.
            Event::Command(None) => self.stop(TERMINATE_GRACE, Some("its shim is damaged".to_owned())).await,
            Event::ContainerEnded => self.container_ended().await,
            Event::AgentEnded => self.agent_ended("it ended").await,
            Event::AgentSaid(Ok((message, descriptors))) => self.agent_said(message, &descriptors).await,
            Event::AgentSaid(Err(error)) => self.agent_ended(&error.to_string()).await,
            Event::AgentLate => self.agent_ended("it does not begin to serve").await,
            Event::Start => self.start().await,
            Event::StartAgent => self.start_agent().await,
            Event::Kill => self.kill().await,
            Event::LeaseOver => {
                self.due.lease = None;
                self.stop(Duration::ZERO, Some("its lease was not renewed".to_owned())).await;
            }
            Event::Terminate => self.stop(TERMINATE_GRACE, Some("the host stops".to_owned())).await,
        }
    }

    async fn command(&mut self, command: ToShim) {
        match command {
            ToShim::Hello { .. } => {}
            ToShim::Attached => self.attach().await,
            ToShim::Settings { epoch, ssh, user_authorities } => self.settings(epoch, ssh, user_authorities).await,
            ToShim::Renew => self.due.lease = lease(&self.instance),
            ToShim::Stop { grace_ms } => self.stop(Duration::from_millis(grace_ms), None).await,
        }
    }

    /// Configures the instance's end of its pair; then the container can start.
    async fn attach(&mut self) {
        if self.attached || self.stopping {
            return;
        }
        match configure(self.specification.host, self.specification.address).await {
            Ok(()) => {
                self.attached = true;
                self.due.start = Some(Instant::now());
            }
            Err(error) => self.stop(Duration::ZERO, Some(error.to_string())).await,
        }
    }

    async fn settings(&mut self, epoch: u64, ssh: bool, user_authorities: Vec<String>) {
        let was_on = self.instance.ssh;
        let same = self.instance.epoch == epoch && self.user_authorities == user_authorities;
        self.instance.epoch = epoch;
        self.instance.ssh = ssh;
        self.user_authorities.clone_from(&user_authorities);
        self.status.send_if_modified(|it| std::mem::replace(&mut it.epoch, epoch) != epoch);
        match (was_on, ssh) {
            (false, true) => self.due.agent = Some(Instant::now()),
            (true, false) => self.close_ssh().await,
            (true, true) if !same => {
                let update = ToAgent::Update { epoch, user_authorities };
                if let Some(Err(error)) = self.agent.as_ref().map(|it| it.send(&update)) {
                    self.agent_ended(&error.to_string()).await;
                }
            }
            (true, true) | (false, false) => {}
        }
    }

    async fn start(&mut self) {
        self.due.start = None;
        if self.stopping || self.container.is_some() {
            return;
        }
        self.status.send_modify(|it| it.state = InstanceState::Starting);
        match self.start_container().await {
            Ok(process) => {
                let pid = process.pid().as_raw_nonzero().get();
                self.container = Some(process);
                self.status.send_modify(|it| {
                    it.state = InstanceState::Running;
                    it.process = Some(pid);
                });
                if self.instance.ssh {
                    self.start_agent().await;
                }
            }
            Err(error) => {
                self.clean().await;
                self.failed(None, Some(error.to_string()));
            }
        }
    }

    async fn start_container(&mut self) -> Result<Process, ImError> {
        let (arguments, more) = if self.instance.process.command.is_empty() {
            // The agent's program knows how to idle: it waits for the end and buries orphans.
            let image = self.image.try_clone().context(|| "duplicate a descriptor".to_owned())?;
            (vec![agent::IMAGE.to_owned(), "idle".to_owned()], vec![image])
        } else {
            (self.instance.process.command.clone(), Vec::new())
        };
        let read = |path| self.root.read(path).unwrap_or_default();
        let user = user::find(&self.instance.process.user, &read("etc/passwd"), &read("etc/group"))?;
        let network = PathBuf::from(format!("/proc/{}/ns/net", std::process::id()));
        let (root, sys, etc, cgroup) = (self.root.path(), self.root.sys(), self.root.etc(), self.cgroups.absolute());
        let config = spec::container(&Container {
            process: ContainerProcess {
                arguments,
                environment: &self.instance.process.environment,
                working_directory: &self.instance.process.working_directory,
                uid: user.uid,
                gid: user.gid,
                groups: user.groups,
            },
            root: &root,
            sys: &sys,
            etc: &etc,
            hostname: &self.hostname,
            cgroup: &cgroup,
            network: &network,
            uid_base: self.specification.uid_base,
            shared_memory_bytes: (self.instance.resources.memory_bytes / 2).min(64 << 20),
        })?;
        write_json(&self.files.bundle().join("config.json"), &config)?;
        let (stdout, first) = self.output.pipe()?;
        let (stderr, second) = self.output.pipe()?;
        self.readers = vec![first, second];
        let descriptors = Descriptors { stdout, stderr, more };
        let pid = self.runtime.create(&self.id, &self.files.bundle(), descriptors).await?;
        let process = Process::open(pid)?.ok_or_else(|| ImError::Unusable("the container ended at once".to_owned()))?;
        self.limit(&process)?;
        self.runtime.start(&self.id).await?;
        Ok(process)
    }

    /// Moves the first process, which still waits, from the container's cgroup to `app` with the job's limits.
    fn limit(&self, process: &Process) -> Result<(), ImError> {
        for folder in ["", APP, SSH, AGENT] {
            self.cgroups.make(folder)?;
        }
        self.cgroups.place(APP, process.pid())?;
        self.cgroups.delegate("")?;
        self.cgroups.limit(APP, &self.instance.resources)?;
        self.cgroups.limit(SSH, &self.specification.reserve)
    }

    async fn start_agent(&mut self) {
        self.due.agent = None;
        let wanted = self.instance.ssh && !self.stopping && self.agent.is_none() && self.container.is_some();
        if !wanted {
            return;
        }
        let first = ToAgent::Start {
            protocol: AGENT_PROTOCOL,
            instance: self.instance.uuid,
            epoch: self.instance.epoch,
            user_authorities: self.user_authorities.clone(),
            user: self.instance.process.user.clone(),
            environment: self.instance.process.environment.clone(),
            working_directory: self.instance.process.working_directory.clone(),
        };
        let started = match self.cgroups.make(AGENT).and_then(|()| open_ssh_port(&self.listener)) {
            Ok(()) => {
                let start = agent::Start {
                    runtime: &*self.runtime,
                    id: &self.id,
                    files: &self.files,
                    cgroups: &self.cgroups,
                    image: &self.image,
                    listener: &self.listener,
                    log: &self.agent_output,
                };
                Agent::start(start, &first).await
            }
            Err(error) => Err(error),
        };
        match started {
            Ok(agent) => {
                self.agent = Some(agent);
                self.due.agent_ready = Instant::now().checked_add(AGENT_READY_MAX);
            }
            Err(error) => self.agent_ended(&error.to_string()).await,
        }
    }

    async fn agent_said(&mut self, message: FromAgent, descriptors: &[OwnedFd]) {
        match message {
            FromAgent::Ready { host_key } => {
                self.due.agent_ready = None;
                self.agent_failures = 0;
                self.status.send_modify(|it| {
                    it.host_key = Some(host_key);
                    it.message = None;
                });
            }
            FromAgent::Enter { request, session } => {
                let Some((agent, container)) = self.agent.as_ref().zip(self.container.as_ref()) else { return };
                let error = agent::enter(&self.cgroups, container.pid(), &session, descriptors).err();
                if let Err(error) = agent.send(&ToAgent::Entered { request, error }) {
                    self.agent_ended(&error.to_string()).await;
                }
            }
            FromAgent::Leave { session } => {
                let Ok(folder) = agent::session_folder(&session) else { return };
                let (cgroups, files) = (self.cgroups.clone(), self.files.clone());
                tokio::spawn(async move {
                    let done = async { cgroups.kill(&folder).await.and(cgroups.remove(&folder).await) };
                    if let Err(error) = done.await {
                        complain(&files, &format!("session `{session}`: {error}"));
                    }
                });
            }
        }
    }

    /// Ends what is left of an agent and its sessions, and tries again a little later.
    async fn agent_ended(&mut self, why: &str) {
        complain(&self.files, &format!("agent: {why}"));
        self.kill_ssh().await;
        if !self.instance.ssh || self.stopping || self.container.is_none() {
            return;
        }
        self.agent_failures = self.agent_failures.saturating_add(1);
        let wait = Duration::from_millis(100).saturating_mul(1 << self.agent_failures.min(6));
        self.due.agent = Instant::now().checked_add(wait);
        self.status.send_modify(|it| it.message = Some(format!("its SSH server does not run: {why}")));
    }

    async fn kill_ssh(&mut self) {
        self.due.agent_ready = None;
        if let Err(error) = self.cgroups.kill(SSH).await {
            complain(&self.files, &error.to_string());
        }
        if let Some(agent) = self.agent.take() {
            agent.ended().await;
            agent.reap();
        }
        for session in self.cgroups.children(SSH) {
            if let Err(error) = self.cgroups.remove(&format!("{SSH}/{session}")).await {
                complain(&self.files, &error.to_string());
            }
        }
        self.status.send_if_modified(|it| it.host_key.take().is_some());
    }

    /// SSH off: the port answers no more, and every session ends.
    async fn close_ssh(&mut self) {
        self.due.agent = None;
        // On a listening socket this ends listening, for everyone who has the descriptor; it stays bound.
        let _not_listening = shutdown(&self.listener, Shutdown::Both);
        self.kill_ssh().await;
        self.status.send_if_modified(|it| it.message.take().is_some());
    }

    async fn container_ended(&mut self) {
        let Some(container) = self.container.take() else { return };
        let exit = container.reap();
        for reader in std::mem::take(&mut self.readers) {
            let _all = tokio::time::timeout(OUTPUT_SECONDS_MAX, reader).await;
        }
        self.clean().await;
        if self.stopping {
            return self.finish(|it| it.exit = exit);
        }
        self.failed(exit, None);
    }

    /// The main process ended, or could not be started, without having been told to.
    fn failed(&mut self, exit: Option<i32>, message: Option<String>) {
        self.status.send_modify(|it| {
            it.process = None;
            it.message.clone_from(&message);
            it.state = InstanceState::Starting;
        });
        if !self.instance.restart || self.stopping {
            return self.finish(|it| it.exit = exit.or(Some(127)));
        }
        match self.failures.add(std::time::Instant::now()) {
            Some(wait) => self.due.start = Instant::now().checked_add(wait),
            None => self.finish(|it| {
                it.exit = exit.or(Some(127));
                it.flapping = true;
                let why = message.map(|it| format!(": {it}")).unwrap_or_default();
                it.message = Some(format!("three failures in five minutes, not started again{why}"));
            }),
        }
    }

    /// Begins the end.
    async fn stop(&mut self, grace: Duration, message: Option<String>) {
        if !self.stopping {
            self.stopping = true;
            self.status.send_modify(|it| {
                it.state = InstanceState::Stopping;
                it.message = message;
            });
            self.close_ssh_for_good().await;
        }
        let Some(container) = &self.container else {
            self.clean().await;
            return self.finish(|_| {});
        };
        // The first process of a namespace never gets a signal that it does not catch.
        if grace.is_zero() || !catches(container.pid(), Signal::TERM) {
            return self.kill().await;
        }
        container.signal(Signal::TERM);
        self.due.kill = Instant::now().checked_add(grace);
    }

    async fn close_ssh_for_good(&mut self) {
        let message = self.status.borrow().message.clone();
        self.instance.ssh = false;
        self.close_ssh().await;
        self.status.send_modify(|it| it.message = message);
    }

    async fn kill(&mut self) {
        self.due.kill = None;
        if let Err(error) = self.cgroups.kill("").await {
            complain(&self.files, &error.to_string());
        }
        // Its end is an event of its own.
        if let Some(container) = &self.container {
            container.signal(Signal::KILL);
        }
    }

    /// Removes everything of the container but its files, so that it can start anew.
    async fn clean(&mut self) {
        self.kill_ssh().await;
        for done in [self.cgroups.kill("").await, self.runtime.delete(&self.id).await, self.cgroups.remove("").await] {
            if let Err(error) = done {
                complain(&self.files, &error.to_string());
            }
        }
    }

    fn finish(&mut self, change: impl FnOnce(&mut ShimStatus)) {
        let mut last = self.status.borrow().clone();
        last.state = InstanceState::Removed;
        last.process = None;
        last.host_key = None;
        change(&mut last);
        if let Err(error) = write_json(&self.files.ended(), &last) {
            complain(&self.files, &error.to_string());
        }
        self.cgroups.tidy_above();
        self.status.send_replace(last);
    }
}

/// When a lease that begins now is over.
fn lease(instance: &DesiredInstance) -> Option<Instant> {
    instance.lease_ms.and_then(|it| Instant::now().checked_add(Duration::from_millis(it)))
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn ended(process: Option<&Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn agent_event(agent: Option<&Agent>) -> Event {
    let Some(agent) = agent else { return std::future::pending().await };
    tokio::select! {
        () = agent.ended() => Event::AgentEnded,
        said = agent.receive() => Event::AgentSaid(said),
    }
}

/// Configures our network namespace once the instance's end of the pair is in it.
async fn configure(host: Ipv4Addr, address: Ipv4Addr) -> Result<(), ImError> {
    // The agent and the job bind low ports without any capability over this namespace.
    sysctl("net/ipv4/ip_unprivileged_port_start", "0")?;
    for name in ["net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6"] {
        if std::path::Path::new("/proc/sys").join(name).exists() {
            sysctl(name, "1")?;
        }
    }
    ip(&format!(
        "link set lo up\naddr add {address}/31 dev {INSIDE}\nlink set {INSIDE} up\nroute add default via {host}\n"
    ))
    .await
}

/// Takes port 222 of the instance without serving it. Nobody else can bind it until this is closed.
fn bind_ssh_port() -> Result<OwnedFd, ImError> {
    let what = || format!("bind port {SSH_PORT} of the instance");
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).context(what)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SSH_PORT)).context(what)?;
    // Whoever sets the option on a socket of their own must not be able to share the port.
    set_socket_reuseaddr(&socket, false).context(what)?;
    Ok(socket)
}

/// Connections wait in the kernel until an agent takes them.
fn open_ssh_port(listener: &OwnedFd) -> Result<(), ImError> {
    listen(listener, 64).context(|| format!("listen on port {SSH_PORT} of the instance"))
}

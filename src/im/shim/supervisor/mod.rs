//! The life of one instance: start, restarts, SSH on and off, its lease, and its end.

use std::{
    os::{fd::OwnedFd, unix::net::UnixListener},
    sync::Arc,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    im::{
        ImError,
        cgroup::Cgroups,
        error::Context,
        process::{Process, catches},
        runtime::{Runc, Runtime},
        shim::{
            agent::{self, Agent},
            complain,
            files::{Files, write_json},
            flapping::Failures,
            log::{LOG_BYTES_MAX, Log},
            port::{self, SshPort},
            root::Root,
            server,
        },
    },
    wire::{
        agent::{FromAgent, ToAgent},
        im::DesiredInstance,
        job::InstanceState,
        shim::{ShimSpecification, ShimStatus, ToShim},
    },
};

mod container;
mod ssh;

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
    port: SshPort,
    status: watch::Sender<ShimStatus>,
    /// What may change: `ssh`, epoch; the rest is as at the start.
    instance: DesiredInstance,
    user_authorities: Vec<String>,
    output: Log,
    agent_output: Log,
    reader: Option<JoinHandle<()>>,
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
            port: SshPort::take()?,
            status: watch::Sender::new(status),
            instance: specification.instance.clone(),
            user_authorities: specification.user_authorities.clone(),
            output: Log::open(files.output(), LOG_BYTES_MAX),
            agent_output: Log::open(files.agent_output(), LOG_BYTES_MAX / 8),
            reader: None,
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
        match port::configure(self.specification.host, self.specification.address).await {
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

    async fn container_ended(&mut self) {
        let Some(container) = self.container.take() else { return };
        let exit = container.reap();
        if let Some(reader) = self.reader.take() {
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

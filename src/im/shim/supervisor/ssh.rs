//! SSH on and off: the agent's life, and what it asks for.

use std::{os::fd::OwnedFd, time::Duration};

use tokio::time::Instant;

use crate::{
    im::{
        cgroup::{AGENT, SSH},
        shim::{
            agent::{self, Agent},
            complain,
            supervisor::Supervisor,
        },
    },
    wire::agent::{AGENT_PROTOCOL, FromAgent, ToAgent},
};

/// How long an agent may take until it serves.
const AGENT_READY_MAX: Duration = Duration::from_secs(20);

impl Supervisor {
    pub(super) async fn start_agent(&mut self) {
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
        let prepared = self
            .cgroups
            .make(AGENT)
            // Killing the agent before may have left the limit at nothing.
            .and_then(|()| self.cgroups.limit(SSH, &self.specification.reserve))
            .and_then(|()| self.port.open());
        let started = match prepared {
            Ok(()) => {
                let start = agent::Start {
                    runtime: &*self.runtime,
                    id: &self.id,
                    files: &self.files,
                    cgroups: &self.cgroups,
                    image: &self.image,
                    listener: self.port.descriptor(),
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

    pub(super) async fn agent_said(&mut self, message: FromAgent, descriptors: &[OwnedFd]) {
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
    pub(super) async fn agent_ended(&mut self, why: &str) {
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

    pub(super) async fn kill_ssh(&mut self) {
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
    pub(super) async fn close_ssh(&mut self) {
        self.due.agent = None;
        self.port.close();
        self.kill_ssh().await;
        self.status.send_if_modified(|it| it.message.take().is_some());
    }

    pub(super) async fn close_ssh_for_good(&mut self) {
        let message = self.status.borrow().message.clone();
        self.instance.ssh = false;
        self.close_ssh().await;
        self.status.send_modify(|it| it.message = message);
    }
}

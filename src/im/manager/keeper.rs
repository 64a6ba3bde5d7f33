//! Keeps one instance as it is desired: one task from the first wish to the last file.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    im::{
        ImError,
        manager::{
            host::{Host, Remembered},
            launch::{self, Shim, shim_gone},
        },
        network::Pair,
        shim::{
            files::{Files, read_json, write_json},
            flapping::Failures,
        },
    },
    wire::{
        im::{ActualInstance, DesiredInstance},
        job::InstanceState,
        shim::{ShimStatus, ToShim},
    },
};

/// Between asking the main process to stop and killing everything.
const GRACE_MS: u64 = 5_000;

/// Between tries to remove what could not be removed.
const RETRY: Duration = Duration::from_secs(5);

/// What is wanted of an instance; always the whole wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// How it should be.
    pub wish: Wish,
    /// Authorities of users' certificates.
    pub user_authorities: Arc<Vec<String>>,
    /// Grows with each renewal of the lease.
    pub renewals: u64,
}

/// How an instance should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Nobody has said since we started: it goes on as it was.
    Unknown,
    /// It should run.
    Run(Box<DesiredInstance>),
    /// It should be gone.
    Remove,
}

/// How an instance was found.
#[derive(Debug)]
pub enum Found {
    /// Not at all.
    Nothing,
    /// Under a living shim.
    Running(Box<Shim>),
    /// Its shim was killed; what it held may still be there.
    Orphaned,
    /// Ended; only files are left.
    Ended(Box<ShimStatus>),
}

/// One instance.
#[derive(Debug)]
pub struct Keeper {
    host: Arc<Host>,
    instance: Uuid,
    files: Files,
    orders: watch::Receiver<Orders>,
    failures: Failures,
    slot: Option<u32>,
    port: Option<u16>,
}

/// What to do next.
enum Next {
    Create,
    Follow(Box<Shim>),
    Rest,
    Remove,
}

/// What happened while a shim is followed.
enum Heard {
    Status(Option<Box<ShimStatus>>),
    Orders,
    Retry,
}

/// What the shim has been told.
#[derive(Debug, Default)]
struct Told {
    attached: bool,
    stop: bool,
    settings: Option<(u64, bool, Arc<Vec<String>>)>,
    renewals: u64,
}

impl Keeper {
    /// For an instance that no other task keeps.
    pub fn new(host: Arc<Host>, instance: Uuid, orders: watch::Receiver<Orders>) -> Self {
        let files = host.files(instance);
        Self { host, instance, files, orders, failures: Failures::default(), slot: None, port: None }
    }

    /// Keeps it until nothing of it is left.
    pub async fn keep(mut self, found: Found) {
        let mut next = match found {
            Found::Nothing => Next::Create,
            Found::Running(shim) => {
                self.take_up();
                Next::Follow(shim)
            }
            Found::Orphaned => {
                self.take_up();
                self.after().await
            }
            Found::Ended(last) => {
                self.report_ended(&last);
                Next::Rest
            }
        };
        loop {
            next = match next {
                Next::Create => self.create().await,
                Next::Follow(shim) => {
                    self.follow(*shim).await;
                    self.after().await
                }
                Next::Rest => self.rest().await,
                Next::Remove => match self.remove().await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::warn!(instance = %self.instance, %error, "an instance cannot be removed");
                        self.report(|it| it.message = Some(error.to_string()));
                        tokio::time::sleep(RETRY).await;
                        Next::Remove
                    }
                },
            };
        }
    }

    /// Makes the instance. Fetching layers is given up as soon as the instance is not wanted any more.
    async fn create(&mut self) -> Next {
        let Some(desired) = self.desired() else { return Next::Remove };
        self.host.actual.send_modify(|all| {
            all.entry(self.instance).or_insert_with(|| fresh(&desired));
        });
        self.report(|it| it.state = InstanceState::Setup);
        let fetched = tokio::select! {
            layers = launch::layers(&self.host, &desired) => layers,
            () = unwanted(self.orders.clone()) => return Next::Remove,
        };
        let started = match fetched {
            Ok(layers) => self.start(&desired, layers).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(shim) => Next::Follow(Box::new(shim)),
            Err(error) => {
                tracing::warn!(instance = %self.instance, %error, "an instance cannot be started");
                self.try_again(&error.to_string()).await
            }
        }
    }

    async fn start(&mut self, desired: &DesiredInstance, layers: Vec<PathBuf>) -> Result<Shim, ImError> {
        let authorities = Arc::clone(&self.orders.borrow().user_authorities);
        let specification = launch::specify(&self.host, desired, &authorities, layers)?;
        self.slot = Some(specification.slot);
        // Never closed.
        let permit = self.host.starting.acquire().await;
        let started = Shim::start(&self.host, &self.files).await;
        drop(permit);
        if started.is_err() {
            self.bury().await?;
            self.host.forget(&self.files).await?;
        }
        started
    }

    /// After a failure: waits and tries again, or gives up.
    async fn try_again(&mut self, message: &str) -> Next {
        self.report(|it| it.message = Some(message.to_owned()));
        let Some(wait) = self.failures.add(std::time::Instant::now()) else {
            return self.give_up(true, &format!("three failures in five minutes, not started again: {message}"));
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => Next::Create,
            () = unwanted(self.orders.clone()) => Next::Remove,
        }
    }

    fn give_up(&mut self, flapping: bool, message: &str) -> Next {
        let epoch = self.desired().map_or(0, |it| it.epoch);
        let last = ShimStatus { flapping, ..ShimStatus::ended(epoch, message) };
        // If it cannot be written, the worst is that a later manager tries once more.
        drop(self.files.make().and_then(|()| write_json(&self.files.ended(), &last)));
        self.report_ended(&last);
        Next::Rest
    }

    /// Carries orders to the shim and reports its status, until it is gone.
    async fn follow(&mut self, mut shim: Shim) {
        let mut told = Told { renewals: self.orders.borrow().renewals, ..Told::default() };
        let mut retry = false;
        loop {
            let heard = tokio::select! {
                status = shim.hear() => Heard::Status(status.map(Box::new)),
                changed = self.orders.changed() => match changed {
                    Ok(()) => Heard::Orders,
                    // The manager stops, and the shim goes on.
                    Err(_) => std::future::pending().await,
                },
                () = tokio::time::sleep(RETRY), if retry => Heard::Retry,
            };
            let done = match heard {
                Heard::Status(None) => return,
                Heard::Status(Some(status)) => {
                    self.report_status(&status);
                    if told.attached { Ok(()) } else { self.attach(&mut shim, &status, &mut told).await }
                }
                Heard::Orders | Heard::Retry => Ok(()),
            };
            let done = match done {
                Ok(()) if told.attached => self.carry(&mut shim, &mut told).await,
                other => other,
            };
            retry = done.is_err();
            if let Err(error) = done {
                tracing::warn!(instance = %self.instance, %error, "an instance is not as it should be");
                self.report(|it| it.message = Some(error.to_string()));
            }
        }
    }

    /// Connects the instance to the network, if that was not done before.
    async fn attach(&mut self, shim: &mut Shim, status: &ShimStatus, told: &mut Told) -> Result<(), ImError> {
        if status.state == InstanceState::Setup {
            let pair = self.pair()?;
            self.host.network.detach(pair).await?;
            self.host.network.attach(pair, shim.process()).await?;
            shim.say(&ToShim::Attached).await?;
        }
        told.attached = true;
        Ok(())
    }

    /// Tells the shim what it does not know yet.
    async fn carry(&mut self, shim: &mut Shim, told: &mut Told) -> Result<(), ImError> {
        let orders = self.orders.borrow_and_update().clone();
        let desired = match &orders.wish {
            Wish::Unknown => return self.open_port_again().await,
            Wish::Remove if told.stop => return Ok(()),
            Wish::Remove => {
                told.stop = true;
                self.close_port().await?;
                return shim.say(&ToShim::Stop { grace_ms: GRACE_MS }).await;
            }
            Wish::Run(desired) => desired,
        };
        let settings = Some((desired.epoch, desired.ssh, Arc::clone(&orders.user_authorities)));
        if told.settings != settings {
            if desired.ssh {
                self.open_port().await?;
            } else {
                self.close_port().await?;
            }
            let user_authorities = orders.user_authorities.to_vec();
            shim.say(&ToShim::Settings { epoch: desired.epoch, ssh: desired.ssh, user_authorities }).await?;
            told.settings = settings;
        }
        if told.renewals != orders.renewals {
            told.renewals = orders.renewals;
            shim.say(&ToShim::Renew).await?;
        }
        Ok(())
    }

    async fn open_port(&mut self) -> Result<(), ImError> {
        if self.port.is_none() {
            self.port = Some(self.host.take_port(&self.files)?);
        }
        self.open_port_again().await
    }

    /// A port that was remembered may not have been opened before the manager before us died.
    async fn open_port_again(&mut self) -> Result<(), ImError> {
        match self.port {
            Some(port) => self.host.network.publish(port, self.pair()?).await,
            None => Ok(()),
        }
    }

    async fn close_port(&mut self) -> Result<(), ImError> {
        if let Some(port) = self.port {
            self.host.release_port(&self.files, port).await?;
            self.port = None;
            self.report(|it| it.public_port = None);
        }
        Ok(())
    }

    /// The shim is gone: ends what it may have left, and looks how it ended.
    async fn after(&mut self) -> Next {
        if let Err(error) = self.bury().await {
            tracing::warn!(instance = %self.instance, %error, "an ended instance cannot be removed");
            self.report(|it| it.message = Some(error.to_string()));
            tokio::time::sleep(RETRY).await;
            return Next::Remove;
        }
        let Some(desired) = self.desired() else { return Next::Remove };
        if let Err(error) = self.host.strip(&self.files).await {
            tracing::warn!(instance = %self.instance, %error, "an ended instance's files cannot be removed");
        }
        match read_json::<ShimStatus>(&self.files.ended()) {
            Ok(Some(last)) => {
                self.report_ended(&last);
                Next::Rest
            }
            Ok(None) if desired.restart => self.try_again("its shim was killed").await,
            Ok(None) => self.give_up(false, "its shim was killed"),
            Err(error) => self.give_up(false, &error.to_string()),
        }
    }

    /// Nothing runs any more; the last status is told until the instance is not desired any more.
    async fn rest(&mut self) -> Next {
        let waited = self.orders.wait_for(|it| it.wish == Wish::Remove).await.is_ok();
        if waited { Next::Remove } else { std::future::pending().await }
    }

    async fn remove(&mut self) -> Result<(), ImError> {
        self.report(|it| it.state = InstanceState::Stopping);
        self.bury().await?;
        self.host.forget(&self.files).await?;
        self.host.actual.send_modify(|all| drop(all.remove(&self.instance)));
        Ok(())
    }

    /// Ends everything of the instance but its files: processes, cgroups, pair, public port.
    async fn bury(&mut self) -> Result<(), ImError> {
        self.close_port().await?;
        let Some(slot) = self.slot else { return Ok(()) };
        shim_gone(&self.files).await?;
        self.host.bury(self.instance, slot).await?;
        self.host.strip(&self.files).await?;
        self.host.release_slot(slot);
        self.slot = None;
        Ok(())
    }

    /// Takes up what a manager before us gave to the instance.
    fn take_up(&mut self) {
        self.slot = self.host.specification(self.instance).ok().flatten().map(|it| it.slot);
        self.port = read_json::<Remembered>(&self.files.manager()).ok().flatten().and_then(|it| it.public_port);
        if let Some(port) = self.port {
            self.host.adopt_port(port);
        }
        let Some(desired) = self.desired() else { return };
        self.host.actual.send_modify(|all| drop(all.insert(self.instance, fresh(&desired))));
    }

    fn pair(&self) -> Result<Pair, ImError> {
        let slot = self.slot.ok_or(ImError::Exhausted("address"))?;
        self.host.adopt_slot(slot)
    }

    /// How it should be; as it was at first if nobody has said since we started.
    fn desired(&self) -> Option<DesiredInstance> {
        match &self.orders.borrow().wish {
            Wish::Run(desired) => Some((**desired).clone()),
            Wish::Remove => None,
            Wish::Unknown => self.host.specification(self.instance).ok().flatten().map(|it| it.instance),
        }
    }

    fn report(&self, change: impl FnOnce(&mut ActualInstance)) {
        self.host.actual.send_if_modified(|all| {
            let Some(actual) = all.get_mut(&self.instance) else { return false };
            let before = actual.clone();
            change(actual);
            *actual != before
        });
    }

    fn report_status(&self, status: &ShimStatus) {
        let port = self.port;
        self.report(|it| {
            it.epoch = status.epoch;
            it.state = status.state;
            it.public_port = status.host_key.as_ref().and(port);
            it.host_key.clone_from(&status.host_key);
            it.has_shell = Some(status.has_shell);
            it.exit = status.exit;
            it.flapping = status.flapping;
            it.message.clone_from(&status.message);
        });
    }

    fn report_ended(&self, last: &ShimStatus) {
        let epoch = self.desired().map_or(last.epoch, |it| it.epoch);
        self.host.actual.send_modify(|all| {
            let has_shell = all.get(&self.instance).and_then(|it| it.has_shell).or(Some(last.has_shell));
            let ended = ActualInstance {
                uuid: self.instance,
                epoch,
                state: InstanceState::Removed,
                public_port: None,
                host_key: None,
                has_shell,
                exit: last.exit,
                flapping: last.flapping,
                message: last.message.clone(),
            };
            all.insert(self.instance, ended);
        });
    }
}

/// Comes back when the instance is to be removed.
async fn unwanted(mut orders: watch::Receiver<Orders>) {
    if orders.wait_for(|it| it.wish == Wish::Remove).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn fresh(desired: &DesiredInstance) -> ActualInstance {
    ActualInstance {
        uuid: desired.uuid,
        epoch: desired.epoch,
        state: InstanceState::New,
        public_port: None,
        host_key: None,
        has_shell: None,
        exit: None,
        flapping: false,
        message: None,
    }
}

//! The API role: REST, sessions, consoles.

mod caller;
pub mod console;
pub mod error;
pub mod fleet;
mod import;
mod jobs;
mod records;
pub mod registry;
mod rest;
pub mod sessions;
pub mod tunnel;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::caller::{Caller, Token};
use crate::{
    api::{
        console::Consoles,
        error::{Failure, invalid},
        fleet::Fleet,
        records::{Stored, job_key, load, package_key},
        registry::Registry,
        tunnel::{ApiDirectory, Parts, SshDialer, Tunnel},
    },
    audit::Audit,
    config::Config,
    gate::{self, Gate, Operation, PackagePermit, Principal},
    link,
    store::{Store, StoreError},
    syntax::fqn::Fqn,
    wire::{
        audit::AuditItem,
        job::{Job, Package},
    },
};

/// The authority whose policy says which namespace is whose.
const LOGIN_TARGET: &str = "auth::/oauth2/http";

/// What every request handler shares, as `Arc<Api>` (the state of the `axum::Router`).
#[derive(Debug)]
pub struct Api {
    /// Names this API server; session ids begin with it.
    pub id: String,
    /// The cluster's name.
    pub cluster: String,
    /// This run of this server. A lease of another run, of this id too, is someone else's.
    pub boot: Uuid,
    /// The operator's settings.
    pub config: Arc<Config>,
    /// Where state is.
    pub store: Arc<dyn Store>,
    /// What decides.
    pub gate: Arc<Gate>,
    /// The audit log that the gate writes, for its readers.
    pub audit: Audit,
    /// The auth role.
    pub auth: link::Client,
    /// Jobs and instances, mirrored.
    pub registry: Registry,
    /// Instance managers.
    pub fleet: Fleet,
    /// Consoles held here.
    pub consoles: Consoles,
    /// Sessions into instances.
    pub tunnel: Arc<Tunnel>,
    /// Packages that are being imported.
    pub(crate) imports: import::Imports,
    /// Cancelled when [`Api::run`] is told to stop.
    pub stop: CancellationToken,
}

impl Api {
    /// Of its parts; [`Api::run`] makes it live.
    pub fn new(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        gate: Arc<Gate>,
        audit: Audit,
        auth: link::Client,
    ) -> Arc<Self> {
        let registry = Registry::new();
        let fleet = Fleet::new(registry.clone(), console_lease(&config));
        let consoles = Consoles::default();
        let tunnel = Tunnel::new(Parts {
            id: config.api.id.clone(),
            gate: Arc::clone(&gate),
            directory: Arc::new(ApiDirectory::new(Arc::clone(&store), registry.clone(), fleet.clone())),
            signer: Arc::new(auth.clone()),
            dialer: Arc::new(SshDialer),
            consoles: consoles.clone(),
            stale_refuse: Duration::from_millis(config.api.stale_refuse_ms),
            stale_end: Duration::from_millis(config.api.stale_end_ms),
            probe: None,
        });
        Arc::new(Self {
            id: config.api.id.clone(),
            cluster: config.cluster.clone(),
            boot: Uuid::new_v4(),
            config,
            store,
            gate,
            audit,
            auth,
            registry,
            fleet,
            consoles,
            tunnel,
            imports: import::Imports::default(),
            stop: CancellationToken::new(),
        })
    }

    /// Everything that goes on beside requests, until `stop`: the mirror, scheduling, consoles, live sessions.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let stopped = async {
            stop.cancelled().await;
            self.stop.cancel();
        };
        tokio::join!(
            stopped,
            self.registry.follow(Arc::clone(&self.store), stop.clone()),
            fleet::schedule::run(self.fleet.clone(), Arc::clone(&self.store), stop.clone()),
            console::keeper::run(Arc::clone(&self), stop.clone()),
            console::sweep::run(Arc::clone(&self), stop.clone()),
            self.tunnel.run(stop.clone()),
        );
    }

    /// Waits until it can answer: the mirror is complete. [`Api::run`] must be under way.
    pub async fn ready(&self) {
        let mut changed = self.registry.subscribe();
        while !self.registry.is_caught_up() && changed.changed().await.is_ok() {}
    }

    /// A job as the store has it now. What decides about one job reads this, never the mirror.
    pub async fn job(&self, uuid: Uuid) -> Result<Option<Job>, StoreError> {
        Ok(load(self.store.as_ref(), &job_key(uuid)).await?.map(|it: Stored<Job>| it.value))
    }

    /// Decides an operation, and fails where the answer is no.
    pub(crate) async fn require(&self, principal: &Principal, operation: Operation) -> Result<(), Failure> {
        let ruling = self.gate.require(principal, operation).await?;
        tracing::debug!(decision = %ruling.id(), target = ruling.operation().target(), "allowed");
        Ok(())
    }

    /// Writes down what was done; what cannot be written must not be done.
    pub(crate) async fn record(
        &self,
        event_type: &str,
        fqn: &str,
        principal: &str,
        payload: &[(&str, String)],
    ) -> Result<(), Failure> {
        let mut item: AuditItem = gate::record::item(event_type, fqn, principal, self.gate.clock().unix_ms());
        item.payload.extend(payload.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(self.gate.record(item).await?)
    }

    /// The packages of these names, each of which the principal may use.
    pub(crate) async fn usable_packages(
        &self,
        principal: &Principal,
        names: &[String],
        client: Option<std::net::IpAddr>,
    ) -> Result<Vec<Package>, Failure> {
        let mut packages = Vec::with_capacity(names.len());
        for name in names {
            // Asked before looking, so that the answer for what may not be used does not say whether it exists.
            let wanted = Operation::package_named(&[PackagePermit::Use], name, client);
            self.require(principal, wanted).await?;
            let found = load(self.store.as_ref(), &package_key(name)).await?;
            let package: Stored<Package> = found.ok_or_else(|| error::not_found(name))?;
            packages.push(package.value);
        }
        Ok(packages)
    }

    /// The namespace of a principal's short names: as policy says, else `/sandbox/<name>`.
    pub(crate) fn default_namespace(&self, principal: &Principal) -> Result<String, Failure> {
        let told = self.gate.default_namespace(principal, LOGIN_TARGET)?;
        let namespace = told.unwrap_or_else(|| format!("/sandbox/{}", principal.name()));
        Fqn::parse(&format!("job::{namespace}::x"))
            .map_err(|error| invalid(format!("`{namespace}` is no namespace: {error}")))?;
        Ok(namespace)
    }

    /// Who this run is as the owner of leases.
    pub(crate) fn lease_owner(&self) -> String {
        format!("{}/{}", self.id, self.boot)
    }

    /// How long a console lives without renewal.
    pub(crate) fn console_lease(&self) -> Duration {
        console_lease(&self.config)
    }
}

fn console_lease(config: &Config) -> Duration {
    Duration::from_millis(config.console.lease_ms.max(1_000))
}

//! Every role in one process: they speak over in-memory streams by the same code as between hosts.

use std::{
    mem,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use axum::http::Method;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    api::Api,
    audit::{Audit, Floor},
    auth::{self, Auth, Sealer, Setup},
    cli::daemon::{
        DaemonError, admin,
        apart::{self, im_settings},
        serving::{credentials, stop_signal},
    },
    config::Config,
    gate::{Authenticator, Gate, Kept, KeySet, PolicyView, Revocations, SystemClock},
    im,
    link::{self, Client, Listen, Role, TcpDoor},
    store::{Store, embedded::Embedded},
    wire::join::Authorities,
};

/// The store and the two chains of the audit log.
#[derive(Debug)]
pub(super) struct State {
    store: Embedded,
    kept: Mutex<Kept>,
    auth_audit: Audit,
    api_audit: Audit,
}

impl State {
    /// Opens or makes everything in the state folder.
    pub(super) async fn open(config: &Config) -> Result<Self, DaemonError> {
        private_folder(&config.state)?;
        let kept = Mutex::new(Kept::open(&config.state));
        let store = Embedded::open(&config.state.join("store"))?;
        let floor = Floor { path: config.state.clone(), free_bytes_min: config.audit.free_bytes_min };
        let auth_audit = Audit::open(store.log("audit"), "auth", Some(floor.clone())).await?;
        let api_audit = Audit::open(store.log("audit"), &config.api.id, Some(floor)).await?;
        Ok(Self { store, kept, auth_audit, api_audit })
    }

    /// The auth role on it.
    pub(super) async fn auth(&self, config: &Config, stop: CancellationToken) -> Result<Arc<Auth>, DaemonError> {
        let setup = Setup {
            cluster: config.cluster.clone(),
            keys: config.state.join("keys"),
            store: self.store(),
            kept: self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            witness: Arc::new(self.auth_audit.clone()),
            clock: Arc::new(SystemClock),
            zone: config.auth.time_zone()?,
            first_admin: config.auth.first_admin.clone(),
            token_seconds: config.auth.token_seconds,
            component_seconds: config.auth.component_seconds,
        };
        Ok(Auth::start(setup, stop).await?)
    }

    /// Who signs the ends of the audit log.
    pub(super) fn sealer(&self, auth: &Auth) -> Sealer {
        Sealer::new(Arc::clone(auth.keyring()), self.store(), self.store.log("audit"))
    }

    /// Writes what is queued and lets the files go.
    pub(super) async fn close(self) {
        self.store.close().await;
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    /// An API server's own gate: it believes the auth role's public keys and nothing else of it.
    async fn api_gate(&self, config: &Config, auth: &Client, stop: CancellationToken) -> Result<Gate, DaemonError> {
        let keys: Authorities = auth.json(Method::GET, "/internal/authorities", None, None::<&()>).await?;
        let key_set =
            |keys| KeySet::from_wire(keys).ok_or_else(|| DaemonError::Start("auth's keys are none".to_owned()));
        // The last who starts from it; nobody else holds on to it.
        let kept = mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let policy = PolicyView::start_from(kept, self.store(), key_set(&keys.snapshots)?, stop.clone()).await?;
        let revocations = Revocations::start(self.store(), stop).await?;
        let clock = Arc::new(SystemClock);
        let authenticator = Authenticator::new(&config.cluster, key_set(&keys.tokens)?, revocations, clock.clone());
        let witness = Arc::new(self.api_audit.clone());
        Ok(Gate::new(policy, Arc::new(authenticator), witness, clock, config.auth.time_zone()?))
    }
}

/// Serves until SIGTERM; then clients first, the store last.
pub(super) async fn run(config: Config) -> Result<(), DaemonError> {
    let stop = stop_signal()?;
    let state = State::open(&config).await?;
    let running = Running {
        config: Arc::new(config),
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
        auth: OnceLock::new(),
    };
    let outcome = running.start(&state, &stop).await;
    running.stop.cancel();
    running.tasks.close();
    running.tasks.wait().await;
    // Now that nobody writes any more.
    if let Some(auth) = running.auth.get() {
        seal_logged(&mut state.sealer(auth)).await;
    }
    state.close().await;
    outcome
}

/// Roles of this process.
#[derive(Debug)]
struct Running {
    config: Arc<Config>,
    /// Cancelled when the router is done with its clients.
    stop: CancellationToken,
    tasks: TaskTracker,
    /// The auth role, once it is there.
    auth: OnceLock<Arc<Auth>>,
}

impl Running {
    async fn start(&self, state: &State, stop: &CancellationToken) -> Result<(), DaemonError> {
        let auth = state.auth(&self.config, self.stop.clone()).await?;
        self.auth.get_or_init(|| Arc::clone(&auth));
        self.start_sealer(state.sealer(&auth)).await;
        let auth_dial = self.serve_auth(&auth).await?;
        let api_credentials = credentials(&auth, Role::Api, &self.config.api.id, &self.stop)?;
        let to_auth = || Client::new(auth_dial.clone(), api_credentials.clone(), Role::Auth);
        let gate = state.api_gate(&self.config, &to_auth(), self.stop.clone()).await?;
        let api = Api::new(Arc::clone(&self.config), state.store(), Arc::new(gate), state.api_audit.clone(), to_auth());
        self.tasks.spawn(Arc::clone(&api).run(self.stop.clone()));
        let api_dial = self.serve(api.routes(), &api_credentials, self.config.api.cluster_listen).await?;
        self.tasks.spawn(admin::serve_logged(self.config.state.clone(), Arc::clone(&auth), self.stop.clone()));
        if self.config.im.enabled {
            self.start_im(&auth, &api_dial)?;
        }
        let router_credentials = credentials(&auth, Role::Router, "router", &self.stop)?;
        let to_api = Client::new(api_dial, router_credentials.clone(), Role::Api);
        let to_auth = Client::new(auth_dial, router_credentials, Role::Auth);
        // Who is told that we serve must not meet a server that still reads its store.
        api.ready().await;
        apart::serve_clients(&self.config, vec![to_api], to_auth, stop.clone()).await
    }

    /// Seals what an earlier run has left before anything new is written, then what comes, and the rest at the end.
    async fn start_sealer(&self, mut sealer: Sealer) {
        seal_logged(&mut sealer).await;
        let stop = self.stop.clone();
        self.tasks.spawn(async move { sealer.run(&stop).await });
    }

    async fn serve_auth(&self, auth: &Arc<Auth>) -> Result<link::MemoryDialer, DaemonError> {
        let own = credentials(auth, Role::Auth, "auth", &self.stop)?;
        self.serve(auth::router(Arc::clone(auth)), &own, self.config.auth.cluster_listen).await
    }

    /// Serves a role inside this process, and on a socket where one is configured.
    async fn serve(
        &self,
        routes: axum::Router,
        own: &link::Credentials,
        address: Option<SocketAddr>,
    ) -> Result<link::MemoryDialer, DaemonError> {
        let (dialer, listener) = link::memory();
        self.serve_on(listener, own, routes.clone());
        if let Some(address) = address {
            self.serve_on(TcpDoor::bind(address).await?, own, routes);
        }
        Ok(dialer)
    }

    fn serve_on(&self, listener: impl Listen, own: &link::Credentials, routes: axum::Router) {
        self.tasks.spawn(link::serve(listener, own.clone(), routes, self.stop.clone()));
    }

    fn start_im(&self, auth: &Arc<Auth>, api_dial: &link::MemoryDialer) -> Result<(), DaemonError> {
        let uuid = own_uuid(&self.config.im_state())?;
        let own = credentials(auth, Role::Im, &uuid.to_string(), &self.stop)?;
        let client = Client::new(api_dial.clone(), own, Role::Api);
        let settings = im_settings(&self.config)?;
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            if let Err(error) = im::run(settings, Arc::new(im::Linked::new(vec![client])), stop).await {
                tracing::error!(%error, "the instance manager has stopped");
            }
        });
        Ok(())
    }
}

/// A log that cannot be sealed is told of here and by `apc audit verify`; the old head stays.
pub(super) async fn seal_logged(sealer: &mut Sealer) {
    if let Err(error) = sealer.seal().await {
        tracing::error!(event = "audit.seal.failed", %error, "the audit log is not sealed");
    }
}

/// The identity of this process's instance manager; it stays the same over restarts, as its instances do.
fn own_uuid(state: &Path) -> Result<Uuid, DaemonError> {
    private_folder(state)?;
    let path = state.join("identity");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return text.trim().parse().map_err(|_| DaemonError::Start(format!("`{}` holds no UUID", path.display())));
    }
    let uuid = Uuid::new_v4();
    std::fs::write(&path, uuid.to_string())?;
    Ok(uuid)
}

fn private_folder(path: &Path) -> Result<(), DaemonError> {
    use std::os::unix::fs::DirBuilderExt;
    Ok(std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?)
}

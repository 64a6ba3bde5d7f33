//! A real gate, a real signer and a real tunnel; jobs and instances as a test wants them, and a fake SSH by which it counts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Extension;
use gatehouse::{
    api::{
        fleet::{Located, Status},
        tunnel::{
            Parts, Signer, Tunnel,
            directory::Directory,
            instance::{Dialer, Doing},
            probe::Probe,
            routes,
        },
    },
    auth::{Auth, Setup, revoke_session},
    gate::{
        Authenticator, Clock, FixedClock, Gate, Kept, KeySet, PolicyView, Principal, Recorded, Revocations,
        SystemClock, Witness,
    },
    link::{Identity, Peer, Role},
    store::{Key, Store, StoreError, embedded::Embedded, json},
    wire::{
        audit::AuditItem,
        error::ApiError,
        im::ActualInstance,
        job::{InstanceRecord, InstanceState, Job, JobKind, JobState, Port, Process, Resources},
        policy::{PutDocument, PutPolicy},
        sign::{SignSession, SignedSession},
        token::TokenRequest,
        user::PutUser,
    },
};
use jiff::tz::TimeZone;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PASSWORD: &str = "correct horse";
/// A test that waits longer than this for what must happen has failed.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Where the job is; nobody has anything there but by [`World::permit`].
pub(crate) const FQN: &str = "job::/prod::web";

/// The audit log of all roles.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    items: Mutex<Vec<AuditItem>>,
    told: watch::Sender<usize>,
    pub(crate) deaf: AtomicBool,
}

impl Witness for Ears {
    fn record(&self, item: AuditItem) -> Recorded<'_> {
        Box::pin(async move {
            if self.deaf.load(Ordering::SeqCst) {
                return Err("the disk is full".to_owned());
            }
            self.items.lock().unwrap().push(item);
            self.told.send_modify(|count| *count += 1);
            Ok(())
        })
    }
}

impl Ears {
    pub(crate) fn of_type(&self, event_type: &str) -> Vec<AuditItem> {
        self.items.lock().unwrap().iter().filter(|it| it.event_type == event_type).cloned().collect()
    }

    /// Waits for an item of this type.
    pub(crate) async fn heard(&self, event_type: &str) -> AuditItem {
        let mut told = self.told.subscribe();
        let heard = async {
            loop {
                if let Some(item) = self.of_type(event_type).pop() {
                    return item;
                }
                told.changed().await.unwrap();
            }
        };
        timeout(SOON, heard).await.unwrap_or_else(|_| panic!("no `{event_type}` was recorded"))
    }
}

/// Jobs from the store, instances as the test says.
#[derive(Debug)]
pub(crate) struct Places {
    store: Arc<dyn Store>,
    versions: Mutex<BTreeMap<Uuid, u64>>,
    pub(crate) instances: Mutex<BTreeMap<Uuid, (Status, Option<Located>)>>,
    changed: watch::Sender<u64>,
    /// The store does not answer.
    pub(crate) broken: AtomicBool,
}

impl Directory for Places {
    fn job(&self, uuid: Uuid) -> Doing<'_, Result<Option<Job>, StoreError>> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            Ok(json::get::<Job>(&*self.store, &job_key(uuid)).await?.map(|it| it.value))
        })
    }

    fn mirrored_version(&self, uuid: Uuid) -> Option<u64> {
        self.versions.lock().unwrap().get(&uuid).copied()
    }

    fn instances(&self, job: Uuid) -> Vec<Status> {
        let all = self.instances.lock().unwrap();
        all.values().map(|(status, _)| status.clone()).filter(|it| it.record.job == job).collect()
    }

    fn epoch(&self, instance: Uuid) -> Option<u64> {
        self.instances.lock().unwrap().get(&instance).map(|(status, _)| status.record.epoch)
    }

    fn locate(&self, instance: Uuid) -> Option<Located> {
        self.instances.lock().unwrap().get(&instance)?.1.clone()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Places {
    pub(crate) fn change(&self, change: impl FnOnce(&mut BTreeMap<Uuid, (Status, Option<Located>)>)) {
        change(&mut self.instances.lock().unwrap());
        self.changed.send_modify(|count| *count += 1);
    }
}

/// The real signer, asked without a link between.
#[derive(Debug)]
pub(crate) struct DirectSigner {
    auth: Arc<Auth>,
    pub(crate) asked: AtomicUsize,
}

impl Signer for DirectSigner {
    fn sign(&self, session: SignSession) -> Doing<'_, Result<SignedSession, ApiError>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let api = Identity::new(Role::Api, "api1", "demo").unwrap();
            self.auth.signer().sign(&api, &session).await.map_err(|it| it.to_api())
        })
    }
}

/// All of it.
pub(crate) struct World {
    pub(crate) auth: Arc<Auth>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) places: Arc<Places>,
    pub(crate) signer: Arc<DirectSigner>,
    pub(crate) tunnel: Arc<Tunnel>,
    pub(crate) job: Job,
    pub(crate) instance: Uuid,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    store: Arc<dyn Store>,
    root: Principal,
    cancel: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl World {
    pub(crate) async fn start(dialer: Arc<dyn Dialer>, probe: Option<Arc<dyn Probe>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&folder.path().join("store")).unwrap());
        let (clock, ears, cancel) =
            (Arc::new(FixedClock::at(SystemClock.unix_seconds())), Arc::new(Ears::default()), CancellationToken::new());
        let setup = Setup {
            cluster: "demo".to_owned(),
            keys: folder.path().join("keys"),
            store: Arc::clone(&store),
            kept: Kept::default(),
            witness: Arc::clone(&ears) as Arc<dyn Witness>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            zone: TimeZone::UTC,
            first_admin: "root".to_owned(),
            token_seconds: 86_400,
            component_seconds: 86_400,
        };
        let auth = Auth::start(setup, cancel.clone()).await.unwrap();
        let gate = own_gate(&auth, &store, &clock, &ears, &cancel).await;
        let places = Arc::new(Places {
            store: Arc::clone(&store),
            versions: Mutex::default(),
            instances: Mutex::default(),
            changed: watch::Sender::new(0),
            broken: AtomicBool::new(false),
        });
        let signer = Arc::new(DirectSigner { auth: Arc::clone(&auth), asked: AtomicUsize::new(0) });
        let tunnel = Tunnel::new(Parts {
            id: "api1".to_owned(),
            gate: Arc::clone(&gate),
            directory: Arc::clone(&places) as Arc<dyn Directory>,
            signer: Arc::clone(&signer) as Arc<dyn Signer>,
            dialer,
            consoles: gatehouse::api::console::Consoles::default(),
            stale_refuse: Duration::from_secs(10),
            stale_end: Duration::from_secs(2),
            probe,
        });
        let (address, stop, running) = serve(&tunnel).await;
        let root_token = token_of(&auth, "root").await;
        let root = auth.gate().authenticate(Some(&root_token)).unwrap();
        let (job, instance) = (job(), Uuid::new_v4());
        let world = Self {
            auth,
            gate,
            clock,
            ears,
            places,
            signer,
            tunnel,
            job,
            instance,
            address,
            stop,
            running,
            store,
            root,
            cancel,
            _folder: folder,
        };
        world.put_job(&world.job).await;
        world.put_instance().await;
        world
    }

    /// A token of a user, who is made if there is none.
    pub(crate) async fn token(&self, name: &str) -> String {
        token_of(&self.auth, name).await
    }

    /// Lets `who` do `permit` in `/prod`, and nothing else and nobody else; answers when both gates go by it.
    pub(crate) async fn permit(&self, who: &str, permit: &str) -> u64 {
        self.set_policy(&format!(
            "job::/prod {{ if (auth_server@apcera.me->name == \"{who}\") {{ permit {permit} }} }}\n"
        ))
        .await
    }

    pub(crate) async fn set_policy(&self, text: &str) -> u64 {
        let document = PutDocument { name: "test".to_owned(), for_version: None, text: text.to_owned() };
        let change = PutPolicy { docs: vec![document], tests: Vec::new(), force: true };
        let revision = self.auth.policy().put(&self.root, &change, None).await.unwrap().revision;
        for gate in [&self.gate, self.auth.gate()] {
            let mut seen = gate.policy().subscribe();
            timeout(SOON, seen.wait_for(|it| revision <= *it)).await.unwrap().unwrap();
        }
        revision
    }

    /// Ends a user's login and waits until both gates know.
    pub(crate) async fn revoke(&self, token: &str) {
        let principal = self.auth.gate().authenticate(Some(token)).unwrap();
        revoke_session(&*self.store, &principal).await.unwrap();
        let mut changes = self.gate.authenticator().revocations().subscribe();
        let known = async {
            while self.gate.authenticate(Some(token)).is_ok() {
                changes.changed().await.unwrap();
            }
        };
        timeout(SOON, known).await.unwrap();
    }

    pub(crate) async fn put_job(&self, job: &Job) {
        let key = job_key(job.uuid);
        let before = self.store.get(&key).await.unwrap().map(|it| it.revision);
        json::put(&*self.store, &key, before, job).await.unwrap();
        self.places.versions.lock().unwrap().insert(job.uuid, job.version);
        self.places.change(|_| ());
    }

    pub(crate) async fn delete_job(&self) {
        let key = job_key(self.job.uuid);
        let before = self.store.get(&key).await.unwrap().unwrap().revision;
        self.store.delete(&key, before).await.unwrap();
        self.places.versions.lock().unwrap().remove(&self.job.uuid);
        self.places.change(|_| ());
    }

    async fn put_instance(&self) {
        let record =
            InstanceRecord { uuid: self.instance, job: self.job.uuid, im: Uuid::new_v4(), epoch: 7, generation: 1 };
        let key = Key::new(["instance".to_owned(), self.instance.to_string()]);
        json::put(&*self.store, &key, None, &record).await.unwrap();
        let located = Located {
            instance: self.instance,
            job: self.job.uuid,
            epoch: 7,
            im: record.im,
            address: "127.0.0.1:20000".parse().unwrap(),
            host_key: String::new(),
            has_shell: Some(true),
        };
        let actual = ActualInstance {
            uuid: self.instance,
            epoch: 7,
            state: InstanceState::Running,
            public_port: Some(20000),
            host_key: Some(String::new()),
            has_shell: Some(true),
            exit: None,
            flapping: false,
            message: None,
        };
        let status = Status { record, actual: Some(actual), host: None, connected: true };
        self.places.change(|all| drop(all.insert(self.instance, (status, Some(located)))));
    }
}

async fn own_gate(
    auth: &Auth,
    store: &Arc<dyn Store>,
    clock: &Arc<FixedClock>,
    ears: &Arc<Ears>,
    cancel: &CancellationToken,
) -> Arc<Gate> {
    let authorities = auth.authorities();
    let snapshots = KeySet::from_wire(&authorities.snapshots).unwrap();
    let tokens = KeySet::from_wire(&authorities.tokens).unwrap();
    let view = PolicyView::start(Arc::clone(store), snapshots, cancel.clone()).await.unwrap();
    let revocations = Revocations::start(Arc::clone(store), cancel.clone()).await.unwrap();
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let authenticator = Arc::new(Authenticator::new("demo", tokens, revocations, Arc::clone(&clock)));
    Arc::new(Gate::new(view, authenticator, Arc::clone(ears) as Arc<dyn Witness>, clock, TimeZone::UTC))
}

/// Serves the tunnel as if a router had brought every request.
async fn serve(tunnel: &Arc<Tunnel>) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let identity = Some(Identity::new(Role::Router, "router1", "demo").unwrap());
    let router = routes(Arc::clone(tunnel)).layer(Extension(Peer { identity, address: None }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let stop = CancellationToken::new();
    let (tunnel, stopped) = (Arc::clone(tunnel), stop.clone());
    (address, stop, tokio::spawn(async move { tunnel.run(stopped).await }))
}

async fn token_of(auth: &Auth, name: &str) -> String {
    let user = PutUser { password: Some(PASSWORD.to_owned()), ..PutUser::default() };
    auth.users().put(name, user).await.unwrap();
    let request = TokenRequest::Password { username: name.to_owned(), password: PASSWORD.to_owned() };
    auth.logins().log_in(&request, None).await.unwrap().access_token
}

fn job_key(uuid: Uuid) -> Key {
    Key::new(["job".to_owned(), uuid.to_string()])
}

/// A started job with SSH on.
fn job() -> Job {
    Job {
        uuid: Uuid::new_v4(),
        fqn: FQN.to_owned(),
        kind: JobKind::App,
        owner: "root".to_owned(),
        state: JobState::Started,
        version: 1,
        num_instances: 1,
        process: Process {
            command: Vec::new(),
            environment: BTreeMap::new(),
            user: "root".to_owned(),
            working_directory: "/".to_owned(),
        },
        packages: Vec::new(),
        ports: vec![Port { number: 222, optional: true }],
        tags: [("ssh".to_owned(), "true".to_owned())].into(),
        resources: Resources::default(),
        restart: true,
        console: None,
        generation: 1,
        running: None,
        message: None,
    }
}

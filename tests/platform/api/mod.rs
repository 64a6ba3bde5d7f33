//! The API server with a real auth role and gate, in-memory links and instance managers that only pretend.

mod consoles;
mod fleet;
mod hostile;
mod jobs;
mod manager;
mod packages;
mod policy;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use gatehouse::{
    api::Api,
    audit::Audit,
    auth::{self, Auth, Setup},
    config::Config,
    gate::{Authenticator, Gate, Kept, PolicyView, Recorded, Revocations, SystemClock, Witness},
    link::{Client, Credentials, MemoryDialer, Role, memory, read_body, serve},
    store::{Store, embedded::Embedded},
    wire::{
        audit::{AuditItem, AuditPage},
        error::ApiError,
        job::{CreateJob, JobKind, JobState, JobView, UpdateJob},
        policy::{PutDocument, PutPolicy},
        token::TokenRequest,
        user::PutUser,
    },
};
use jiff::tz::TimeZone;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{api::manager::Manager, authority::Authority};

const PASSWORD: &str = "correct horse";

/// For whatever is waited for; a test that gets there has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Writes to the audit log, until it is told to fail.
#[derive(Debug)]
struct Switch {
    audit: Audit,
    is_deaf: AtomicBool,
}

impl Witness for Switch {
    fn record(&self, item: AuditItem) -> Recorded<'_> {
        Box::pin(async move {
            if self.is_deaf.load(Ordering::SeqCst) {
                return Err("the disk is full".to_owned());
            }
            self.audit.record(item).await.map_err(|error| error.to_string())
        })
    }
}

/// A cluster without containers: the admin `root`, and users as they come.
struct Scene {
    authority: Authority,
    auth: Arc<Auth>,
    auth_dialer: MemoryDialer,
    store: Arc<dyn Store>,
    audit: Audit,
    witness: Arc<Switch>,
    config: Arc<Config>,
    cancel: CancellationToken,
    server: Server,
    folder: tempfile::TempDir,
}

/// One run of an API server.
struct Server {
    api: Arc<Api>,
    dialer: MemoryDialer,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// As `kill -9` would: nothing is finished.
    fn kill(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Scene {
    async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    async fn start_with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(&folder.path().join("store")).unwrap();
        let log = embedded.log("audit");
        let store: Arc<dyn Store> = Arc::new(embedded);
        let audit = Audit::open(Arc::clone(&log), "test", None).await.unwrap();
        let witness = Arc::new(Switch { audit: audit.clone(), is_deaf: AtomicBool::new(false) });
        let cancel = CancellationToken::new();
        let setup = Setup {
            cluster: "demo".to_owned(),
            keys: folder.path().join("keys"),
            store: Arc::clone(&store),
            kept: Kept::default(),
            witness: Arc::clone(&witness) as Arc<dyn Witness>,
            clock: Arc::new(SystemClock),
            zone: TimeZone::UTC,
            first_admin: "root".to_owned(),
            token_seconds: 86_400,
            component_seconds: 86_400,
        };
        let auth = Auth::start(setup, cancel.clone()).await.unwrap();
        let mut sealer = auth::Sealer::new(Arc::clone(auth.keyring()), Arc::clone(&store), log);
        sealer.seal().await.unwrap();
        let stop = cancel.clone();
        tokio::spawn(async move { sealer.run(&stop).await });
        let authority = Authority::new("demo");
        let (auth_dialer, listener) = memory();
        let served = serve(
            listener,
            authority.credentials(Role::Auth, "auth-1"),
            auth::router(Arc::clone(&auth)),
            cancel.clone(),
        );
        tokio::spawn(served);
        let mut config = Config { cluster: "demo".to_owned(), state: folder.path().to_owned(), ..Config::default() };
        // The least that is allowed, so that what must end by itself ends soon.
        config.console.lease_ms = 1_000;
        set(&mut config);
        let config = Arc::new(config);
        let serving = serve_api(&authority, &auth, &auth_dialer, &store, &audit, &witness, &config).await;
        let scene =
            Self { authority, auth, auth_dialer, store, audit, witness, config, cancel, server: serving, folder };
        scene.user("root").await;
        scene
    }

    /// Another run of the API server on the same store.
    async fn another_server(&self) -> Server {
        serve_api(&self.authority, &self.auth, &self.auth_dialer, &self.store, &self.audit, &self.witness, &self.config)
            .await
    }

    fn api(&self) -> &Arc<Api> {
        &self.server.api
    }

    /// A link to the API server as a component of this role.
    fn link(&self, role: Role, id: &str) -> Client {
        link_to(&self.server, self.authority.credentials(role, id))
    }

    /// A user, made and logged in.
    async fn user(&self, name: &str) -> User {
        let user = PutUser { password: Some(PASSWORD.to_owned()), ..PutUser::default() };
        self.auth.users().put(name, user).await.unwrap();
        let request = TokenRequest::Password { username: name.to_owned(), password: PASSWORD.to_owned() };
        let token = self.auth.logins().log_in(&request, None).await.unwrap().access_token;
        User { router: self.link(Role::Router, "router-1"), token }
    }

    /// Adds documents as the admin, and waits until the API server decides by them.
    async fn policy(&self, documents: &[(&str, &str)]) {
        let request = TokenRequest::Password { username: "root".to_owned(), password: PASSWORD.to_owned() };
        let token = self.auth.logins().log_in(&request, None).await.unwrap();
        let root = self.auth.gate().authenticate(Some(&token.access_token)).unwrap();
        let docs = documents.iter().map(|(name, text)| PutDocument {
            name: (*name).to_owned(),
            for_version: None,
            text: (*text).to_owned(),
        });
        let put = PutPolicy { docs: docs.collect(), tests: Vec::new(), force: true };
        let list = self.auth.policy().put(&root, &put, None).await.unwrap();
        let mut revision = self.api().gate.policy().subscribe();
        tokio::time::timeout(PATIENCE, revision.wait_for(|it| list.revision <= *it)).await.unwrap().unwrap();
    }

    /// All that was recorded of a type.
    async fn recorded(&self, event_type: &str) -> Vec<AuditItem> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            let page: AuditPage =
                self.audit.read(&gatehouse::audit::AuditFilter::default(), cursor, 500, |_| true).await.unwrap();
            if page.cursor == cursor {
                return all;
            }
            cursor = page.cursor;
            all.extend(page.records.into_iter().map(|it| it.item).filter(|it| it.event_type == event_type));
        }
    }

    /// Waits for a record of what was done before it was written down; others of its type there must not be.
    async fn until_recorded(&self, event_type: &str) -> AuditItem {
        let recorded = tokio::time::timeout(PATIENCE, async {
            loop {
                let all = self.recorded(event_type).await;
                if !all.is_empty() {
                    return all;
                }
                tokio::task::yield_now().await;
            }
        });
        let mut all = recorded.await.unwrap_or_default();
        assert_eq!(all.len(), 1, "{event_type}");
        all.remove(0)
    }

    /// A manager that comes, and does what it is told.
    async fn manager(&self) -> Manager {
        Manager::come(&self.server, &self.authority, Uuid::new_v4()).await
    }

    /// Records of a prefix that are in the store.
    async fn stored(&self, prefix: &str) -> usize {
        self.store.list(&gatehouse::store::Key::new([prefix])).await.unwrap().len()
    }

    /// Waits until a prefix has so many records.
    async fn until_stored(&self, prefix: &str, count: usize) {
        let mut events = self.store.watch(&gatehouse::store::Key::new([prefix])).await.unwrap();
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.stored(prefix).await != count {
                events.recv().await.unwrap();
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "`{prefix}` has {} records, not {count}", self.stored(prefix).await);
    }
}

fn link_to(server: &Server, credentials: Credentials) -> Client {
    Client::new(server.dialer.clone(), credentials, Role::Api)
}

async fn serve_api(
    authority: &Authority,
    auth: &Arc<Auth>,
    auth_dialer: &MemoryDialer,
    store: &Arc<dyn Store>,
    audit: &Audit,
    witness: &Arc<Switch>,
    config: &Arc<Config>,
) -> Server {
    let stop = CancellationToken::new();
    let keys = auth.keyring();
    let view = PolicyView::start(Arc::clone(store), keys.snapshot_keys().clone(), stop.clone()).await.unwrap();
    let revocations = Revocations::start(Arc::clone(store), stop.clone()).await.unwrap();
    let clock = Arc::new(SystemClock);
    let authenticator = Authenticator::new("demo", keys.token_keys().clone(), revocations, Arc::clone(&clock) as _);
    let gate = Gate::new(view, Arc::new(authenticator), Arc::clone(witness) as _, clock, TimeZone::UTC);
    let credentials = authority.credentials(Role::Api, "api-1");
    let to_auth = Client::new(auth_dialer.clone(), credentials.clone(), Role::Auth);
    let api = Api::new(Arc::clone(config), Arc::clone(store), Arc::new(gate), audit.clone(), to_auth);
    let (dialer, listener) = memory();
    let tasks = vec![
        tokio::spawn(Arc::clone(&api).run(stop.clone())),
        tokio::spawn(serve(listener, credentials, api.routes(), stop.clone())),
    ];
    Server { api, dialer, stop, tasks }
}

/// A logged-in user behind a router.
#[derive(Clone)]
struct User {
    router: Client,
    token: String,
}

/// An answer: its status, and its body if that is JSON.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn read<T: DeserializeOwned>(self) -> T {
        assert!(self.status < 400, "{self:?}");
        serde_json::from_value(self.body).unwrap()
    }

    /// The error, checked to be one.
    fn error(self) -> ApiError {
        assert!(400 <= self.status, "{self:?}");
        let error: ApiError = serde_json::from_value(self.body).unwrap();
        assert!(!error.code.is_empty() && !error.message.is_empty() && !error.request_id.is_empty(), "{error:?}");
        error
    }
}

impl User {
    async fn ask(&self, method: &str, path: &str, body: Option<&(impl Serialize + Sync)>) -> Answer {
        let bytes = body.map(|it| serde_json::to_vec(it).unwrap());
        self.send(method, path, &[("content-type", "application/json")], bytes.unwrap_or_default().into()).await
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.token));
        request = request.header("x-forwarded-for", "192.0.2.7");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(&self.router, request.body(body).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None::<&()>).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None::<&()>).await
    }

    /// Imports a package of one file.
    async fn package(&self, fqn: &str) {
        let archive = tarball(&[("bin/sh", b"#!")]);
        let path = format!("/v1/packages?fqn={fqn}");
        assert_eq!(self.send("POST", &path, &[], archive.into()).await.status, 201);
    }

    async fn create(&self, fqn: &str, kind: JobKind, package: &str) -> JobView {
        let create = CreateJob {
            environment: BTreeMap::from([("SECRET".to_owned(), "42".to_owned())]),
            ..app(fqn, kind, package)
        };
        self.ask("POST", "/v1/jobs", Some(&create)).await.read()
    }

    async fn update(&self, job: Uuid, update: &UpdateJob) -> Answer {
        self.ask("PUT", &format!("/v1/jobs/{job}"), Some(update)).await
    }

    /// Starts a job and waits until its instances are as they should be.
    async fn start(&self, job: Uuid) -> JobView {
        self.update(job, &started()).await.read::<JobView>();
        self.settled(job).await
    }

    /// Waits, by the API's own long poll, until a job has settled.
    async fn settled(&self, job: Uuid) -> JobView {
        let view: JobView = self.get(&format!("/v1/jobs/{job}?wait=25")).await.read();
        assert!(view.settled, "{view:?}");
        view
    }
}

async fn answer(client: &Client, request: axum::http::Request<Body>) -> Answer {
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = read_body(response.into_body(), 64 << 20).await.unwrap();
    Answer { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

fn app(fqn: &str, kind: JobKind, package: &str) -> CreateJob {
    CreateJob {
        fqn: fqn.to_owned(),
        kind,
        packages: vec![package.to_owned()],
        command: if kind == JobKind::App { vec!["/bin/httpd".to_owned()] } else { vec![] },
        environment: BTreeMap::new(),
        user: None,
        working_directory: None,
        num_instances: None,
        resources: None,
        restart: None,
    }
}

fn started() -> UpdateJob {
    UpdateJob { state: Some(JobState::Started), ..UpdateJob::default() }
}

/// An archive of regular files.
fn tarball(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A document that lets someone do something somewhere.
fn grant(realm: &str, who: &str, permits: &str) -> String {
    format!("{realm} {{ if (auth_server@apcera.me->name == \"{who}\") {{ permit {permits} }} }}\n")
}

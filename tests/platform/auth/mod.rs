//! The gate and the auth role, on the embedded store, with a clock that stands.

mod awkward;
mod gate;
mod joining;
mod keyring;
mod logins;
mod policy;
mod server;
mod signer;
mod tokens;
mod view;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use gatehouse::{
    auth::{Auth, AuthError, Setup},
    gate::{Clock, FixedClock, Kept, Principal, Recorded, Witness},
    store::{Key, Store, embedded::Embedded, json},
    wire::{
        audit::AuditItem,
        job::{InstanceRecord, Job, JobKind, JobState, Port, Process, Resources},
        policy::{PolicyList, PutDocument, PutPolicy},
        token::{TokenRequest, TokenResponse},
        user::PutUser,
    },
};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// 2026-11-23T12:00:00Z.
const NOW: i64 = 1_795_435_200;
const PASSWORD: &str = "correct horse";

/// Hears what is recorded, until it is deaf.
#[derive(Debug, Default)]
struct Ears {
    items: Mutex<Vec<AuditItem>>,
    deaf: AtomicBool,
}

impl Witness for Ears {
    fn record(&self, item: AuditItem) -> Recorded<'_> {
        Box::pin(async move {
            if self.deaf.load(Ordering::SeqCst) {
                return Err("the disk is full".to_owned());
            }
            self.items.lock().unwrap().push(item);
            Ok(())
        })
    }
}

impl Ears {
    fn of_type(&self, event_type: &str) -> Vec<AuditItem> {
        self.items.lock().unwrap().iter().filter(|it| it.event_type == event_type).cloned().collect()
    }
}

/// An auth role with an admin called `root`.
struct Scene {
    auth: Arc<Auth>,
    store: Arc<dyn Store>,
    clock: Arc<FixedClock>,
    ears: Arc<Ears>,
    /// The admin, logged in before any rule was changed.
    root: Principal,
    cancel: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Scene {
    async fn start() -> Self {
        Self::start_at(NOW).await
    }

    async fn start_at(unix_seconds: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&folder.path().join("store")).unwrap());
        Self::start_on(store, folder, unix_seconds).await
    }

    async fn start_on(store: Arc<dyn Store>, folder: tempfile::TempDir, unix_seconds: i64) -> Self {
        let (clock, ears, cancel) =
            (Arc::new(FixedClock::at(unix_seconds)), Arc::new(Ears::default()), CancellationToken::new());
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
        let user = PutUser { password: Some(PASSWORD.to_owned()), ..PutUser::default() };
        auth.users().put("root", user).await.unwrap();
        let request = TokenRequest::Password { username: "root".to_owned(), password: PASSWORD.to_owned() };
        // A store may read stale for a moment, and then there is no such user yet.
        let token = loop {
            match auth.logins().log_in(&request, None).await {
                Ok(token) => break token,
                Err(AuthError::Login(_)) => (),
                Err(error) => panic!("{error}"),
            }
        };
        let root = auth.gate().authenticate(Some(&token.access_token)).unwrap();
        ears.items.lock().unwrap().clear();
        Self { auth, store, clock, ears, root, cancel, _folder: folder }
    }

    async fn add_user(&self, name: &str) {
        self.put_user(name, PutUser { password: Some(PASSWORD.to_owned()), ..PutUser::default() }).await;
    }

    async fn put_user(&self, name: &str, change: PutUser) {
        self.auth.users().put(name, change).await.unwrap();
    }

    async fn log_in(&self, name: &str) -> Result<TokenResponse, AuthError> {
        self.log_in_with(name, PASSWORD).await
    }

    async fn log_in_with(&self, name: &str, password: &str) -> Result<TokenResponse, AuthError> {
        let request = TokenRequest::Password { username: name.to_owned(), password: password.to_owned() };
        self.auth.logins().log_in(&request, Some("192.0.2.1".parse().unwrap())).await
    }

    /// A user's token; the user is made.
    async fn token(&self, name: &str) -> String {
        self.add_user(name).await;
        self.log_in(name).await.unwrap().access_token
    }

    async fn principal(&self, name: &str) -> Principal {
        let token = self.token(name).await;
        self.auth.gate().authenticate(Some(&token)).unwrap()
    }

    async fn put_policy(&self, principal: &Principal, docs: &[(&str, &str)]) -> Result<PolicyList, AuthError> {
        self.auth.policy().put(principal, &put(docs), None).await
    }

    /// As the admin, whatever follows for the admin.
    async fn set_policy(&self, docs: &[(&str, &str)]) -> PolicyList {
        let change = PutPolicy { force: true, ..put(docs) };
        self.auth.policy().put(&self.root, &change, None).await.unwrap()
    }

    async fn add_job(&self, job: &Job) {
        json::put(&*self.store, &Key::new(["job".to_owned(), job.uuid.to_string()]), None, job).await.unwrap();
    }

    async fn add_instance(&self, job: &Job) -> InstanceRecord {
        let (uuid, im) = (Uuid::new_v4(), Uuid::new_v4());
        let record = InstanceRecord { uuid, job: job.uuid, im, epoch: 7, generation: 1 };
        json::put(&*self.store, &Key::new(["instance".to_owned(), uuid.to_string()]), None, &record).await.unwrap();
        record
    }
}

fn put(docs: &[(&str, &str)]) -> PutPolicy {
    let document = |(name, text): &(&str, &str)| PutDocument {
        name: (*name).to_owned(),
        for_version: None,
        text: (*text).to_owned(),
    };
    PutPolicy { docs: docs.iter().map(document).collect(), tests: Vec::new(), force: false }
}

/// A started job with SSH on.
fn job(fqn: &str) -> Job {
    Job {
        uuid: Uuid::new_v4(),
        fqn: fqn.to_owned(),
        kind: JobKind::App,
        owner: "tom".to_owned(),
        state: JobState::Started,
        version: 1,
        num_instances: 1,
        process: Process {
            command: vec!["/bin/sleep".to_owned(), "1000".to_owned()],
            environment: std::collections::BTreeMap::new(),
            user: "root".to_owned(),
            working_directory: "/".to_owned(),
        },
        packages: vec!["package::/sandbox/tom::busybox".to_owned()],
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

/// A document that lets `who` do `permit` on `realm`.
fn grant(realm: &str, who: &str, permit: &str) -> String {
    format!("{realm} {{ if (auth_server@apcera.me->name == \"{who}\") {{ permit {permit} }} }}\n")
}

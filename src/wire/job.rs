//! Jobs, instances and packages, as the REST API shows them and the store keeps them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job record. Stored under `job/<uuid>`; `job-name/<fqn>` holds the uuid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Identity for its whole life.
    pub uuid: Uuid,
    /// `job::/sandbox/tom::web`.
    pub fqn: String,
    /// App or capsule.
    pub kind: JobKind,
    /// Name of the principal who made it.
    pub owner: String,
    /// What was asked for and what came of it.
    pub state: JobState,
    /// Grows by one with each accepted change; a change names the version that it was made from.
    pub version: u64,
    /// How many instances are wanted while it is started.
    pub num_instances: u32,
    /// The main process.
    pub process: Process,
    /// FQNs of packages, lowest layer first.
    pub packages: Vec<String>,
    /// Ports that are exposed.
    pub ports: Vec<Port>,
    /// `ssh` is `"true"` or `"false"`.
    pub tags: BTreeMap<String, String>,
    /// Limits of each instance.
    pub resources: Resources,
    /// Start again when the main process ends.
    pub restart: bool,
    /// What a console clone is a clone of; absent for an ordinary job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub console: Option<ConsoleLease>,
    /// Grows with each start, restart and `--restart`; an instance of a lower generation is replaced.
    pub generation: u64,
    /// The settings that running instances were started with; a change without restart leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Box<RunningSpec>>,
    /// Why it is `errored`, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What instances of the present generation were started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningSpec {
    /// The main process.
    pub process: Process,
    /// FQNs of packages, lowest layer first.
    pub packages: Vec<String>,
    /// Their layers as they were then: a package that is imported anew changes nothing that runs.
    pub layers: Vec<Layer>,
    /// Limits.
    pub resources: Resources,
    /// Whether port 222 is open in them.
    pub ssh: bool,
}

/// App or capsule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// Runs a start command; SSH off until allowed.
    App,
    /// An operating system to work in; its main process idles; SSH on.
    Capsule,
}

/// Life of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Recorded.
    Created,
    /// Its packages resolve.
    Ready,
    /// Instances are wanted.
    Started,
    /// None are wanted.
    Stopped,
    /// Its process ended and is not started again.
    Finished,
    /// It cannot run; the message says why.
    Errored,
}

/// A process of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; run as given, by no shell. Empty: the image's default or, for a capsule, idling.
    pub command: Vec<String>,
    /// Environment. Shown to holders of `update` or `ssh` only.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// User name or number in the image.
    pub user: String,
    /// Where it starts.
    pub working_directory: String,
}

/// An exposed port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// Whether the job is healthy without a listener on it.
    pub optional: bool,
}

/// Limits of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes.
    pub memory_bytes: u64,
    /// Milliseconds of processor time a second.
    pub cpu_ms_per_second: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_bytes: 256 * 1024 * 1024, cpu_ms_per_second: 1_000, pids: 256 }
    }
}

/// The lease by which a console clone lives. Stored under `console/<session>` before the clone is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleLease {
    /// The session that it is for.
    pub session: String,
    /// The API server that renews it.
    pub owner: String,
    /// Grows with each renewal; a sweeper that sees no growth for the time to live takes the lease and deletes.
    pub epoch: u64,
    /// The job that was cloned.
    pub source: Uuid,
    /// The source's FQN at that time.
    pub source_fqn: String,
    /// The clone.
    pub clone: Uuid,
    /// The clone's FQN.
    pub clone_fqn: String,
    /// Name of the principal who opened it.
    pub principal: String,
}

/// Life of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InstanceState {
    /// Wanted, not yet taken up.
    New,
    /// Files and network are made.
    Setup,
    /// The process is being started.
    Starting,
    /// It runs.
    Running,
    /// It is being ended.
    Stopping,
    /// Nothing of it is left.
    Removed,
}

/// An instance as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Identity for its whole life.
    pub uuid: Uuid,
    /// Whose it is.
    pub job: Uuid,
    /// Where it is in its life.
    pub state: InstanceState,
    /// The instance manager that has it.
    pub im: Uuid,
    /// Address of that manager's host.
    pub host: String,
    /// The high port of the host behind which its port 222 is; none with SSH off.
    pub public_port: Option<u16>,
    /// OpenSSH fingerprint (`SHA256:...`) of its SSH server's host key.
    pub host_key_fingerprint: Option<String>,
    /// Failures of late, or what it waits for; for people.
    pub message: Option<String>,
}

/// An imported package. Stored under `package/<fqn>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Identity.
    pub uuid: Uuid,
    /// `package::/sandbox/tom::busybox`.
    pub fqn: String,
    /// Layers, lowest first.
    pub layers: Vec<Layer>,
    /// The image's default command, if it names one.
    pub default_command: Vec<String>,
    /// The image's environment.
    pub environment: BTreeMap<String, String>,
    /// Who imported it.
    pub owner: String,
}

/// One layer of a root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// `sha256:<hex>` of the stored, uncompressed tar archive, which is a blob of that digest.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
}

/// A job as the API shows it: `GET /v1/jobs/{uuid}`, and in a list `GET /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The record. Its environment is empty for who may neither update it nor enter it; for who may not read it but
    /// enter it, only identity, name, kind, state, SSH switch and console are told.
    #[serde(flatten)]
    pub job: Job,
    /// Whether there is more in the record than is told.
    pub partial: bool,
    /// Instances that run.
    pub running_instances: u32,
    /// Whether its instances are what was asked for, or never will be: nothing is under way.
    pub settled: bool,
}

/// Answer of `POST /v1/jobs/{uuid}/console`, when the clone runs and its SSH is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleOpened {
    /// Names the console's lease.
    pub session: String,
    /// The clone.
    pub job: JobView,
    /// Its instance.
    pub instance: Uuid,
    /// A session must have begun within so many milliseconds, else the clone goes.
    pub grace_ms: u64,
}

/// Answer of `GET /v1/jobs/{uuid}/logs`: one for each instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceLog {
    /// Whose.
    pub instance: Uuid,
    /// Its last lines, as the process wrote them; absent with a `message`.
    pub text: Option<String>,
    /// Why there are none.
    pub message: Option<String>,
}

/// A manager as `GET /v1/instance_managers` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceManager {
    /// Identity.
    pub uuid: Uuid,
    /// Address at which its public ports are reached.
    pub address: String,
    /// First and last public port.
    pub ports: (u16, u16),
    /// Whether its link is open.
    pub connected: bool,
    /// How many instances it last reported.
    pub instances: usize,
}

/// Body of `POST /v1/jobs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateJob {
    /// Full name.
    pub fqn: String,
    /// App or capsule.
    pub kind: JobKind,
    /// FQNs of packages, lowest layer first; at least one.
    pub packages: Vec<String>,
    /// Program and arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Default `root`.
    #[serde(default)]
    pub user: Option<String>,
    /// Default `/`.
    #[serde(default)]
    pub working_directory: Option<String>,
    /// Default 1.
    #[serde(default)]
    pub num_instances: Option<u32>,
    /// Default as [`Resources::default`].
    #[serde(default)]
    pub resources: Option<Resources>,
    /// Default true.
    #[serde(default)]
    pub restart: Option<bool>,
}

/// Body of `PUT /v1/jobs/{uuid}`: what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateJob {
    /// The version that this change was made from.
    pub for_version: Option<u64>,
    /// `started` or `stopped`.
    pub state: Option<JobState>,
    /// Adds or removes port 222 and sets the tag.
    pub ssh: Option<bool>,
    /// Replaces the environment.
    pub environment: Option<BTreeMap<String, String>>,
    /// Replaces the command.
    pub command: Option<Vec<String>>,
    /// How many.
    pub num_instances: Option<u32>,
    /// Limits.
    pub resources: Option<Resources>,
    /// Replace running instances by ones with the new settings.
    #[serde(default)]
    pub restart: bool,
}

impl Job {
    /// Whether its settings have SSH on; running instances may be older, see [`Job::ssh_in_force`].
    pub fn ssh_wanted(&self) -> bool {
        self.ports.iter().any(|port| port.number == SSH_PORT)
    }

    /// Whether its instances serve port 222 now: what connecting goes by.
    pub fn ssh_in_force(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.ssh)
    }
}

/// The port that SSH is served on inside an instance.
pub const SSH_PORT: u16 = 222;

/// The lease by which a manager holds an instance. Stored under `instance/<uuid>`; written only by API servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Identity for its whole life.
    pub uuid: Uuid,
    /// Whose it is.
    pub job: Uuid,
    /// The manager that should run it.
    pub im: Uuid,
    /// Grows each time the instance is given to another manager; what a manager reports under another is not believed.
    pub epoch: u64,
    /// The job's generation that it was made for.
    pub generation: u64,
}

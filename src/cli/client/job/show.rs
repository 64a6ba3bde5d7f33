//! Jobs and instances as tables.

use crate::{
    cli::client::{
        names::local_name,
        output::{properties, safe, table},
    },
    wire::job::{Instance, InstanceState, Job, JobKind, JobState, JobView, Port},
};

/// Bytes of a megabyte.
const MEGABYTE: u64 = 1024 * 1024;

/// All that is told of one job.
pub(crate) fn job(view: &JobView) -> String {
    let job = &view.job;
    let mut rows = vec![
        ("Job", local_name(&job.fqn).to_owned()),
        ("FQN", job.fqn.clone()),
        ("UUID", job.uuid.to_string()),
        ("Type", kind(job.kind).to_owned()),
        ("State", state_word(job.state).to_owned()),
        ("Running Instances", format!("{}/{}", view.running_instances, job.num_instances)),
    ];
    if let Some(message) = &job.message {
        rows.push(("Message", message.clone()));
    }
    if let Some(console) = &job.console {
        rows.push(("Console Of", console.source_fqn.clone()));
    }
    // Without `read` there is nothing to tell of these, and their blanks would say what is not so.
    if !job.packages.is_empty() {
        rows.push(("Resources", resources(job)));
        rows.push(("Process", process(job)));
    }
    rows.push(("Exposed Ports", ports(&job.ports)));
    rows.push(("Tags", pairs(job.tags.iter(), ": ")));
    if !job.packages.is_empty() {
        rows.push(("Packages", job.packages.join("\n")));
        let hidden = view.partial && job.process.environment.is_empty();
        let environment = if hidden { "(not shown)".to_owned() } else { pairs(job.process.environment.iter(), "=") };
        rows.push(("Environment", environment));
        rows.push(("Restart", if job.restart { "always" } else { "no" }.to_owned()));
        rows.push(("Version", job.version.to_string()));
    }
    properties(rows)
}

/// One line for each job.
pub(crate) fn list(jobs: &[JobView]) -> String {
    let row = |view: &JobView| {
        vec![
            local_name(&view.job.fqn).to_owned(),
            kind(view.job.kind).to_owned(),
            state_word(view.job.state).to_owned(),
            format!("{}/{}", view.running_instances, view.job.num_instances),
            view.job.tags.get("ssh").cloned().unwrap_or_default(),
            view.job.fqn.clone(),
        ]
    };
    table(&["NAME", "TYPE", "STATE", "INSTANCES", "SSH", "FQN"], jobs.iter().map(row))
}

/// What became of starting or stopping.
pub(crate) fn state(view: &JobView) -> String {
    let running = format!("{}/{} running", view.running_instances, view.job.num_instances);
    safe(&format!("{} is {} ({running})", view.job.fqn, state_word(view.job.state)))
}

/// One line for each instance.
pub(crate) fn instances(instances: &[Instance]) -> String {
    let row = |it: &Instance| {
        vec![
            it.uuid.to_string(),
            instance_state(it.state).to_owned(),
            it.host.clone(),
            it.public_port.map(|port| port.to_string()).unwrap_or_default(),
            it.host_key_fingerprint.clone().unwrap_or_default(),
            it.message.clone().unwrap_or_default(),
        ]
    };
    table(&["INSTANCE", "STATE", "HOST", "PORT OF 222", "HOST KEY", "MESSAGE"], instances.iter().map(row))
}

fn resources(job: &Job) -> String {
    let limits = &job.resources;
    format!(
        "memory: {} MB\ncpu: {} ms/s\nprocesses: {}",
        limits.memory_bytes / MEGABYTE,
        limits.cpu_ms_per_second,
        limits.pids
    )
}

fn process(job: &Job) -> String {
    let process = &job.process;
    let command = match (process.command.is_empty(), job.kind) {
        (false, _) => process.command.join(" "),
        (true, JobKind::Capsule) => "(idles)".to_owned(),
        (true, JobKind::App) => "(of the package)".to_owned(),
    };
    format!("start: {command}\nuser: {}\nfolder: {}", process.user, process.working_directory)
}

fn ports(ports: &[Port]) -> String {
    let shown =
        ports.iter().map(|it| if it.optional { format!("{} (optional)", it.number) } else { it.number.to_string() });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join("\n") }
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>, between: &str) -> String {
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}{between}{value}")).collect();
    pairs.join("\n")
}

fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::App => "app",
        JobKind::Capsule => "capsule",
    }
}

fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Created => "created",
        JobState::Ready => "ready",
        JobState::Started => "started",
        JobState::Stopped => "stopped",
        JobState::Finished => "finished",
        JobState::Errored => "errored",
    }
}

fn instance_state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::New => "NEW",
        InstanceState::Setup => "SETUP",
        InstanceState::Starting => "STARTING",
        InstanceState::Running => "RUNNING",
        InstanceState::Stopping => "STOPPING",
        InstanceState::Removed => "REMOVED",
    }
}

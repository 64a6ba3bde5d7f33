//! `/v1/jobs`: list, make, show, change and delete.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, conflict, invalid, not_found},
        jobs::{self, apply, by_name, draft, is_settled, job_view, permits_for},
        records::{Change, change, job_key, load_all},
        rest::Strict,
    },
    gate::{JobPermit, JobSight, Operation},
    store::StoreError,
    syntax::fqn::Fqn,
    wire::{
        error::ApiError,
        job::{CreateJob, Job, JobState, JobView, UpdateJob},
        sign::Open,
    },
};

/// Seconds that an answer may wait; below every deadline on the way.
const WAIT_SECONDS_MAX: u64 = 25;

/// Header that names what is about to be opened.
const OPEN: &str = "apc-open";

/// Which jobs are listed: all that are named must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Full name.
    fqn: Option<String>,
    /// Local name.
    name: Option<String>,
    /// `name` or `name:value`.
    tag: Option<String>,
}

/// `GET /v1/jobs`: those that the caller may know of. With `fqn=` it is that job or an empty list.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    Query(filter): Query<Filter>,
) -> Result<Json<Vec<JobView>>, Failure> {
    let open = about_to_open(&headers)?;
    let found: Vec<Job> = match &filter.fqn {
        Some(fqn) => {
            Fqn::parse(fqn).map_err(|error| invalid(format!("`{fqn}` is no name: {error}")))?;
            let found = by_name(api.store.as_ref(), fqn).await?.map(|it| it.value);
            let seen = api.gate.find_job_to_open(&caller.principal, found, fqn, open.as_ref(), caller.client).await;
            match seen {
                Ok((job, _)) => vec![job],
                Err(crate::gate::GateError::NotFound(_)) => vec![],
                Err(error) => return Err(error.into()),
            }
        }
        None => load_all(api.store.as_ref(), "job").await?.into_iter().map(|it| it.value).collect(),
    };
    let mut views = Vec::new();
    for job in found.into_iter().filter(|job| matches(job, &filter)) {
        let sight = api.gate.job_sight(&caller.principal, &job, open.as_ref(), caller.client)?;
        if sight.exists {
            // A list shows no environment: that is asked for one job at a time, and written down.
            views.push(job_view(&api.fleet, job, JobSight { environment: None, ..sight }));
        }
    }
    let payload = [("listed", views.len().to_string())];
    api.record("policy.access.allowed", "job::/", caller.principal.name(), &payload).await?;
    Ok(Json(views))
}

/// `POST /v1/jobs`. Wants `create` on it and `use` on its packages.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Strict(create): Strict<CreateJob>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    let mut job = draft(create, caller.principal.name())?;
    let wanted = Operation::job(&[JobPermit::Create], &job, caller.client);
    api.require(&caller.principal, wanted).await?;
    api.usable_packages(&caller.principal, &job.packages, caller.client).await?;
    job.state = JobState::Ready;
    api.record("job.created", &job.fqn, caller.principal.name(), &[("job", job.uuid.to_string())]).await?;
    match jobs::insert(api.store.as_ref(), &job).await {
        Ok(()) => (),
        Err(StoreError::Conflict(_)) => return Err(conflict(format!("there is a job `{}` already", job.fqn)).into()),
        Err(error) => return Err(error.into()),
    }
    let sight = api.gate.job_sight(&caller.principal, &job, None, caller.client)?;
    Ok((StatusCode::CREATED, Json(job_view(&api.fleet, job, sight))))
}

/// How long to wait for a job to settle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// Seconds.
    wait: Option<u64>,
}

/// `GET /v1/jobs/{uuid}?wait=`. Its environment is shown to holders of `update` or `ssh`, and that is written down.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    Path(uuid): Path<String>,
    Query(query): Query<Wait>,
) -> Result<Json<JobView>, Failure> {
    let open = about_to_open(&headers)?;
    let (mut job, mut sight) = visible_to_open(&api, &caller, &uuid, open.as_ref()).await?;
    if let Some(seconds) = query.wait {
        wait_until_settled(&api, &job, Duration::from_secs(seconds.min(WAIT_SECONDS_MAX))).await?;
        // Much may have changed meanwhile, what the caller may see too.
        (job, sight) = visible_to_open(&api, &caller, &uuid, open.as_ref()).await?;
    }
    sight = with_source(&api, &caller, &job, sight).await?;
    let shown: Vec<JobPermit> = sight.read.then_some(JobPermit::Read).into_iter().chain(sight.environment).collect();
    if !shown.is_empty() {
        api.require(&caller.principal, Operation::job(&shown, &job, caller.client)).await?;
    }
    Ok(Json(job_view(&api.fleet, job, sight)))
}

/// A console's clone has the environment of its app: who may not see that there does not see it here, whatever they may
/// do where the clone is.
async fn with_source(api: &Api, caller: &Caller, job: &Job, sight: JobSight) -> Result<JobSight, Failure> {
    let Some(lease) = job.console.as_ref().filter(|_| sight.environment.is_some()) else { return Ok(sight) };
    let seen = match api.job(lease.source).await? {
        Some(source) => api.gate.job_sight(&caller.principal, &source, None, caller.client)?.environment,
        None => None,
    };
    Ok(JobSight { environment: seen.and(sight.environment), ..sight })
}

/// `PUT /v1/jobs/{uuid}`.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(uuid): Path<String>,
    Strict(update): Strict<UpdateJob>,
) -> Result<Json<JobView>, Failure> {
    let permits = permits_for(&update)?;
    let (job, sight) = visible(&api, &caller, &uuid).await?;
    api.require(&caller.principal, Operation::job(&permits, &job, caller.client)).await?;
    // What will run must be usable now, not only when the job was made.
    let starts = permits.contains(&JobPermit::Start);
    let packages =
        if starts { api.usable_packages(&caller.principal, &job.packages, caller.client).await? } else { Vec::new() };
    apply(&job, &update, &packages)?;
    api.record("job.updated", &job.fqn, caller.principal.name(), &summary(&update)).await?;
    let key = job_key(job.uuid);
    let changed = change(api.store.as_ref(), &key, |found: &Job| {
        if found.packages != job.packages {
            return Err(Failure::from(conflict("the job was changed at the same time")));
        }
        Ok(Change::To(apply(found, &update, &packages)?))
    });
    let changed = changed.await?.ok_or_else(|| not_found(&uuid))?;
    Ok(Json(job_view(&api.fleet, changed.value, sight)))
}

/// `DELETE /v1/jobs/{uuid}`. Its instances go with it.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(uuid): Path<String>,
) -> Result<StatusCode, Failure> {
    let (job, _) = visible(&api, &caller, &uuid).await?;
    api.require(&caller.principal, Operation::job(&[JobPermit::Delete], &job, caller.client)).await?;
    api.record("job.deleted", &job.fqn, caller.principal.name(), &[("job", job.uuid.to_string())]).await?;
    jobs::delete(api.store.as_ref(), job.uuid, &job.fqn).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits until the job, as it is by then, has settled or is gone; at most so long.
async fn wait_until_settled(api: &Api, job: &Job, at_most: Duration) -> Result<(), Failure> {
    let mut stored = api.registry.subscribe();
    let mut reported = api.fleet.subscribe();
    let settled = async {
        loop {
            stored.mark_unchanged();
            reported.mark_unchanged();
            match api.job(job.uuid).await? {
                Some(job) if !is_settled(&api.fleet, &job) => (),
                _ => return Ok(()),
            }
            let changed = tokio::select! {
                changed = stored.changed() => changed,
                changed = reported.changed() => changed,
            };
            if changed.is_err() {
                return Ok(());
            }
        }
    };
    timeout(at_most, settled).await.unwrap_or(Ok(()))
}

/// The job of this uuid, if the caller may know of it; else the same "not found" for every reason.
pub(crate) async fn visible(api: &Api, caller: &Caller, uuid: &str) -> Result<(Job, JobSight), Failure> {
    visible_to_open(api, caller, uuid, None).await
}

/// The same for someone who is about to open something, which may be all that lets them know of the job.
pub(crate) async fn visible_to_open(
    api: &Api,
    caller: &Caller,
    uuid: &str,
    open: Option<&Open>,
) -> Result<(Job, JobSight), Failure> {
    let found = match Uuid::try_parse(uuid) {
        Ok(parsed) => api.job(parsed).await?,
        Err(_) => None,
    };
    Ok(api.gate.find_job_to_open(&caller.principal, found, uuid, open, caller.client).await?)
}

fn matches(job: &Job, filter: &Filter) -> bool {
    let local = |job: &Job| Fqn::parse(&job.fqn).ok().and_then(|it| it.local().map(|local| local.join("/")));
    let named = filter.name.as_ref().is_none_or(|name| local(job).as_ref() == Some(name));
    let tagged = filter.tag.as_ref().is_none_or(|tag| match tag.split_once(':') {
        Some((name, value)) => job.tags.get(name).is_some_and(|it| it == value),
        None => job.tags.contains_key(tag),
    });
    named && tagged
}

/// What the caller is about to open, for rules that ask for a command.
pub(crate) fn about_to_open(headers: &HeaderMap) -> Result<Option<Open>, ApiError> {
    let Some(value) = headers.get(OPEN) else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(value.as_bytes()).map_err(|_| invalid("`Apc-Open` is no base64url"))?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| invalid(format!("`Apc-Open`: {error}")))
}

/// What was changed, by name; values of the environment and of commands can be secrets.
fn summary(update: &UpdateJob) -> Vec<(&'static str, String)> {
    let state = update.state.map(|it| ("state", format!("{it:?}").to_lowercase()));
    let ssh = update.ssh.map(|it| ("ssh", it.to_string()));
    let instances = update.num_instances.map(|it| ("num_instances", it.to_string()));
    let replaced = [
        ("environment", update.environment.is_some()),
        ("command", update.command.is_some()),
        ("resources", update.resources.is_some()),
        ("restart", update.restart),
    ];
    let replaced = replaced.into_iter().filter(|(_, is)| *is).map(|(name, _)| (name, "true".to_owned()));
    state.into_iter().chain(ssh).chain(instances).chain(replaced).collect()
}

//! Instances of a job, their logs, and the managers that run them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, invalid, not_found},
        jobs::instance_view,
        records::{instance_key, remove as remove_record},
        rest::jobs::{about_to_open, visible, visible_to_open},
    },
    gate::{JobPermit, Operation},
    wire::job::{Instance, InstanceLog, InstanceManager},
};

/// Lines of a log at most.
const LINES_MAX: u32 = 10_000;

/// `GET /v1/jobs/{uuid}/instances`. Who may know of the job may know of its instances.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    Path(uuid): Path<String>,
) -> Result<Json<Vec<Instance>>, Failure> {
    let open = about_to_open(&headers)?;
    let (job, _) = visible_to_open(&api, &caller, &uuid, open.as_ref()).await?;
    Ok(Json(api.fleet.of_job(job.uuid).into_iter().map(|it| instance_view(&it)).collect()))
}

/// `DELETE /v1/jobs/{uuid}/instances/{instance}`: another one takes its place. Wants `stop` and `start`.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((uuid, instance)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    let (job, _) = visible(&api, &caller, &uuid).await?;
    let wanted = Operation::job(&[JobPermit::Stop, JobPermit::Start], &job, caller.client);
    api.require(&caller.principal, wanted).await?;
    let found = Uuid::try_parse(&instance).ok().and_then(|it| api.fleet.status(it));
    let found = found.filter(|it| it.record.job == job.uuid).ok_or_else(|| not_found(&instance))?;
    let payload = [("instance", found.record.uuid.to_string())];
    api.record("job.updated", &job.fqn, caller.principal.name(), &payload).await?;
    remove_record(api.store.as_ref(), &instance_key(found.record.uuid)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which part of the log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    lines: Option<u32>,
}

/// `GET /v1/jobs/{uuid}/logs?lines=`. Wants `read`.
pub(crate) async fn logs(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(uuid): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Vec<InstanceLog>>, Failure> {
    let (job, _) = visible(&api, &caller, &uuid).await?;
    api.require(&caller.principal, Operation::job(&[JobPermit::Read], &job, caller.client)).await?;
    let lines = query.lines.unwrap_or(100);
    if LINES_MAX < lines {
        return Err(invalid(format!("at most {LINES_MAX} lines at once")).into());
    }
    let mut logs = Vec::new();
    for status in api.fleet.of_job(job.uuid) {
        let instance = status.record.uuid;
        logs.push(match api.fleet.logs(instance, lines).await {
            Ok(text) => InstanceLog { instance, text: Some(text), message: None },
            Err(error) => InstanceLog { instance, text: None, message: Some(error.to_string()) },
        });
    }
    Ok(Json(logs))
}

/// `GET /v1/instance_managers`. Wants `read` on `cluster::/`.
pub(crate) async fn managers(
    State(api): State<Arc<Api>>,
    caller: Caller,
) -> Result<Json<Vec<InstanceManager>>, Failure> {
    api.require(&caller.principal, Operation::cluster_read(caller.client)).await?;
    let managers = api.fleet.connected_managers().into_iter().map(|it| InstanceManager {
        uuid: it.uuid,
        address: it.address.to_string(),
        ports: it.ports,
        connected: it.connected,
        instances: it.instances,
    });
    Ok(Json(managers.collect()))
}

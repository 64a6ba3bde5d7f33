//! `/v1/sessions`: live sessions of this server. One sees one's own, and those into jobs that one may update.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use crate::{
    api::{
        Api, Caller,
        error::{Failure, not_found},
    },
    gate::{JobPermit, Operation},
    wire::{printable::Printable, session::SessionView},
};

/// `GET /v1/sessions`.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Vec<SessionView>>, Failure> {
    let mut visible = Vec::new();
    for session in api.tunnel.sessions().list() {
        if is_visible(&api, &caller, &session).await? {
            visible.push(session);
        }
    }
    Ok(Json(visible))
}

/// `GET /v1/sessions/{id}`.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SessionView>, Failure> {
    Ok(Json(find(&api, &caller, &id).await?))
}

/// `DELETE /v1/sessions/{id}`: ends it at once. Of another's it wants `update` on the job.
pub(crate) async fn end(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    let session = find(&api, &caller, &id).await?;
    if session.principal != caller.principal.name() {
        let job = api.job(session.job).await?.ok_or_else(|| not_found(&id))?;
        let wanted = Operation::job(&[JobPermit::Update], &job, caller.client);
        api.require(&caller.principal, wanted).await?;
    }
    let reason = format!("ended by {}", Printable(caller.principal.name()));
    api.tunnel.sessions().end(&id, &reason);
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, caller: &Caller, id: &str) -> Result<SessionView, Failure> {
    let found = api.tunnel.sessions().get(id).ok_or_else(|| not_found(id))?;
    if !is_visible(api, caller, &found).await? {
        return Err(not_found(id).into());
    }
    Ok(found)
}

async fn is_visible(api: &Api, caller: &Caller, session: &SessionView) -> Result<bool, Failure> {
    if session.principal == caller.principal.name() {
        return Ok(true);
    }
    let Some(job) = api.job(session.job).await? else { return Ok(false) };
    let sight = api.gate.job_sight(&caller.principal, &job, None, caller.client)?;
    Ok(sight.environment == Some(JobPermit::Update))
}

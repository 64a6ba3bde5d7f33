//! `POST /v1/jobs/{uuid}/console`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use crate::{
    api::{
        Api, Caller,
        error::{Failure, conflict},
        rest::jobs::visible,
    },
    wire::job::ConsoleOpened,
};

/// Answers when the clone can be entered.
pub(crate) async fn open(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(uuid): Path<String>,
) -> Result<(StatusCode, Json<ConsoleOpened>), Failure> {
    let (source, _) = visible(&api, &caller, &uuid).await?;
    if source.console.is_some() {
        return Err(conflict(format!("`{}` is a console itself: connect to it", source.fqn)).into());
    }
    let opened = api.open_console(&caller.principal, &source, caller.client).await?;
    Ok((StatusCode::CREATED, Json(opened)))
}

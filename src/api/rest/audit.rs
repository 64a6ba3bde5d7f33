//! `/v1/audit`: reading, following and verifying the log. Wants `read` on `audit::/`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, invalid, unavailable},
    },
    audit::{self, AuditError, AuditFilter},
    gate::Operation,
    wire::audit::{AuditBreak, AuditItem, AuditPage, AuditReport},
};

/// Records of one answer.
const RECORDS_MAX: usize = 1_000;

/// Seconds that an answer may wait for something to tell; below every deadline on the way.
const WAIT_SECONDS_MAX: u64 = 25;

/// The place of all of it.
const ALL: &str = "audit::/";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    start_time: Option<String>,
    end_time: Option<String>,
    fqn: Option<String>,
    event_type: Option<String>,
    limit: Option<usize>,
    /// From this position on; without it the last `limit` records.
    cursor: Option<u64>,
    /// Seconds to wait if there is nothing yet.
    wait: Option<u64>,
}

/// `GET /v1/audit`.
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Failure> {
    let limit = query.limit.unwrap_or(100);
    if limit == 0 || RECORDS_MAX < limit {
        return Err(invalid(format!("`limit` is 1 to {RECORDS_MAX}")).into());
    }
    let filter = AuditFilter {
        start_time: query.start_time.as_deref().map(time).transpose()?,
        end_time: query.end_time.as_deref().map(time).transpose()?,
        fqn: query.fqn,
        event_type: query.event_type,
    };
    let wait = Duration::from_secs(query.wait.unwrap_or(0).min(WAIT_SECONDS_MAX));
    api.require(&caller.principal, Operation::audit_read(ALL, caller.client)).await?;
    // Who follows would else be told again and again that they look.
    let own = |item: &AuditItem| {
        item.fqn == ALL && item.event_type == "policy.access.allowed" && item.principal_name == caller.principal.name()
    };
    let visible = |item: &AuditItem| wait.is_zero() || !own(item);
    let Some(cursor) = query.cursor else {
        return Ok(Json(last(&api, &filter, limit, visible).await?));
    };
    let page = api.audit.read(&filter, cursor, limit, visible).await.map_err(|error| failure(&error))?;
    if !page.records.is_empty() || wait.is_zero() {
        return Ok(Json(page));
    }
    // What comes is looked at one by one, and the first that is wanted ends the wait.
    let mut coming = api.audit.follow(page.cursor);
    let mut cursor = page.cursor;
    let wanted = timeout(wait, async {
        while let Some(record) = coming.recv().await {
            if filter.matches(&record.item) && visible(&record.item) {
                return;
            }
            cursor = record.position.saturating_add(1);
        }
    });
    match wanted.await {
        Ok(()) => Ok(Json(api.audit.read(&filter, cursor, limit, visible).await.map_err(|error| failure(&error))?)),
        Err(_) => Ok(Json(AuditPage { records: vec![], cursor })),
    }
}

/// `GET /v1/audit/verify`: whether every record hangs together with the one before.
pub(crate) async fn verify(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<AuditReport>, Failure> {
    api.require(&caller.principal, Operation::audit_read(ALL, caller.client)).await?;
    let report = audit::verify(api.audit.log().as_ref()).await.map_err(|error| failure(&error))?;
    Ok(Json(AuditReport {
        records: report.records,
        writers: report.writers,
        broken: report.broken.map(|it| AuditBreak { position: it.position, reason: it.reason }),
    }))
}

/// The last records that are wanted, in ever larger steps back from the end.
async fn last(
    api: &Api,
    filter: &AuditFilter,
    limit: usize,
    visible: impl Fn(&AuditItem) -> bool + Send + Copy,
) -> Result<AuditPage, Failure> {
    let head = api.audit.head().await.map_err(|error| failure(&error))?;
    let mut back = u64::try_from(limit).unwrap_or(u64::MAX);
    loop {
        let start = head.saturating_sub(back);
        let mut page = AuditPage { records: vec![], cursor: start };
        // A page may be short although more comes; the end is where the cursor stays.
        loop {
            let next =
                api.audit.read(filter, page.cursor, RECORDS_MAX, visible).await.map_err(|error| failure(&error))?;
            let at_end = next.cursor == page.cursor;
            page.records.extend(next.records);
            page.cursor = next.cursor;
            if at_end {
                break;
            }
        }
        if limit <= page.records.len() || start == 0 {
            let surplus = page.records.len().saturating_sub(limit);
            page.records.drain(..surplus);
            return Ok(page);
        }
        back = back.saturating_mul(4);
    }
}

fn time(text: &str) -> Result<Timestamp, Failure> {
    Ok(text.parse().map_err(|_| invalid(format!("`{text}` is no time: RFC 3339, such as `2026-11-23T20:00:00Z`")))?)
}

fn failure(error: &AuditError) -> Failure {
    tracing::error!(%error, "the audit log");
    unavailable("the audit log is not available").into()
}

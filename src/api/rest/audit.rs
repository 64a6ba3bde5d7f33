//! `/v1/audit`: reading, following and verifying the log. Wants `read` on `audit::/`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::Method,
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, invalid, unavailable},
    },
    audit::{self, AuditError, AuditFilter, Seal},
    gate::{KeySet, Operation},
    store::json,
    wire::{
        audit::{AuditBreak, AuditHead, AuditItem, AuditPage, AuditReport},
        join::Authorities,
    },
};

/// Records of one answer.
const RECORDS_MAX: usize = 1_000;

/// Seconds that an answer may wait for something to tell; below every deadline on the way.
const WAIT_SECONDS_MAX: u64 = 25;

/// A record that is older than this is under a signed head: the auth role looks every second.
const UNSEALED: Duration = Duration::from_mins(1);

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
    // The head first: the log only grows.
    let head = match signed_head(&api).await? {
        Ok(head) => head,
        Err(broken) => return Ok(Json(broken)),
    };
    let covered_before = audit::timestamp(Timestamp::now() - UNSEALED);
    let seal = Seal { head: head.as_ref(), covered_before: &covered_before };
    let report = audit::verify_sealed(api.audit.log().as_ref(), seal).await.map_err(|error| failure(&error))?;
    Ok(Json(AuditReport {
        records: report.records,
        writers: report.writers,
        sealed: report.sealed,
        broken: report.broken.map(|it| AuditBreak { position: it.position, reason: it.reason }),
    }))
}

/// The head of the log, checked by the auth role's public keys; a report of the break where it is not signed by one.
async fn signed_head(api: &Api) -> Result<Result<Option<AuditHead>, AuditReport>, Failure> {
    let keys: Authorities = api.auth.json(Method::GET, "/internal/authorities", None, None::<&()>).await?;
    let keys = KeySet::from_wire(&keys.audit).unwrap_or_default();
    let stored = api.store.get(&audit::audit_head_key()).await.map_err(|error| failure(&error.into()))?;
    let Some(entry) = stored else { return Ok(Ok(None)) };
    let head = json::decode::<AuditHead>(&entry).ok();
    let is_signed = |head: &AuditHead| {
        keys.get(&head.kid).is_some_and(|key| key.verifies(&audit::audit_head_bytes(head), &head.signature))
    };
    Ok(head.filter(is_signed).map(Some).ok_or_else(|| {
        let reason = "the head of the log is not signed by the auth role".to_owned();
        let broken = Some(AuditBreak { position: 0, reason });
        AuditReport { records: 0, writers: BTreeMap::new(), sealed: None, broken }
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

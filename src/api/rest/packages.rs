//! `/v1/packages`: import, list and delete.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    api::{
        Api, Caller,
        error::{Failure, coded, conflict, not_found},
        import::import as keep,
        jobs::check_name,
        records::{load, load_all, package_key, remove as remove_record, save},
    },
    gate::{Operation, PackagePermit},
    wire::job::{Job, Package},
};

/// Which package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    fqn: String,
}

/// `GET /v1/packages`: those that the caller may read or use.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller) -> Result<Json<Vec<Package>>, Failure> {
    let mut visible = Vec::new();
    for package in load_all::<Package>(api.store.as_ref(), "package").await? {
        if api.gate.sees_package(&caller.principal, &package.value.fqn, caller.client)? {
            // The image's environment is part of a job's; it is not for every reader.
            visible.push(Package { environment: std::collections::BTreeMap::new(), ..package.value });
        }
    }
    let payload = [("listed", visible.len().to_string())];
    api.record("policy.access.allowed", "package::/", caller.principal.name(), &payload).await?;
    Ok(Json(visible))
}

/// `POST /v1/packages?fqn=` with a tar archive of a root file system or of an OCI image layout, with or without gzip.
/// Wants `create`, or `update` where the package exists.
pub(crate) async fn import(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(Named { fqn }): Query<Named>,
    body: Body,
) -> Result<(StatusCode, Json<Package>), Failure> {
    check_name(&fqn, "package")?;
    let key = package_key(&fqn);
    let existing = load::<Package>(api.store.as_ref(), &key).await?;
    // Before the first byte is kept.
    for wanted in wanted(&api, &caller, &fqn, existing.is_some())? {
        api.require(&caller.principal, Operation::package_named(&[*wanted], &fqn, caller.client)).await?;
    }
    let place = api.imports.begin(caller.principal.name());
    let place = place.ok_or_else(|| coded("too_many_requests", "too many packages are being imported: try again"))?;
    let bytes_max = api.config.router.package_bytes_max;
    let imported = keep(api.store.as_ref(), &api.config.state, body, bytes_max, place).await?;
    let package = Package {
        uuid: existing.as_ref().map_or_else(Uuid::new_v4, |it| it.value.uuid),
        fqn: fqn.clone(),
        layers: imported.layers,
        default_command: imported.settings.command,
        environment: imported.settings.environment,
        owner: caller.principal.name().to_owned(),
    };
    let digests: Vec<&str> = package.layers.iter().map(|it| it.digest.as_str()).collect();
    api.record("package.imported", &fqn, caller.principal.name(), &[("layers", digests.join(" "))]).await?;
    save(api.store.as_ref(), &key, existing.map(|it| it.revision), &package).await?;
    Ok((StatusCode::CREATED, Json(package)))
}

/// What an import wants, in this order. Who may not know whether the package exists is told the same in both cases, unless
/// they may make one there, and would find out.
fn wanted(api: &Api, caller: &Caller, fqn: &str, exists: bool) -> Result<&'static [PackagePermit], Failure> {
    let sees = api.gate.sees_package(&caller.principal, fqn, caller.client)?;
    Ok(match (exists, sees) {
        (false, _) => &[PackagePermit::Create],
        (true, true) => &[PackagePermit::Update],
        (true, false) => &[PackagePermit::Create, PackagePermit::Update],
    })
}

/// `DELETE /v1/packages?fqn=`. What a job is made of stays.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(Named { fqn }): Query<Named>,
) -> Result<StatusCode, Failure> {
    check_name(&fqn, "package")?;
    let key = package_key(&fqn);
    let exists = load::<Package>(api.store.as_ref(), &key).await?.is_some();
    if !exists || !api.gate.sees_package(&caller.principal, &fqn, caller.client)? {
        return Err(not_found(&fqn).into());
    }
    let wanted = Operation::package_named(&[PackagePermit::Delete], &fqn, caller.client);
    api.require(&caller.principal, wanted).await?;
    let jobs = load_all::<Job>(api.store.as_ref(), "job").await?;
    let users = jobs.iter().filter(|job| job.value.packages.contains(&fqn)).count();
    if users != 0 {
        return Err(conflict(format!("`{fqn}` is used by {users} jobs")).into());
    }
    api.record("package.deleted", &fqn, caller.principal.name(), &[]).await?;
    remove_record(api.store.as_ref(), &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

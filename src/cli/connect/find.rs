//! Which job and which instance a name means.

use axum::{
    body::Body,
    http::{HeaderMap, Request},
};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{
    cli::client::{
        error::ClientError,
        rest::{Rest, encode},
    },
    wire::{
        error::ApiError,
        job::{Instance, JobKind, JobView},
    },
};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The job of this name, if it is of the kind that the command is for. `headers` tell what is about to be opened, which
/// may be all that lets the caller know of the job.
pub(crate) async fn job(
    rest: &Rest,
    fqn: &str,
    kind: Option<JobKind>,
    headers: &HeaderMap,
) -> Result<JobView, ClientError> {
    let found: Vec<JobView> = get(rest, &format!("/v1/jobs?fqn={}", encode(fqn)), headers).await?;
    let Some(job) = found.into_iter().find(|it| it.job.fqn == fqn) else {
        let error = ApiError {
            code: "not_found".to_owned(),
            message: format!("`{fqn}` was not found"),
            resource_missing: true,
            ..ApiError::default()
        };
        return Err(ClientError::Refused(Box::new(error)));
    };
    match (kind, job.job.kind) {
        (Some(JobKind::App), JobKind::Capsule) => {
            Err(ClientError::Usage(format!("`{fqn}` is a capsule: use `apc capsule connect`")))
        }
        (Some(JobKind::Capsule), JobKind::App) => {
            Err(ClientError::Usage(format!("`{fqn}` is an app: use `apc app connect`")))
        }
        (None, _) | (Some(JobKind::App), JobKind::App) | (Some(JobKind::Capsule), JobKind::Capsule) => Ok(job),
    }
}

/// The instance of this uuid, or the one whose uuid begins so.
pub(crate) async fn instance(
    rest: &Rest,
    job: &JobView,
    prefix: &str,
    headers: &HeaderMap,
) -> Result<Uuid, ClientError> {
    if let Ok(uuid) = Uuid::try_parse(prefix) {
        return Ok(uuid);
    }
    let all: Vec<Instance> = get(rest, &format!("/v1/jobs/{}/instances", job.job.uuid), headers).await?;
    unique(all.iter().map(|it| it.uuid), prefix)
        .map_err(|why| ClientError::Usage(format!("{why} of \"{}\"", job.job.fqn)))
}

fn unique(all: impl Iterator<Item = Uuid>, prefix: &str) -> Result<Uuid, String> {
    let wanted = prefix.to_ascii_lowercase();
    let mut matching = all.filter(|it| !wanted.is_empty() && it.to_string().starts_with(&wanted));
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("`{prefix}` begins the id of no instance")),
        (Some(_), Some(_)) => Err(format!("`{prefix}` begins the ids of several instances")),
    }
}

async fn get<T: DeserializeOwned>(rest: &Rest, path: &str, headers: &HeaderMap) -> Result<T, ClientError> {
    let odd = |cause: String| ClientError::Answer { target: rest.target().url.clone(), cause };
    let mut request = Request::get(path).body(Body::empty()).map_err(|error| ClientError::Usage(error.to_string()))?;
    request.headers_mut().extend(headers.clone());
    let answer = rest.request(request).await?;
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| odd(error.to_string()))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| odd(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_means_an_instance_only_if_it_is_unique() {
        let all = [0x1a2b_u128 << 112, 0x1a2c_u128 << 112, 0xffff_u128 << 112].map(Uuid::from_u128);
        let unique = |prefix| unique(all.into_iter(), prefix);
        assert_eq!(unique("1a2b"), Ok(all[0]));
        assert_eq!(unique("F"), Ok(all[2]));
        assert_eq!(unique("1a2"), Err("`1a2` begins the ids of several instances".to_owned()));
        for none in ["", "2", "*", "1a2b0000-x"] {
            assert_eq!(unique(none), Err(format!("`{none}` begins the id of no instance")));
        }
    }
}

//! Where a path leads. What could mean one thing here and another behind is refused.

use axum::http::Uri;
use uuid::Uuid;

/// Where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) enum Destination {
    /// To the auth role.
    Auth,
    /// To an API server.
    Api,
    /// To an API server, with a large body.
    Package,
    /// To an API server; becomes a tunnel if it asks to.
    Tunnel,
    /// Nowhere: it is for components, or for nobody.
    Nowhere,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::router) struct BadPath;

/// Reads a request's target, which must be a plain path with or without a query.
pub(in crate::router) fn destination(uri: &Uri) -> Result<Destination, BadPath> {
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(BadPath);
    }
    let whole = uri.path_and_query().map_or("", |it| it.as_str());
    if !whole.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(BadPath);
    }
    let path = uri.path().strip_prefix('/').ok_or(BadPath)?;
    let segments: Vec<&str> = path.split('/').collect();
    // A trailing `/` would be an empty segment too; only `/` alone has one.
    if path.is_empty() {
        return Ok(Destination::Api);
    }
    if !segments.iter().all(|it| is_plain(it)) {
        return Err(BadPath);
    }
    Ok(match segments.as_slice() {
        ["oauth2", ..] => Destination::Auth,
        ["v1", "packages"] => Destination::Package,
        ["v1", "jobs", job, "tunnel"] if is_uuid(job) => Destination::Tunnel,
        ["v1", "jobs", job, "tunnel", instance] if is_uuid(job) && is_uuid(instance) => Destination::Tunnel,
        ["v1", ..] | ["healthz" | "readyz"] => Destination::Api,
        _ => Destination::Nowhere,
    })
}

/// Not empty, not a step, no backslash, and nothing encoded that would be one of these, a separator, a control or
/// another encoding.
fn is_plain(segment: &str) -> bool {
    if segment.is_empty() || segment == "." || segment == ".." || segment.contains(['\\', '#']) {
        return false;
    }
    segment.split('%').skip(1).all(|rest| {
        let digits = rest.get(..2).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|it| u8::from_str_radix(it, 16).ok()) else { return false };
        !byte.is_ascii_control() && !b"/\\.%".contains(&byte)
    })
}

/// In the one form that is written: lower case, with hyphens.
fn is_uuid(text: &str) -> bool {
    Uuid::try_parse(text).is_ok_and(|it| it.hyphenated().to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "0192f0c1-2b3c-7d4e-8f5a-6b7c8d9e0f1a";

    fn of(path: &str) -> Result<Destination, BadPath> {
        destination(&path.parse().map_err(|_| BadPath)?)
    }

    #[test]
    fn each_path_has_one_destination() {
        for (path, expected) in [
            ("/oauth2/token", Destination::Auth),
            ("/v1/jobs?fqn=job::/sandbox/tom::web", Destination::Api),
            ("/v1/policy/caf%C3%A9%20x", Destination::Api),
            ("/v1/packages", Destination::Package),
            ("/v1/packages/x", Destination::Api),
            ("/healthz", Destination::Api),
            ("/readyz", Destination::Api),
            ("/", Destination::Api),
            ("/internal/im/link", Destination::Nowhere),
            ("/internal", Destination::Nowhere),
            ("/metrics", Destination::Nowhere),
            ("/v2/jobs", Destination::Nowhere),
            ("/V1/jobs", Destination::Nowhere),
        ] {
            assert_eq!(of(path), Ok(expected), "{path}");
        }
        assert_eq!(of(&format!("/v1/jobs/{JOB}/tunnel")), Ok(Destination::Tunnel));
        assert_eq!(of(&format!("/v1/jobs/{JOB}/tunnel/{JOB}?a=/../b")), Ok(Destination::Tunnel));
        for near in [
            format!("/v1/jobs/{}/tunnel", JOB.to_uppercase()),
            format!("/v1/jobs/{}/tunnel", JOB.replace('-', "")),
            format!("/v1/jobs/{JOB}/tunnels"),
            format!("/v1/jobs/{JOB}/tunnel/x"),
            format!("/v1/jobs/{JOB}/tunnel/{JOB}/x"),
            "/v1/jobs/x/tunnel".to_owned(),
        ] {
            assert_eq!(of(&near), Ok(Destination::Api), "{near}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for path in [
            "/v1/../internal/im/join",
            "/v1/./jobs",
            "/v1//jobs",
            "//v1/jobs",
            "/v1/jobs/",
            "/v1/..",
            "/v1/jobs/%2e%2e/x",
            "/v1/jobs/.%2E/x",
            "/v1/a%2fb",
            "/v1/a%2Fb",
            "/v1/a%5cb",
            "/v1/a\\b",
            "/v1/%252e%252e/x",
            "/v1/a%00b",
            "/v1/a%0d%0ab",
            "/v1/a%7fb",
            "/v1/a%",
            "/v1/a%2",
            "/v1/a%zz",
            "/v1/a%+2b",
            "/v1/é",
            "/v1/jobs?x=é",
            "http://host/v1/jobs",
            "host:443",
            "*",
            "",
        ] {
            assert_eq!(of(path), Err(BadPath), "{path}");
        }
    }
}

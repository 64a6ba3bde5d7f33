//! Requests that mean harm: bodies, names, tokens, and callers that are not who they should be.

use axum::{body::Body, http::Request};
use gatehouse::{link::Role, wire::job::JobKind};
use serde_json::{Value, json};

use crate::api::{Scene, answer, app, grant};

const OS: &str = "package::/sandbox/tom::os";

#[tokio::test]
async fn a_bad_body_is_told_so_and_does_nothing() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let good = serde_json::to_value(app("job::/sandbox/tom::web", JobKind::App, OS)).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let doubled = good.to_string().replacen('{', "{\"fqn\":\"job::/prod::x\",", 1);
    let bodies = [
        String::new(),
        "null".to_owned(),
        "{".to_owned(),
        "[".repeat(200_000),
        doubled,
        with("unknown", json!(1)),
        with("owner", json!("root")),
        with("kind", json!("vm")),
        with("packages", json!([])),
        with("packages", json!(vec![OS; 1_000])),
        with("num_instances", json!(-1)),
        with("num_instances", json!(1e30)),
        with("num_instances", json!(4_000_000_000_u32)),
        with("command", json!(["a\u{0}b"])),
        with("command", json!([""])),
        with("command", json!(["x".repeat(300_000)])),
        with("environment", json!({"A=B": "1"})),
        with("environment", json!({"": "1"})),
        with("working_directory", json!("tmp")),
        with("user", json!("a:b")),
        with("user", json!("")),
        with("resources", json!({"memory_bytes": 1, "cpu_ms_per_second": 1, "pids": 1})),
        with("resources", json!({"memory_bytes": 1 << 30, "cpu_ms_per_second": 0, "pids": 1})),
    ];
    for body in bodies {
        let shown: String = body.chars().take(80).collect();
        let answer = tom.send("POST", "/v1/jobs", &[("content-type", "application/json")], body.into()).await;
        assert_eq!((answer.status, answer.error().code.as_str()), (400, "invalid"), "{shown}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let answer = tom.send("POST", "/v1/jobs", &[("content-type", kind)], good.to_string().into()).await;
        assert_eq!(answer.error().code, "invalid", "{kind}");
    }
    let large = format!("{{\"fqn\":\"{}\"}}", "x".repeat(9 << 20));
    let answer = tom.send("POST", "/v1/jobs", &[("content-type", "application/json")], large.into()).await;
    assert_eq!((answer.status, answer.error().code.as_str()), (413, "too_large"));
    assert_eq!(scene.stored("job").await, 0);
}

#[tokio::test]
async fn a_malformed_name_is_never_decided() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let before = scene.recorded("policy.access.allowed").await.len();
    for name in [
        "",
        "web",
        "job::",
        "job::/sandbox/tom",
        "job::/sandbox/tom::",
        "job::/sandbox/tom/::web",
        "job::/sandbox//tom::web",
        "job::/sandbox/./tom::web",
        "job::/sandbox/mary/../tom::web",
        "job::/sandbox/tom::web/..",
        "job::/sandbox/tom::*",
        "job::/sandbox/[name]::web",
        "job::/sandbox/tom::we b",
        "job::/sandbox/tom::web\u{0}",
        "job::/sandbox/tom::e\u{301}",
        "job::/sandbox/tom::a:b",
        "package::/sandbox/tom::web",
        "jobs::/sandbox/tom::web",
    ] {
        let create = app(name, JobKind::App, OS);
        let refused = tom.ask("POST", "/v1/jobs", Some(&create)).await.error();
        assert_eq!(refused.code, "invalid", "{name:?}");
    }
    assert_eq!(scene.recorded("policy.access.allowed").await.len(), before);
    assert_eq!(scene.stored("job").await, 0);
    for uuid in ["x", "..", "%2e%2e", "%00", "{}", "7", "00000000-0000-0000-0000-00000000000g"] {
        assert_eq!(tom.get(&format!("/v1/jobs/{uuid}")).await.status, 404, "{uuid}");
    }
}

#[tokio::test]
async fn only_a_router_with_one_good_token_is_a_caller() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    let paths = ["/v1/info", "/v1/jobs", "/v1/packages", "/v1/policy", "/v1/audit", "/v1/sessions"];
    let request = |path: &str, tokens: &[&str]| {
        let mut request = Request::get(path);
        for token in tokens {
            request = request.header("authorization", *token);
        }
        request.body(Body::empty()).unwrap()
    };
    let good = format!("Bearer {}", tom.token);
    let cut = good[..good.len() - 4].to_owned();
    for path in paths {
        for tokens in [&[][..], &["Bearer"], &["Bearer x.y.z"], &["Basic dG9tOg=="], &[cut.as_str()], &[&good, &good]] {
            let refused = answer(&tom.router, request(path, tokens)).await;
            assert_eq!(refused.status, 401, "{path} {tokens:?}");
            assert!(refused.error().token_invalid, "{path} {tokens:?}");
        }
        for (role, id) in [(Role::Im, "00000000-0000-4000-8000-000000000000"), (Role::Auth, "a"), (Role::Api, "b")] {
            let refused = answer(&scene.link(role, id), request(path, &[&good])).await;
            assert_eq!((refused.status, refused.error().code.as_str()), (401, "unauthorized"), "{path} {role}");
        }
    }
    for path in ["/internal/im/link", "/internal/im/layers/x", "/nowhere", "/v1/nowhere", "/v1"] {
        let refused = answer(&tom.router, request(path, &[&good])).await;
        assert!([400, 401, 404, 426].contains(&refused.status), "{path}: {refused:?}");
    }
    let health = |path| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(answer(&tom.router, health("/healthz")).await.status, 204);
    assert_eq!(answer(&tom.router, health("/readyz")).await.status, 204);
    let patched = tom.ask("PATCH", "/v1/jobs", None::<&()>).await;
    assert_eq!((patched.status, patched.error().code.as_str()), (405, "invalid"));
}

#[tokio::test]
async fn rules_see_the_address_that_the_router_saw() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create("job::/sandbox/tom::web", JobKind::App, OS).await.job.uuid;
    let mary = scene.user("mary").await;
    let path = format!("/v1/jobs/{job}");
    let from = |network: &str| {
        grant("job::/sandbox/tom", "mary", "read")
            .replace(") {", &format!(" && client.address inCidr \"{network}\") {{"))
    };
    scene.policy(&[("here", &from("198.51.100.0/24"))]).await;
    assert_eq!(mary.get(&path).await.status, 404);
    scene.policy(&[("here", &from("192.0.2.0/24"))]).await;
    assert_eq!(mary.get(&path).await.status, 200);
}

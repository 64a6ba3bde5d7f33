//! What happens before 101: who is refused, with which words, and how far it comes before that.

use std::sync::{Arc, atomic::Ordering};

use axum::body::Body;
use gatehouse::{
    api::tunnel::instance::ReachError,
    wire::job::{JobState, RunningSpec},
};
use hyper::{Request, StatusCode};
use uuid::Uuid;

use crate::session::{
    caller::{exec, header, open, request, send, shell},
    fake::FakeSsh,
    world::{FQN, World},
};

async fn world() -> (World, Arc<FakeSsh>) {
    let ssh = Arc::new(FakeSsh::default());
    let world = World::start(Arc::clone(&ssh) as _, None).await;
    (world, ssh)
}

async fn refusal(world: &World, request: Request<Body>) -> (u16, String, String) {
    let (status, error) = send(world, request).await.unwrap_err();
    (status.as_u16(), error.code, error.message)
}

fn refused(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}

#[tokio::test]
async fn who_may_not_is_told_what_is_missing_and_who_may_not_know_is_told_nothing() {
    let (world, ssh) = world().await;
    let (tom, mary) = (world.token("tom").await, world.token("mary").await);
    world.permit("mary", "read").await;
    let denied = refused(403, "missing_claim", &format!("missing claim \"permit ssh\" on \"{FQN}\""));
    assert_eq!(refusal(&world, request(&world, &mary, &shell())).await, denied);
    assert_eq!(refusal(&world, request(&world, &mary, &exec("id"))).await, denied);
    let unknown = refused(404, "not_found", &format!("`{}` was not found", world.job.uuid));
    assert_eq!(refusal(&world, request(&world, &tom, &shell())).await, unknown);
    let mut absent = request(&world, &tom, &shell());
    let uuid = Uuid::new_v4();
    *absent.uri_mut() = format!("/v1/jobs/{uuid}/tunnel").parse().unwrap();
    assert_eq!(refusal(&world, absent).await, refused(404, "not_found", &format!("`{uuid}` was not found")));
    assert_eq!(ssh.counts.of(), [0, 0, 0]);
    assert_eq!(world.signer.asked.load(Ordering::SeqCst), 0);
    // With nothing but `permit ssh`, as the seed has it.
    world.permit("tom", "ssh").await;
    assert!(open(&world, &tom, &shell()).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_before_anything_is_decided() {
    let (world, ssh) = world().await;
    let tom = world.token("tom").await;
    world.permit("tom", "ssh").await;
    let good = || request(&world, &tom, &shell());
    let with = |name: &'static str, value: &str| {
        let mut request = good();
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let without = |name: &'static str| {
        let mut request = good();
        request.headers_mut().remove(name);
        request
    };
    let at = |path: String| {
        let mut request = good();
        *request.uri_mut() = path.parse().unwrap();
        request
    };
    let mut twice = good();
    twice.headers_mut().append("apc-open", header(&exec("id")).parse().unwrap());
    let long = header(&exec(&"x".repeat(40_000)));
    let job = world.job.uuid;
    let cases = [
        (without("authorization"), 401, "unauthorized"),
        (with("authorization", "Bearer x.y.z"), 401, "unauthorized"),
        (with("authorization", &format!("Basic {tom}")), 401, "unauthorized"),
        (without("apc-open"), 400, "invalid"),
        (with("apc-open", "e30"), 400, "invalid"),
        (with("apc-open", "{}"), 400, "invalid"),
        (with("apc-open", &header(&shell()).to_lowercase()), 400, "invalid"),
        (twice, 400, "invalid"),
        (with("apc-open", &long), 413, "too_large"),
        (without("upgrade"), 400, "invalid"),
        (with("sec-websocket-version", "12"), 400, "invalid"),
        (without("sec-websocket-protocol"), 501, "unsupported"),
        (with("sec-websocket-protocol", "apc.ssh.v1"), 501, "unsupported"),
        (at("/v1/jobs/web/tunnel".to_owned()), 400, "invalid"),
        (at(format!("/v1/jobs/{}/tunnel", job.simple())), 400, "invalid"),
        (at(format!("/v1/jobs/{job}/tunnel/..")), 400, "invalid"),
        (at(format!("/v1/jobs/{job}/tunnel/{}", Uuid::new_v4())), 404, "not_found"),
    ];
    for (number, (request, status, code)) in cases.into_iter().enumerate() {
        let (found, said, message) = refusal(&world, request).await;
        assert_eq!((found, said.as_str()), (status, code), "{number}: {message}");
    }
    assert_eq!(ssh.counts.of(), [0, 0, 0]);
    assert!(send(&world, at(format!("/v1/jobs/{job}/tunnel/{}", world.instance))).await.is_ok());
}

#[tokio::test]
async fn what_is_wrong_with_the_instance_is_said_exactly_and_only_to_who_may_get_in() {
    let (world, ssh) = world().await;
    let (tom, mary) = (world.token("tom").await, world.token("mary").await);
    let both = "job::/prod {
        if (auth_server@apcera.me->name == \"tom\") { permit ssh }
        if (auth_server@apcera.me->name == \"mary\") { permit read }
    }\n";
    world.set_policy(both).await;
    let check = async |status, code: &str, message: String| {
        let said = refusal(&world, request(&world, &tom, &shell())).await;
        assert_eq!(said, refused(status, code, &message));
        let told = refusal(&world, request(&world, &mary, &shell())).await;
        assert_eq!(told.2, format!("missing claim \"permit ssh\" on \"{FQN}\""));
    };
    let mut job = world.job.clone();
    job.tags.insert("ssh".to_owned(), "false".to_owned());
    job.version += 1;
    world.put_job(&job).await;
    check(409, "ssh_not_enabled", format!("SSH is not enabled on \"{FQN}\"")).await;
    job.tags.insert("ssh".to_owned(), "true".to_owned());
    job.running = Some(Box::new(RunningSpec {
        process: job.process.clone(),
        packages: Vec::new(),
        layers: Vec::new(),
        resources: job.resources,
        ssh: false,
    }));
    job.version += 1;
    world.put_job(&job).await;
    world.places.change(|all| all.values_mut().for_each(|it| it.1 = None));
    check(409, "ssh_not_enabled", format!("SSH is enabled on \"{FQN}\" from its next start on: restart it")).await;
    job.running = None;
    job.version += 1;
    world.put_job(&job).await;
    check(409, "no_running_instance", format!("no instance of \"{FQN}\" is running")).await;
    world.places.change(|all| {
        for (status, _) in all.values_mut() {
            let actual = status.actual.as_mut().unwrap();
            (actual.flapping, actual.message) = (true, Some("exit status 1".to_owned()));
        }
    });
    check(409, "flapping", format!("\"{FQN}\" does not stay up: exit status 1")).await;
    assert_eq!(ssh.counts.of(), [0, 0, 0]);
}

#[tokio::test]
async fn an_image_without_a_shell_is_refused_with_that_reason() {
    let (world, ssh) = world().await;
    let tom = world.token("tom").await;
    world.permit("tom", "ssh").await;
    world.places.change(|all| {
        for (_, located) in all.values_mut() {
            located.as_mut().unwrap().has_shell = Some(false);
        }
    });
    let (status, code, message) = refusal(&world, request(&world, &tom, &shell())).await;
    assert_eq!((status, code.as_str()), (409, "no_shell"));
    assert!(message.starts_with(&format!("the image of \"{FQN}\" has no shell")), "{message}");
    assert_eq!(ssh.counts.of(), [0, 0, 0]);
}

#[tokio::test]
async fn an_instance_that_is_not_reached_is_an_http_error_and_never_101() {
    let (world, ssh) = world().await;
    let tom = world.token("tom").await;
    world.permit("tom", "ssh").await;
    let cases = [
        (ReachError::Unreachable("no route\u{1b}[2J".to_owned()), "host_unreachable", 502, true),
        (ReachError::HostKeyMismatch, "host_key_mismatch", 502, false),
        (ReachError::Failed("secret detail".to_owned()), "unavailable", 503, true),
    ];
    for (failure, code, expected, retry) in cases {
        *ssh.failure.lock().unwrap() = Some(failure);
        let (status, error) = open(&world, &tom, &shell()).await.unwrap_err();
        assert_eq!((status.as_u16(), error.code.as_str(), error.retry), (expected, code, retry));
        // What the other side says stays in the log.
        assert!(!error.message.contains("secret") && !error.message.contains('\u{1b}'), "{}", error.message);
    }
    assert_eq!(ssh.counts.of(), [3, 0, 0], "nothing was authenticated");
    assert!(world.tunnel.sessions().list().is_empty());
    assert!(world.ears.of_type("ssh.session.opened").is_empty());
}

#[tokio::test]
async fn what_cannot_be_written_down_or_enforced_is_not_done() {
    let (world, ssh) = world().await;
    let tom = world.token("tom").await;
    world.permit("tom", "ssh").await;
    world.ears.deaf.store(true, Ordering::SeqCst);
    let (status, error) = open(&world, &tom, &shell()).await.unwrap_err();
    assert_eq!((status, error.code.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    world.ears.deaf.store(false, Ordering::SeqCst);
    world
        .set_policy("job::/prod { if (auth_server@apcera.me->name == \"tom\") { permit ssh\n ssh.record full } }\n")
        .await;
    let (status, error) = open(&world, &tom, &shell()).await.unwrap_err();
    assert_eq!((status, error.code.as_str()), (StatusCode::FORBIDDEN, "unenforceable"), "{}", error.message);
    assert_eq!(ssh.counts.of(), [0, 0, 0]);
}

#[tokio::test]
async fn a_stopped_job_has_nobody_to_enter() {
    let (world, _) = world().await;
    let tom = world.token("tom").await;
    world.permit("tom", "ssh").await;
    let mut job = world.job.clone();
    (job.state, job.version) = (JobState::Stopped, 2);
    world.put_job(&job).await;
    world.places.change(std::collections::BTreeMap::clear);
    let (status, error) = open(&world, &tom, &shell()).await.unwrap_err();
    assert_eq!((status.as_u16(), error.code.as_str(), error.retry), (409, "no_running_instance", false));
}

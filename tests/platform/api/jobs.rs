//! Jobs over REST: their life, who sees what, versions.

use gatehouse::wire::job::{Instance, JobKind, JobState, JobView, UpdateJob};
use uuid::Uuid;

use crate::api::{Scene, app, grant, started};

const WEB: &str = "job::/sandbox/tom::web";
const OS: &str = "package::/sandbox/tom::os";

fn ssh(on: bool, restart: bool) -> UpdateJob {
    UpdateJob { ssh: Some(on), restart, ..UpdateJob::default() }
}

#[tokio::test]
async fn a_job_goes_through_its_life() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let web = tom.create(WEB, JobKind::App, OS).await;
    assert_eq!((web.job.state, web.job.version, web.running_instances), (JobState::Ready, 1, 0));
    assert_eq!(web.job.tags["ssh"], "false");
    let uuid = web.job.uuid;

    let view = tom.start(uuid).await;
    assert_eq!((view.job.state, view.running_instances), (JobState::Started, 1));
    let first = im.until(|it| it.len() == 1).await.remove(0);
    assert_eq!((first.process.command[0].as_str(), first.ssh, first.layers.len()), ("/bin/httpd", false, 1));
    assert_eq!(first.lease_ms, None);

    // Allowed, but not before the next start.
    let view: JobView = tom.update(uuid, &ssh(true, false)).await.read();
    assert_eq!(view.job.tags["ssh"], "true");
    assert_eq!(*im.desired.borrow(), std::slice::from_ref(&first));
    tom.update(uuid, &ssh(true, true)).await.read::<JobView>();
    let view = tom.settled(uuid).await;
    assert_eq!(view.job.ports.iter().map(|it| it.number).collect::<Vec<_>>(), [222]);
    let second = im.until(|it| it.len() == 1 && it[0].uuid != first.uuid).await.remove(0);
    assert!(second.ssh);
    let instances: Vec<Instance> = tom.get(&format!("/v1/jobs/{uuid}/instances")).await.read();
    assert_eq!((instances.len(), instances[0].uuid, instances[0].public_port), (1, second.uuid, Some(20_001)));
    assert!(instances[0].host_key_fingerprint.as_ref().unwrap().starts_with("SHA256:"));

    // Removed at once, in the same instance.
    tom.update(uuid, &ssh(false, false)).await.read::<JobView>();
    let closed = im.until(|it| it.iter().any(|it| !it.ssh)).await;
    assert_eq!((closed.len(), closed[0].uuid), (1, second.uuid));

    let stop = UpdateJob { state: Some(JobState::Stopped), ..UpdateJob::default() };
    tom.update(uuid, &stop).await.read::<JobView>();
    im.until(<[_]>::is_empty).await;
    assert_eq!(tom.settled(uuid).await.job.state, JobState::Stopped);
    assert_eq!(tom.delete(&format!("/v1/jobs/{uuid}")).await.status, 204);
    assert_eq!(tom.get(&format!("/v1/jobs/{uuid}")).await.status, 404);
    assert_eq!((scene.stored("job").await, scene.stored("job-name").await), (0, 0));
    let events = ["job.created", "job.updated", "job.deleted"];
    for (event, count) in events.into_iter().zip([1, 5, 1]) {
        assert_eq!(scene.recorded(event).await.len(), count, "{event}");
    }
}

#[tokio::test]
async fn what_may_not_be_known_of_is_not_found() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let web = tom.create(WEB, JobKind::App, OS).await.job;
    let mary = scene.user("mary").await;
    let strange = Uuid::new_v4();
    let known = format!("/v1/jobs/{}", web.uuid);
    let unknown = format!("/v1/jobs/{strange}");
    for (method, tail) in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/instances"),
        ("GET", "/logs"),
        ("POST", "/console"),
        ("DELETE", "/instances/7"),
    ] {
        let seen = mary.ask(method, &format!("{known}{tail}"), None::<&()>).await.error();
        let absent = mary.ask(method, &format!("{unknown}{tail}"), None::<&()>).await.error();
        assert_eq!(seen.code, "not_found", "{method} {tail}");
        // The same words for both, but for what was asked for.
        assert_eq!(
            seen.message.replace(&web.uuid.to_string(), "X"),
            absent.message.replace(&strange.to_string(), "X"),
            "{method} {tail}"
        );
        assert!(seen.missing_claims.is_empty() && seen.resource_missing);
    }
    assert_eq!(mary.update(web.uuid, &started()).await.error().code, "not_found");
    assert_eq!(mary.get(&format!("/v1/jobs?fqn={WEB}")).await.read::<Vec<JobView>>(), []);
    assert_eq!(mary.get("/v1/jobs").await.read::<Vec<JobView>>(), []);
    assert_eq!(scene.api().job(web.uuid).await.unwrap(), Some(web));
}

#[tokio::test]
async fn each_sees_as_much_as_their_permits_say() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let uuid = tom.create(WEB, JobKind::App, OS).await.job.uuid;
    let (reader, guest, runner) = (scene.user("reader").await, scene.user("guest").await, scene.user("runner").await);
    let runs = grant("job::/sandbox/tom", "runner", "exec").replace("==", "== \"runner\" && command ==");
    let runs = runs.replace("command == \"runner\"", "command == \"date\"");
    scene
        .policy(&[
            ("readers", &grant("job::/sandbox/tom", "reader", "read")),
            ("guests", &grant("job::/sandbox/tom", "guest", "ssh")),
            ("runners", &runs),
        ])
        .await;
    let path = format!("/v1/jobs/{uuid}");

    let all: JobView = tom.get(&path).await.read();
    assert!(!all.partial && all.job.process.environment["SECRET"] == "42");
    let read: JobView = reader.get(&path).await.read();
    assert!(read.partial && read.job.process.environment.is_empty());
    assert_eq!(read.job.packages, [OS]);
    let entered: JobView = guest.get(&path).await.read();
    assert!(entered.partial && entered.job.packages.is_empty() && entered.job.process.command.is_empty());
    assert_eq!((entered.job.process.environment["SECRET"].as_str(), entered.job.fqn.as_str()), ("42", WEB));
    // Lists have no environment for anyone.
    let list: Vec<JobView> = tom.get("/v1/jobs").await.read();
    assert!(list[0].job.process.environment.is_empty());

    let refused = reader.update(uuid, &ssh(true, false)).await.error();
    assert_eq!(refused.message, format!("missing claim \"permit update\" on \"{WEB}\""));
    assert_eq!(
        (refused.code.as_str(), refused.missing_claims.as_slice()),
        ("missing_claim", &["permit update".to_owned()][..])
    );
    let refused = reader.update(uuid, &UpdateJob { restart: true, ..started() }).await.error();
    assert_eq!(refused.missing_claims, ["permit start", "permit stop"]);

    // Who may run one command knows of the job, and of nothing that is in it.
    let found: Vec<JobView> = runner.get(&format!("/v1/jobs?fqn={WEB}")).await.read();
    assert_eq!((found.len(), found[0].partial, found[0].job.packages.len()), (1, true, 0));
    let shown: JobView = runner.get(&path).await.read();
    assert!(shown.job.process.environment.is_empty());
}

#[tokio::test]
async fn of_two_changes_made_from_one_version_one_is_refused() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create(WEB, JobKind::App, OS).await.job;
    let change = UpdateJob { for_version: Some(job.version), num_instances: Some(2), ..UpdateJob::default() };
    let (one, other) = tokio::join!(tom.update(job.uuid, &change), tom.update(job.uuid, &change));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(scene.api().job(job.uuid).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn a_name_belongs_to_one_job_and_is_free_when_that_is_gone() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let create = app(WEB, JobKind::App, OS);
    let create = async || tom.ask("POST", "/v1/jobs", Some(&create)).await;
    let (one, other) = tokio::join!(create(), create());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!((scene.stored("job").await, scene.stored("job-name").await), (1, 1), "the loser left nothing");

    // As a crash between deleting a job and its name leaves it.
    let found: Vec<JobView> = tom.get(&format!("/v1/jobs?fqn={WEB}")).await.read();
    let key = gatehouse::store::Key::new(["job".to_owned(), found[0].job.uuid.to_string()]);
    let entry = scene.store.get(&key).await.unwrap().unwrap();
    scene.store.delete(&key, entry.revision).await.unwrap();
    assert_eq!(tom.get(&format!("/v1/jobs?fqn={WEB}")).await.read::<Vec<JobView>>(), []);
    assert_eq!(create().await.status, 201);

    // And as one leaves it while it was looked whether the job is surely gone.
    let found: Vec<JobView> = tom.get(&format!("/v1/jobs?fqn={WEB}")).await.read();
    let key = gatehouse::store::Key::new(["job".to_owned(), found[0].job.uuid.to_string()]);
    let entry = scene.store.get(&key).await.unwrap().unwrap();
    scene.store.put(&key, Some(entry.revision), b"null".to_vec()).await.unwrap();
    assert_eq!(tom.get(&format!("/v1/jobs?fqn={WEB}")).await.read::<Vec<JobView>>(), []);
    assert_eq!(create().await.status, 201);
    assert_eq!((scene.stored("job").await, scene.stored("job-name").await), (1, 1), "nothing is left of the old one");
}

#[tokio::test]
async fn a_job_wants_use_of_its_packages() {
    let scene = Scene::start().await;
    let (tom, mary) = (scene.user("tom").await, scene.user("mary").await);
    mary.package("package::/sandbox/mary::os").await;
    let create = app(WEB, JobKind::App, "package::/sandbox/mary::os");
    let refused = tom.ask("POST", "/v1/jobs", Some(&create)).await.error();
    assert_eq!(refused.message, "missing claim \"permit use\" on \"package::/sandbox/mary::os\"");
    let create = app(WEB, JobKind::App, "package::/sandbox/tom::none");
    assert_eq!(tom.ask("POST", "/v1/jobs", Some(&create)).await.error().code, "not_found");
    assert_eq!(scene.stored("job").await, 0);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create(WEB, JobKind::App, OS).await.job;
    scene.witness.is_deaf.store(true, std::sync::atomic::Ordering::SeqCst);
    let create = app("job::/sandbox/tom::other", JobKind::App, OS);
    for answer in [
        tom.ask("POST", "/v1/jobs", Some(&create)).await,
        tom.update(job.uuid, &started()).await,
        tom.delete(&format!("/v1/jobs/{}", job.uuid)).await,
        tom.ask("POST", &format!("/v1/jobs/{}/console", job.uuid), None::<&()>).await,
        tom.get(&format!("/v1/jobs/{}", job.uuid)).await,
        tom.get("/v1/jobs").await,
    ] {
        assert_eq!(answer.status, 503);
        assert_eq!(answer.error().code, "unavailable");
    }
    assert_eq!(scene.stored("job").await, 1);
    assert_eq!(scene.api().job(job.uuid).await.unwrap(), Some(job));
    assert_eq!(scene.stored("console").await, 0);
}

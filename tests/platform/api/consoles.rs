//! Consoles: what they want, that the app is left alone, and that they end whatever happens.

use std::time::Duration;

use gatehouse::wire::{
    error::ApiError,
    job::{ConsoleLease, ConsoleOpened, InstanceState, JobKind, JobView},
};
use uuid::Uuid;

use crate::api::{
    Answer, PATIENCE, Scene, User, grant,
    manager::{Manager, running},
};

const WEB: &str = "job::/sandbox/tom::web";
const OS: &str = "package::/sandbox/tom::os";

async fn running_app(scene: &Scene) -> (Manager, User, Uuid) {
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let web = tom.create(WEB, JobKind::App, OS).await.job.uuid;
    tom.start(web).await;
    (im, tom, web)
}

async fn console(user: &User, app: Uuid) -> Answer {
    user.ask("POST", &format!("/v1/jobs/{app}/console"), Some(&serde_json::json!({}))).await
}

/// Nothing is left of any console: no job but the app, no name, no lease, no instance.
async fn nothing_remains(scene: &Scene, im: &Manager) {
    scene.until_stored("console", 0).await;
    scene.until_stored("job", 1).await;
    scene.until_stored("job-name", 1).await;
    scene.until_stored("instance", 1).await;
    im.until(|it| it.len() == 1 && it[0].lease_ms.is_none()).await;
}

#[tokio::test]
async fn a_console_is_a_clone_that_goes_with_its_session() {
    let scene = Scene::start().await;
    let (im, tom, web) = running_app(&scene).await;
    let before = scene.api().job(web).await.unwrap();
    let answer = console(&tom, web).await;
    assert_eq!(answer.status, 201);
    let opened: ConsoleOpened = answer.read();
    let clone = opened.job.job.clone();
    assert!(clone.fqn.starts_with("job::/sandbox/tom::web-console-"), "{}", clone.fqn);
    let hexadecimal = clone.fqn.rsplit('-').next().unwrap();
    assert!(hexadecimal.len() == 8 && hexadecimal.chars().all(|it| it.is_ascii_hexdigit()));
    assert_eq!((clone.kind, clone.tags["ssh"].as_str()), (JobKind::Capsule, "true"));
    assert_eq!(clone.process.environment["SECRET"], "42");
    assert_eq!(clone.process.command, Vec::<String>::new());
    let instance = im.until(|it| it.len() == 2).await.into_iter().find(|it| it.job == clone.uuid).unwrap();
    assert_eq!((instance.uuid, instance.ssh, instance.lease_ms), (opened.instance, true, Some(1_000)));
    assert!(instance.process.command.is_empty(), "the clone idles");
    assert!(scene.api().consoles.holds(clone.uuid));

    // The live app is as it was.
    assert_eq!(scene.api().job(web).await.unwrap(), before);

    // While a session is open its lease goes on, here and at the manager.
    scene.api().consoles.session_started(clone.uuid);
    let mut renewals = im.renewals.clone();
    let renewed = renewals.wait_for(|it| it.get(&instance.uuid).is_some_and(|count| 6 <= *count));
    tokio::time::timeout(PATIENCE, renewed).await.unwrap().unwrap();
    assert_eq!((scene.stored("console").await, scene.stored("job").await), (1, 2), "longer than a lease, and it lives");

    scene.api().consoles.session_ended(clone.uuid);
    nothing_remains(&scene, &im).await;
    assert_eq!(scene.api().job(web).await.unwrap(), before);
    for event in ["console.created", "console.deleted"] {
        let item = scene.until_recorded(event).await;
        assert_eq!((item.fqn.as_str(), item.principal_name.as_str()), (clone.fqn.as_str(), "tom"));
        assert_eq!(item.payload["source"], WEB);
    }
}

#[tokio::test]
async fn the_environment_of_a_clone_is_shown_only_to_who_may_see_that_of_its_app() {
    let scene = Scene::start().await;
    let (_im, _, web) = running_app(&scene).await;
    let (mary, ann) = (scene.user("mary").await, scene.user("ann").await);
    let on_app = grant("job::/sandbox/tom", "mary", "read, ssh") + &grant("package::/sandbox/tom", "mary", "use");
    let on_clone = grant("job::/sandbox/mary", "ann", "read, update, ssh");
    scene.policy(&[("a", &on_app), ("b", &on_clone)]).await;
    let opened: ConsoleOpened = console(&mary, web).await.read();
    let path = format!("/v1/jobs/{}", opened.job.job.uuid);
    let seen = async |user: &User| user.get(&path).await.read::<JobView>();
    assert_eq!(seen(&mary).await.job.process.environment["SECRET"], "42");
    let view = seen(&ann).await;
    assert!(view.job.process.environment.is_empty() && view.partial, "{view:?}");
    scene.policy(&[("c", &grant("job::/sandbox/tom", "ann", "update"))]).await;
    assert_eq!(seen(&ann).await.job.process.environment["SECRET"], "42");
    // With the permit on the app the sight of the clone's goes too.
    scene.policy(&[("a", ""), ("c", "")]).await;
    assert!(seen(&ann).await.job.process.environment.is_empty());
}

#[tokio::test]
async fn a_console_wants_permits_on_app_packages_and_clone() {
    let scene = Scene::start().await;
    let (im, _, web) = running_app(&scene).await;
    let mary = scene.user("mary").await;
    let refusal = |answer: Answer| -> ApiError { answer.error() };
    scene.policy(&[("a", &grant("job::/sandbox/tom", "mary", "read"))]).await;
    let refused = refusal(console(&mary, web).await);
    assert_eq!(refused.message, format!("missing claim \"permit ssh\" on \"{WEB}\""));
    // `ssh` without `read` is a way in, not a look at everything.
    scene.policy(&[("a", &grant("job::/sandbox/tom", "mary", "ssh"))]).await;
    assert_eq!(refusal(console(&mary, web).await).missing_claims, ["permit read"]);
    scene.policy(&[("a", &grant("job::/sandbox/tom", "mary", "read, ssh"))]).await;
    let refused = refusal(console(&mary, web).await);
    assert_eq!(refused.message, format!("missing claim \"permit use\" on \"{OS}\""));
    scene.policy(&[("b", &grant("package::/sandbox/tom", "mary", "use"))]).await;
    // In a sandbox of her own she may do everything.
    let opened: ConsoleOpened = console(&mary, web).await.read();
    assert!(opened.job.job.fqn.starts_with("job::/sandbox/mary::web-console-"));
    scene.api().consoles.session_started(opened.job.job.uuid);
    scene.api().consoles.session_ended(opened.job.job.uuid);
    nothing_remains(&scene, &im).await;
    // Without a sandbox there is no place for the clone.
    scene.policy(&[("sandbox", "job::/sandbox/nobody { permit read }\n")]).await;
    let refused = refusal(console(&mary, web).await);
    assert_eq!(refused.missing_claims, ["permit create", "permit start", "permit ssh", "permit delete"]);
    assert_eq!((scene.stored("console").await, scene.stored("job").await), (0, 1));
}

#[tokio::test]
async fn an_image_without_a_shell_is_refused_with_the_reason() {
    let scene = Scene::start().await;
    let (im, tom, web) = running_app(&scene).await;
    // The app's own instance does not yet say whether there is one; the clone's does.
    im.behave(|desired| {
        let mut actual = running(desired);
        actual.has_shell = desired.lease_ms.map(|_| false);
        actual
    })
    .await;
    let refused = console(&tom, web).await.error();
    assert_eq!(refused.code, "no_shell");
    assert!(refused.message.starts_with(&format!("the image of \"{WEB}\" has no shell")), "{}", refused.message);
    nothing_remains(&scene, &im).await;
    // Now it is known: no clone is made at all.
    let clones = scene.recorded("console.created").await.len();
    let mut reported = scene.api().fleet.subscribe();
    reported.mark_unchanged();
    im.behave(|desired| {
        let mut actual = running(desired);
        actual.has_shell = Some(false);
        actual
    })
    .await;
    reported.changed().await.unwrap();
    assert_eq!(console(&tom, web).await.error().code, "no_shell");
    assert_eq!(scene.recorded("console.created").await.len(), clones);
}

#[tokio::test]
async fn a_clone_that_cannot_start_is_deleted_and_says_why() {
    let scene = Scene::start_with(|config| config.console.start_ms = 1_500).await;
    let (im, tom, web) = running_app(&scene).await;
    im.behave(|desired| {
        let mut actual = running(desired);
        if desired.lease_ms.is_some() {
            actual.state = InstanceState::Starting;
            actual.message = Some("no space left".to_owned());
        }
        actual
    })
    .await;
    let refused = console(&tom, web).await.error();
    assert_eq!((refused.code.as_str(), refused.retry), ("unavailable", true));
    assert!(refused.message.ends_with("no space left"), "{}", refused.message);
    nothing_remains(&scene, &im).await;
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_console_starts_leaves_nothing() {
    let scene = Scene::start().await;
    let (im, tom, web) = running_app(&scene).await;
    im.behave(|desired| {
        let mut actual = running(desired);
        if desired.lease_ms.is_some() {
            actual.state = InstanceState::Starting;
        }
        actual
    })
    .await;
    let asking = tokio::spawn(async move { console(&tom, web).await });
    im.until(|it| it.len() == 2).await;
    asking.abort();
    nothing_remains(&scene, &im).await;
}

#[tokio::test]
async fn a_console_of_a_killed_server_is_swept_by_another() {
    let mut scene = Scene::start().await;
    let (im, tom, web) = running_app(&scene).await;
    let opened: ConsoleOpened = console(&tom, web).await.read();
    scene.api().consoles.session_started(opened.job.job.uuid);
    let another = scene.another_server().await;
    let killed = std::mem::replace(&mut scene.server, another);

    // The owner lives: nobody takes what it renews, for longer than a lease.
    let mut renewals = im.renewals.clone();
    let renewed = renewals.wait_for(|it| it.get(&opened.instance).is_some_and(|count| 8 <= *count));
    tokio::time::timeout(PATIENCE, renewed).await.unwrap().unwrap();
    assert_eq!((scene.stored("console").await, scene.stored("job").await), (1, 2));

    killed.kill();
    im.kill();
    // The new run has the same id, and still is not the owner.
    let lease = scene.store.list(&gatehouse::store::Key::new(["console"])).await.unwrap().remove(0);
    let lease: ConsoleLease = serde_json::from_slice(&lease.value).unwrap();
    assert!(lease.owner.starts_with("api-1/"));
    let im = Manager::come(&scene.server, &scene.authority, im.uuid).await;
    nothing_remains(&scene, &im).await;
    scene.until_recorded("console.deleted").await;
}

#[tokio::test]
async fn a_crash_between_lease_and_clone_leaves_only_what_is_swept() {
    let scene = Scene::start().await;
    let (im, tom, _) = running_app(&scene).await;
    let lease = ConsoleLease {
        session: "api-9-1".to_owned(),
        owner: "api-9/dead".to_owned(),
        epoch: 3,
        source: Uuid::new_v4(),
        source_fqn: WEB.to_owned(),
        clone: Uuid::new_v4(),
        clone_fqn: "job::/sandbox/tom::web-console-00000000".to_owned(),
        principal: "tom".to_owned(),
    };
    let key = gatehouse::store::Key::new(["console", "api-9-1"]);
    let began = std::time::Instant::now();
    gatehouse::store::json::put(&*scene.store, &key, None, &lease).await.unwrap();
    // A name that a crash between deleting job and name left.
    let name = gatehouse::store::Key::new(["job-name", lease.clone_fqn.as_str()]);
    gatehouse::store::json::put(&*scene.store, &name, None, &lease.clone).await.unwrap();
    nothing_remains(&scene, &im).await;
    assert!(Duration::from_millis(900) < began.elapsed(), "not before its time to live");
    drop(tom);
}

#[tokio::test]
async fn a_clean_stop_ends_the_consoles_that_it_held() {
    let scene = Scene::start().await;
    let (_im, tom, web) = running_app(&scene).await;
    let opened: ConsoleOpened = console(&tom, web).await.read();
    scene.api().consoles.session_started(opened.job.job.uuid);
    scene.server.stop.cancel();
    scene.until_stored("console", 0).await;
    assert_eq!((scene.stored("job").await, scene.stored("job-name").await), (1, 1));
}

#[tokio::test]
async fn a_clone_cannot_be_cloned_or_changed() {
    let scene = Scene::start().await;
    let (_im, tom, web) = running_app(&scene).await;
    let opened: ConsoleOpened = console(&tom, web).await.read();
    let clone = opened.job.job.uuid;
    assert_eq!(console(&tom, clone).await.error().code, "conflict");
    assert_eq!(tom.update(clone, &crate::api::started()).await.error().code, "conflict");
    assert_eq!(tom.delete(&format!("/v1/jobs/{clone}")).await.status, 204);
    let jobs: Vec<JobView> = tom.get("/v1/jobs").await.read();
    assert_eq!(jobs.len(), 1);
}

//! Managers: what they are believed, what they may have, and what becomes of instances without them.

use axum::body::Body;
use gatehouse::{
    link::Role,
    wire::{
        im::{FromIm, IM_PROTOCOL, ToIm},
        job::{Instance, InstanceLog, JobKind, JobState, JobView, UpdateJob},
    },
};
use uuid::Uuid;

use crate::api::{
    PATIENCE, Scene, answer,
    manager::{Manager, hear, hello, open, running, say},
    started,
};

const WEB: &str = "job::/sandbox/tom::web";
const OS: &str = "package::/sandbox/tom::os";

#[tokio::test]
async fn a_manager_is_told_whom_to_trust() {
    let scene = Scene::start().await;
    let ToIm::Welcome { protocol, user_authorities, api_addresses } = scene.manager().await.welcome else { panic!() };
    assert_eq!((protocol, user_authorities), (IM_PROTOCOL, scene.auth.authorities().instance_users));
    assert_eq!(api_addresses, scene.config.api.addresses);
}

#[tokio::test]
async fn only_reports_of_the_present_epoch_and_of_ports_in_range_locate_anything() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create("job::/sandbox/tom::box", JobKind::Capsule, OS).await.job.uuid;
    tom.start(job).await;
    let instance = im.until(|it| it.len() == 1).await[0].uuid;
    let located = scene.api().fleet.locate(instance).unwrap();
    assert_eq!((located.job, located.im, located.epoch), (job, im.uuid, 1));
    assert_eq!(located.address, "127.0.0.1:20001".parse().unwrap());
    assert_eq!(scene.api().fleet.running(job), [located]);

    let mut reported = scene.api().fleet.subscribe();
    for (epoch, port) in [(0, 20_001), (2, 20_001), (1, 22), (1, 30_000)] {
        reported.mark_unchanged();
        im.behave(move |desired| {
            let mut actual = running(desired);
            actual.epoch = epoch;
            actual.public_port = Some(port);
            actual
        })
        .await;
        reported.changed().await.unwrap();
        assert_eq!(scene.api().fleet.locate(instance), None, "epoch {epoch}, port {port}");
    }
    // What another manager says of it is nothing.
    let other = scene.manager().await;
    other.until(<[_]>::is_empty).await;
    let mut socket = open(&other.client).await;
    say(&mut socket, &hello()).await;
    assert!(matches!(hear(&mut socket).await, Some(ToIm::Welcome { .. })));
    reported.mark_unchanged();
    let mut lie = running(&im.desired.borrow()[0]);
    lie.uuid = instance;
    say(&mut socket, &FromIm::Actual { instances: vec![lie] }).await;
    reported.changed().await.unwrap();
    assert_eq!(scene.api().fleet.locate(instance), None);
}

#[tokio::test]
async fn a_manager_cannot_say_that_it_is_where_none_can_be() {
    let scene = Scene::start().await;
    let client = scene.link(Role::Im, &Uuid::new_v4().to_string());
    for address in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:0.0.0.0", "224.0.0.1"] {
        let mut socket = open(&client).await;
        let hello = FromIm::Hello { protocol: IM_PROTOCOL, address: address.parse().unwrap(), ports: (20_000, 29_999) };
        say(&mut socket, &hello).await;
        assert_eq!(hear(&mut socket).await, None, "{address}");
    }
}

#[tokio::test]
async fn instances_are_spread_replaced_and_kept_when_a_manager_goes() {
    let scene = Scene::start().await;
    let (one, other) = (scene.manager().await, scene.manager().await);
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create(WEB, JobKind::App, OS).await.job.uuid;
    let update = UpdateJob { num_instances: Some(2), ..started() };
    tom.update(job, &update).await.read::<JobView>();
    tom.settled(job).await;
    let kept = one.until(|it| it.len() == 1).await[0].uuid;
    let dropped = other.until(|it| it.len() == 1).await[0].uuid;

    assert_eq!(tom.delete(&format!("/v1/jobs/{job}/instances/{dropped}")).await.status, 204);
    other.until(|it| it.len() == 1 && it[0].uuid != dropped).await;
    assert_eq!(tom.delete(&format!("/v1/jobs/{job}/instances/{dropped}")).await.status, 404);

    // Its containers outlive a manager: nothing is started elsewhere, and what was said of them stands.
    let mut reported = scene.api().fleet.subscribe();
    one.kill();
    tokio::time::timeout(PATIENCE, async {
        while scene.api().fleet.status(kept).unwrap().connected {
            reported.changed().await.unwrap();
        }
    })
    .await
    .unwrap();
    assert!(scene.api().fleet.status(kept).unwrap().actual.is_some());
    let instances: Vec<Instance> = tom.get(&format!("/v1/jobs/{job}/instances")).await.read();
    assert!(instances.iter().any(|it| it.uuid == kept && it.message.is_some()));
    let back = Manager::come(&scene.server, &scene.authority, one.uuid).await;
    assert_eq!(back.until(|it| it.len() == 1).await[0].uuid, kept);
}

#[tokio::test]
async fn a_job_that_ends_is_finished_and_one_that_flaps_is_errored() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let create = gatehouse::wire::job::CreateJob { restart: Some(false), ..crate::api::app(WEB, JobKind::App, OS) };
    let once: JobView = tom.ask("POST", "/v1/jobs", Some(&create)).await.read();
    im.behave(|desired| {
        let mut actual = running(desired);
        actual.exit = (!desired.restart).then_some(3);
        actual.flapping = desired.restart;
        actual
    })
    .await;
    tom.update(once.job.uuid, &started()).await.read::<JobView>();
    let until = async |job: Uuid, state: JobState| {
        let mut stored = scene.api().registry.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            while scene.api().registry.job(job).is_none_or(|it| it.state != state) {
                stored.changed().await.unwrap();
            }
        });
        waited.await.unwrap();
        scene.api().registry.job(job).unwrap().message.unwrap()
    };
    assert_eq!(until(once.job.uuid, JobState::Finished).await, "ended with status 3");
    let flaps = tom.create("job::/sandbox/tom::flaps", JobKind::App, OS).await;
    tom.update(flaps.job.uuid, &started()).await.read::<JobView>();
    assert!(until(flaps.job.uuid, JobState::Errored).await.starts_with("flapping"));
}

#[tokio::test]
async fn logs_come_from_the_manager_that_has_the_instance() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create(WEB, JobKind::App, OS).await.job.uuid;
    tom.start(job).await;
    let instance = im.desired.borrow()[0].uuid;
    let path = format!("/v1/jobs/{job}/logs?lines=7");
    let logs: Vec<InstanceLog> = tom.get(&path).await.read();
    assert_eq!(logs, [InstanceLog { instance, text: Some(format!("{instance} 7\n")), message: None }]);
    im.kill();
    let logs: Vec<InstanceLog> = tom.get(&path).await.read();
    assert!(logs[0].text.is_none() && logs[0].message.is_some());
}

#[tokio::test]
async fn a_manager_reads_the_layers_of_its_own_instances_only() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create(WEB, JobKind::App, OS).await.job.uuid;
    tom.start(job).await;
    let layer = im.desired.borrow()[0].layers[0].clone();
    let get = |path: String| axum::http::Request::get(path).body(Body::empty()).unwrap();
    let path = format!("/internal/im/layers/{}", layer.digest);
    let response = im.client.request(get(path.clone())).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let bytes = gatehouse::link::read_body(response.into_body(), 1 << 20).await.unwrap();
    assert_eq!(bytes.len() as u64, layer.bytes);
    let stranger = scene.manager().await;
    for client in [&stranger.client, &scene.link(Role::Im, "no-uuid"), &scene.link(Role::Router, "r")] {
        let refused = answer(client, get(path.clone())).await;
        assert!([401, 404].contains(&refused.status), "{refused:?}");
    }
    assert_eq!(answer(&im.client, get("/internal/im/layers/..%2Fkeys".to_owned())).await.status, 404);
}

#[tokio::test]
async fn a_link_that_does_not_keep_to_the_protocol_is_cut() {
    let scene = Scene::start().await;
    let bad = [
        r#"{"type":"actual","instances":[]}"#.to_owned(),
        r#"{"type":"hello","protocol":99,"address":"127.0.0.1","ports":[20000,29999]}"#.to_owned(),
        r#"{"type":"hello","protocol":1,"address":"0.0.0.0","ports":[20000,29999]}"#.to_owned(),
        r#"{"type":"hello","protocol":1,"address":"127.0.0.1","ports":[22,29999]}"#.to_owned(),
        r#"{"type":"hello","protocol":1,"address":"127.0.0.1","ports":[29999,20000]}"#.to_owned(),
        "{".to_owned(),
        "[".repeat(100_000),
    ];
    for text in bad {
        use futures_util::SinkExt;
        let mut socket = open(&scene.link(Role::Im, &Uuid::new_v4().to_string())).await;
        socket.send(tokio_tungstenite::tungstenite::Message::text(text.clone())).await.unwrap();
        assert_eq!(hear(&mut socket).await, None, "{}", text.chars().take(90).collect::<String>());
    }
    assert_eq!(scene.api().fleet.connected_managers(), []);
}

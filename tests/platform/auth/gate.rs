//! The gate: it writes down before it answers, tells nobody of what he may not see, and grants once.

use std::sync::atomic::Ordering;

use gatehouse::{
    gate::{GateError, Grant, JobPermit, Operation, Principal, SessionTarget, Stale},
    wire::{
        job::{ConsoleLease, Job},
        sign::Open,
    },
};
use uuid::Uuid;

use crate::auth::{Scene, grant, job};

const SHELL: Open = Open::Shell { pty: None };

fn exec(command: &str) -> Open {
    Open::Exec { command: command.to_owned(), pty: None }
}

fn target<'a>(job: &'a Job, source: Option<&'a Job>, open: &'a Open) -> SessionTarget<'a> {
    SessionTarget { job, source, instance: Uuid::from_u128(1), session: "api-1-0f", open, client: None }
}

async fn open(scene: &Scene, who: &Principal, job: &Job, open: &Open) -> Result<Grant, GateError> {
    scene.auth.gate().open_session(who, &target(job, None, open)).await
}

fn message<T: std::fmt::Debug>(result: Result<T, GateError>) -> String {
    result.unwrap_err().to_api().message
}

#[tokio::test]
async fn permit_ssh_opens_shell_and_command_and_nothing_more() {
    let scene = Scene::start().await;
    let (tom, mary) = (scene.principal("tom").await, scene.principal("mary").await);
    let web = job("job::/prod::web");
    let rules = grant("job::/prod", "tom", "ssh") + &grant("job::/prod", "mary", "read");
    scene.set_policy(&[("prod", &rules)]).await;
    let granted = open(&scene, &tom, &web, &SHELL).await.unwrap();
    assert_eq!((granted.job(), granted.fqn(), granted.revision()), (web.uuid, "job::/prod::web", 2));
    assert_eq!((granted.principal().name(), granted.open(), granted.instance()), ("tom", &SHELL, Uuid::from_u128(1)));
    open(&scene, &tom, &web, &exec("id")).await.unwrap();
    open(&scene, &tom, &web, &Open::Subsystem { name: "sftp".to_owned() }).await.unwrap();
    let forward = Open::Forward { host: "localhost".to_owned(), port: 80 };
    let missing = r#"missing claim "permit ssh" on "job::/prod::web""#;
    assert_eq!(message(open(&scene, &tom, &web, &forward).await), missing);
    for first in [SHELL, exec("id"), forward] {
        let refused = open(&scene, &mary, &web, &first).await.unwrap_err();
        assert_eq!(refused.to_api().message, missing);
        assert_eq!(refused.to_api().missing_claims, ["permit ssh"]);
        assert_eq!(refused.status(), 403);
    }
    let other = Open::Subsystem { name: "netconf".to_owned() };
    assert!(matches!(open(&scene, &tom, &web, &other).await, Err(GateError::Unsupported(_))));
}

#[tokio::test]
async fn a_command_is_permitted_by_itself() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/prod::web");
    let rule =
        "job::/prod { if (auth_server@apcera.me->name == \"tom\" && command matches \"pg_dump *\") { permit exec } }";
    scene.set_policy(&[("prod", rule)]).await;
    open(&scene, &tom, &web, &exec("pg_dump db")).await.unwrap();
    for command in ["pg_dump db; sh", "id", "", "pg_dump $(sh)", "pg_dump \n sh"] {
        assert!(open(&scene, &tom, &web, &exec(command)).await.is_err(), "{command:?}");
    }
    assert!(open(&scene, &tom, &web, &SHELL).await.is_err());
    // A request within a session is told by its own permit.
    let refused = scene.auth.gate().request(&tom, &target(&web, None, &exec("id"))).await;
    assert_eq!(message(refused), r#"missing claim "permit exec" on "job::/prod::web""#);
    assert!(scene.auth.gate().sees_job(&tom, &web, None).unwrap(), "he may know of what he may get into");
}

#[tokio::test]
async fn the_answer_is_written_down_before_it_is_given() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/sandbox/tom::web");
    let granted = open(&scene, &tom, &web, &exec("id")).await.unwrap();
    let item = scene.ears.of_type("policy.access.allowed").pop().unwrap();
    assert_eq!(item.uuid, granted.decision().to_string());
    assert_eq!((item.fqn.as_str(), item.principal_name.as_str()), ("job::/sandbox/tom::web", "tom"));
    assert_eq!((item.session.as_deref(), item.payload["command"].as_str()), (Some("api-1-0f"), "id"));
    let decision = item.decision.unwrap();
    assert!(decision.allowed && !decision.because.is_empty(), "{decision:?}");
    scene.ears.deaf.store(true, Ordering::SeqCst);
    assert_eq!(open(&scene, &tom, &web, &SHELL).await.unwrap_err(), GateError::Unrecorded);
    let elsewhere = open(&scene, &tom, &job("job::/prod::web"), &SHELL).await.unwrap_err();
    assert_eq!(elsewhere, GateError::Unrecorded, "a refusal too");
}

#[tokio::test]
async fn absent_and_invisible_are_one_answer() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let (hidden, gate) = (job("job::/prod::web"), scene.auth.gate());
    let absent = gate.find_job(&tom, None, "x", None).await.unwrap_err();
    let invisible = gate.find_job(&tom, Some(hidden.clone()), "x", None).await.unwrap_err();
    assert_eq!(absent, invisible);
    assert_eq!((absent.status().as_u16(), absent.to_api().resource_missing), (404, true));
    let denied = scene.ears.of_type("policy.access.denied");
    assert_eq!(denied.len(), 2);
    assert_eq!((&denied[0].fqn, &denied[0].payload), (&denied[1].fqn, &denied[1].payload));
    for permit in ["read", "ssh", "shell", "exec", "sftp", "forward"] {
        scene.set_policy(&[("prod", &grant("job::/prod", "tom", permit))]).await;
        gate.find_job(&tom, Some(hidden.clone()), "x", None).await.unwrap();
        gate.find_job(&tom, None, "x", None).await.unwrap_err();
    }
    scene.set_policy(&[("prod", &grant("job::/prod", "tom", "start"))]).await;
    gate.find_job(&tom, Some(hidden), "x", None).await.unwrap_err();
}

#[tokio::test]
async fn conditions_on_a_later_request_do_not_hide_a_job() {
    let scene = Scene::start().await;
    let (tom, mary) = (scene.principal("tom").await, scene.principal("mary").await);
    let web = job("job::/prod::web");
    for condition in [
        "command == \"id\"",
        "command != \"x\"",
        "forward.host == \"db\" && forward.port == \"5432\"",
        "subsystem == \"sftp\"",
    ] {
        let permit = if condition.contains("forward") { "forward" } else { "exec" };
        let rule = format!(
            "job::/prod {{ if (auth_server@apcera.me->name == \"tom\" && {condition}) {{ permit {permit} }} }}"
        );
        scene.set_policy(&[("prod", &rule)]).await;
        assert!(scene.auth.gate().sees_job(&tom, &web, None).unwrap(), "{condition}");
        assert!(!scene.auth.gate().sees_job(&mary, &web, None).unwrap(), "{condition}");
    }
    let elsewhere = "job::/prod { if (client.address inCidr \"10.0.0.0/8\" && command == \"id\") { permit exec } }";
    scene.set_policy(&[("prod", elsewhere)]).await;
    let sees = |address: &str| scene.auth.gate().sees_job(&tom, &web, address.parse().ok()).unwrap();
    assert!(sees("10.1.2.3") && sees("::ffff:10.1.2.3"));
    assert!(!sees("192.0.2.1") && !sees("no address"));
}

#[tokio::test]
async fn the_operation_brings_its_context() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let mut web = job("job::/prod::web");
    web.tags.insert("env".to_owned(), "staging".to_owned());
    let gate = scene.auth.gate();
    let read = |client: Option<&str>| Operation::job(&[JobPermit::Read], &web, client.map(|it| it.parse().unwrap()));
    for (condition, expected) in [
        ("tag.env == \"staging\"", true),
        ("tag.env == \"prod\"", false),
        ("owner == \"tom\"", true),
        ("principal.kind == \"user\"", true),
        ("principal.kind == \"job\"", false),
        ("auth.age < \"1h\"", true),
        ("auth.age > \"1h\"", false),
        ("client.address == \"192.0.2.7\"", true),
        ("time.weekday == \"mon\" && time.clock == \"12:00\" && time.date == \"2026-11-23\"", true),
        ("time.hour < 12", false),
        ("local->name == \"tom\"", true),
        ("name == \"tom\"", false),
    ] {
        scene.set_policy(&[("prod", &format!("job::/prod {{ if ({condition}) {{ permit read }} }}"))]).await;
        let ruling = gate.decide(&tom, read(Some("192.0.2.7"))).await.unwrap();
        assert_eq!(ruling.is_allowed(), expected, "{condition}");
        let without = gate.decide(&tom, read(None)).await.unwrap();
        assert_eq!(without.is_allowed(), expected && !condition.contains("client"), "{condition}");
    }
}

#[tokio::test]
async fn restrictions_bind_the_session_or_refuse_it() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/sandbox/tom::web");
    scene
        .set_policy(&[(
            "limits",
            "job::/ { { ssh.idleTimeout \"15m\" } { ssh.maxSession \"8h\" } { ssh.user \"app\" } { ssh.record none } }",
        )])
        .await;
    let granted = open(&scene, &tom, &web, &SHELL).await.unwrap();
    assert_eq!(granted.idle_timeout().unwrap().as_secs(), 900);
    assert_eq!(granted.session_max().unwrap().as_secs(), 28_800);
    assert_eq!(granted.user(), Some("app"));
    for claim in [
        "ssh.record full",
        "ssh.record output",
        "ssh.require \"mfa\"",
        "ssh.require \"approval\"",
        "ssh.require \"Google->email\"",
    ] {
        scene.set_policy(&[("limits", &format!("job::/ {{ {{ {claim} }} }}"))]).await;
        let refused = open(&scene, &tom, &web, &SHELL).await.unwrap_err();
        assert_eq!((refused.to_api().code.as_str(), refused.status().as_u16()), ("unenforceable", 403), "{claim}");
    }
    // Who is not permitted is told that first; and what is required but there does not refuse.
    let mary = scene.principal("mary").await;
    assert!(matches!(open(&scene, &mary, &web, &SHELL).await, Err(GateError::Refused(_))));
    scene
        .set_policy(&[("limits", "job::/ { { ssh.require \"local->name\" } { package.retire \"package::/x\" } }")])
        .await;
    open(&scene, &tom, &web, &SHELL).await.unwrap();
}

#[tokio::test]
async fn a_grant_holds_as_long_as_what_it_rests_on() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/sandbox/tom::web");
    let gate = scene.auth.gate();
    let granted = open(&scene, &tom, &web, &SHELL).await.unwrap();
    assert_eq!(gate.still_holds(&granted), Ok(()));
    assert_eq!(granted.valid_until(), tom.expires());
    // What is said of others cannot matter to it; what is said of it can, whatever that is.
    scene.set_policy(&[("other", "job::/other { { permit read } }")]).await;
    assert_eq!((gate.policy().revision(), gate.still_holds(&granted)), (2, Ok(())));
    scene.set_policy(&[("all", "job::/ { { permit read } }")]).await;
    assert_eq!(gate.still_holds(&granted), Err(Stale::Revision { in_force: 3, decided: 1 }));
    let granted = open(&scene, &tom, &web, &SHELL).await.unwrap();
    assert_eq!(gate.still_holds(&granted), Ok(()));
    // Until noon and a minute.
    let noon = "job::/prod { if (time.clock < \"12:01\") { permit ssh } }";
    scene.set_policy(&[("noon", noon)]).await;
    let prod = job("job::/prod::web");
    let granted = open(&scene, &tom, &prod, &SHELL).await.unwrap();
    assert_eq!(granted.valid_until(), super::NOW + 60);
    scene.clock.advance(59);
    assert_eq!(gate.still_holds(&granted), Ok(()));
    scene.clock.advance(1);
    assert_eq!(gate.still_holds(&granted), Err(Stale::Lapsed));
    assert!(open(&scene, &tom, &prod, &SHELL).await.is_err());
    // A rule that asks for the login's age makes every decision one to look at again.
    scene.set_policy(&[("noon", "job::/prod { if (auth.age < \"8h\") { permit ssh } }")]).await;
    let granted = open(&scene, &tom, &prod, &SHELL).await.unwrap();
    assert_eq!(granted.valid_until(), super::NOW + 120);
    scene.clock.advance(90_000);
    assert!(matches!(gate.still_holds(&granted), Err(Stale::Bearer(_))));
    assert!(matches!(open(&scene, &tom, &prod, &SHELL).await, Err(GateError::Bearer(_))));
}

#[tokio::test]
async fn a_console_takes_both_decisions_and_the_stricter_rules() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let app = job("job::/prod::web");
    let clone = clone_of(&app);
    let gate = scene.auth.gate();
    let both = |open| target(&clone, Some(&app), open);
    let refused = gate.open_session(&tom, &both(&SHELL)).await;
    assert_eq!(message(refused), r#"missing claim "permit ssh" on "job::/prod::web""#);
    let rules = grant("job::/prod", "tom", "ssh")
        + "job::/prod { { ssh.idleTimeout \"5m\" } } job::/sandbox { { ssh.idleTimeout \"1h\" } { ssh.maxSession \"2h\" } }";
    scene.set_policy(&[("prod", &rules)]).await;
    let granted = gate.open_session(&tom, &both(&SHELL)).await.unwrap();
    assert_eq!((granted.job(), granted.source()), (clone.uuid, Some(app.uuid)));
    assert_eq!(granted.idle_timeout().unwrap().as_secs(), 300);
    assert_eq!(granted.session_max().unwrap().as_secs(), 7_200);
    // It rests on what is said of the clone and on what is said of its source.
    for (realm, holds) in
        [("job::/other", true), ("job::/prod::other", true), ("job::/prod", false), ("job::/sandbox", false)]
    {
        let granted = gate.open_session(&tom, &both(&SHELL)).await.unwrap();
        scene.set_policy(&[("more", &format!("{realm} {{ permit read }}"))]).await;
        assert_eq!(gate.still_holds(&granted).is_ok(), holds, "{realm}");
        // Taken away again, it is another revision still.
        scene.set_policy(&[("more", "// Nothing.\n")]).await;
        assert_eq!(gate.still_holds(&granted).is_ok(), holds, "{realm}");
    }
    // One of the two alone makes no grant, nor does another job in the source's place.
    assert!(gate.open_session(&tom, &target(&clone, None, &SHELL)).await.is_err());
    assert!(gate.open_session(&tom, &target(&app, Some(&app), &SHELL)).await.is_err());
    let other = job("job::/sandbox/tom::other");
    assert!(gate.open_session(&tom, &target(&clone, Some(&other), &SHELL)).await.is_err());
    scene.set_policy(&[("prod", &(rules + "job::/prod { { ssh.record full } }"))]).await;
    assert!(matches!(gate.open_session(&tom, &both(&SHELL)).await, Err(GateError::Unenforceable(_))));
}

pub(super) fn clone_of(app: &Job) -> Job {
    let mut clone = job("job::/sandbox/tom::web-console-0123abcd");
    clone.console = Some(ConsoleLease {
        session: "api-1-0f".to_owned(),
        owner: "api-1".to_owned(),
        epoch: 1,
        source: app.uuid,
        source_fqn: app.fqn.clone(),
        clone: clone.uuid,
        clone_fqn: clone.fqn.clone(),
        principal: "tom".to_owned(),
    });
    clone
}

#[tokio::test]
async fn a_ruling_that_opens_nothing_grants_nothing() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/sandbox/tom::web");
    let gate = scene.auth.gate();
    let read = gate.require(&tom, Operation::job(&[JobPermit::Read], &web, None)).await.unwrap();
    assert!(matches!(Grant::new(read, None), Err(GateError::BadRequest(_))));
    let elsewhere = job("job::/prod::web");
    let denied = gate.decide(&tom, Operation::open(&elsewhere, Uuid::nil(), &SHELL, None).unwrap()).await.unwrap();
    assert!(!denied.is_allowed());
    assert!(matches!(Grant::new(denied, None), Err(GateError::Refused(_))));
}

#[tokio::test]
async fn what_is_no_name_is_refused_and_not_decided() {
    let scene = Scene::start().await;
    let gate = scene.auth.gate();
    for fqn in [
        "",
        "web",
        "job::/sandbox/eve/../tom::web",
        "job::/a//b::x",
        "job::/a/::x",
        "job::/[name]::x",
        "job::/a::*",
        "job::/a::x\n",
    ] {
        let refused = gate.decide(&scene.root, Operation::job(&[JobPermit::Read], &job(fqn), None)).await;
        assert!(matches!(refused, Err(GateError::BadRequest(_))), "{fqn:?}: {refused:?}");
    }
}

#[tokio::test]
async fn refusals_do_not_fill_the_disk() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let web = job("job::/prod::web");
    for _ in 0..200 {
        assert!(open(&scene, &tom, &web, &SHELL).await.is_err());
    }
    assert_eq!(scene.ears.of_type("policy.access.denied").len(), 60);
    scene.clock.advance(5);
    assert!(open(&scene, &tom, &web, &SHELL).await.is_err());
    assert_eq!(scene.ears.of_type("policy.access.denied").pop().unwrap().payload["suppressed"], "140");
}

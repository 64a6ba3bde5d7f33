//! Policy and audit over REST.

use std::time::Duration;

use gatehouse::wire::{
    audit::{AuditPage, AuditReport},
    decide::{DecideAnswer, WhyAnswer},
    policy::{PolicyDocument, PolicyList, PutDocument, PutPolicy, PutTests},
};

use serde_json::json;

use crate::api::{PATIENCE, Scene, User, grant};

fn put(name: &str, for_version: Option<u64>, text: &str) -> PutPolicy {
    let document = PutDocument { name: name.to_owned(), for_version, text: text.to_owned() };
    PutPolicy { docs: vec![document], tests: Vec::new(), force: false }
}

async fn list(user: &User) -> PolicyList {
    user.get("/v1/policy").await.read()
}

#[tokio::test]
async fn documents_are_listed_shown_changed_and_deleted() {
    let scene = Scene::start().await;
    let root = scene.user("root").await;
    let before = list(&root).await;
    assert!(before.documents.iter().any(|it| it.system && it.name == "clusterPermissions"));
    assert!(before.documents.iter().any(|it| !it.system && it.name == "sandbox" && it.text.is_none()));

    let text = grant("job::/prod", "mary", "read");
    let after: PolicyList = root.ask("PUT", "/v1/policy", Some(&put("prod", Some(0), &text))).await.read();
    assert_eq!(after.revision, before.revision + 1);
    let mut revision = scene.api().gate.policy().subscribe();
    tokio::time::timeout(PATIENCE, revision.wait_for(|it| after.revision <= *it)).await.unwrap().unwrap();
    let shown: PolicyDocument = root.get("/v1/policy/prod?version=1").await.read();
    assert_eq!((shown.text.as_deref(), shown.version, shown.author.as_str()), (Some(text.as_str()), 1, "root"));
    assert_eq!(root.get("/v1/policy/prod?version=2").await.status, 404);

    let again = root.ask("PUT", "/v1/policy", Some(&put("prod", Some(0), &text))).await;
    assert_eq!((again.status, again.error().code.as_str()), (409, "conflict"));
    let broken = root.ask("PUT", "/v1/policy", Some(&put("prod", Some(1), "jobs::/prod { permit }"))).await;
    assert_eq!(broken.status, 422);
    let error = broken.error();
    assert!(!error.diagnostics.is_empty() && error.diagnostics[0].start.line == 1, "{error:?}");
    assert_eq!(root.get("/v1/policy/prod").await.read::<PolicyDocument>().version, 1, "it stays in force");

    for path in ["/v1/policy/prod?for_version=7", "/v1/policy/none", "/v1/policy/..%2F..%2Fx"] {
        assert!(400 <= root.delete(path).await.status, "{path}");
    }
    assert_eq!(root.delete("/v1/policy/prod?for_version=1").await.status, 200);
    assert!(scene.recorded("policy.changed").await.len() >= 2);
}

#[tokio::test]
async fn tests_are_kept_listed_shown_and_hold() {
    let scene = Scene::start().await;
    let root = scene.user("root").await;
    let text = "[[test]]\nname = \"mary reads\"\ntarget = \"job::/prod::web\"\nuser = \"mary\"\nwant = \"permit read\"\nallow = true\n";
    let tests = PutTests { name: "prod".to_owned(), for_version: Some(0), text: Some(text.to_owned()) };
    let both = PutPolicy { tests: vec![tests], ..put("prod", Some(0), &grant("job::/prod", "mary", "read")) };
    let after: PolicyList = root.ask("PUT", "/v1/policy", Some(&both)).await.read();
    let mut revision = scene.api().gate.policy().subscribe();
    tokio::time::timeout(PATIENCE, revision.wait_for(|it| after.revision <= *it)).await.unwrap().unwrap();
    let listed = list(&root).await.tests;
    assert_eq!((listed.len(), listed[0].name.as_str(), listed[0].text.is_none()), (1, "prod", true));
    let shown: PolicyDocument = root.get("/v1/policy/tests/prod").await.read();
    assert_eq!((shown.text.as_deref(), shown.author.as_str()), (Some(text), "root"));
    assert_eq!(root.get("/v1/policy/tests/none").await.status, 404);
    assert_eq!(scene.user("tom").await.get("/v1/policy/tests/prod").await.status, 403);

    let refused = root.ask("PUT", "/v1/policy", Some(&put("prod", None, &grant("job::/prod", "tom", "read")))).await;
    let (status, error) = (refused.status, refused.error());
    assert_eq!((status, error.code.as_str()), (422, "policy_tests_failed"));
    let told = &error.diagnostics[0];
    assert_eq!((told.file.as_str(), told.start.line, told.code.as_str()), ("prod.decisions.toml", 2, "E0711"));
    assert!(told.message.contains("expected to be allowed, but it is not"), "{told:?}");
    assert_eq!(root.delete("/v1/policy/prod").await.status, 422);
}

#[tokio::test]
async fn policy_is_read_and_changed_by_those_whom_policy_lets() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    for path in ["/v1/policy", "/v1/policy/sandbox", "/v1/policy/none"] {
        let refused = tom.get(path).await.error();
        assert_eq!(refused.message, "missing claim \"permit read\" on \"policy::/\"", "{path}");
    }
    let refused = tom.ask("PUT", "/v1/policy", Some(&put("mine", None, &grant("job::/prod", "tom", "ssh")))).await;
    assert_eq!((refused.status, refused.error().code.as_str()), (403, "missing_claim"));
}

#[tokio::test]
async fn the_set_in_force_answers_questions_strictly() {
    let scene = Scene::start().await;
    let (root, tom) = (scene.user("root").await, scene.user("tom").await);
    let question = |target: &str, who: &str| {
        json!({
            "target": target,
            "facts": [{"issuer": "auth_server@apcera.me", "type": "name", "value": who}],
            "want": [{"type": "permit", "value": "ssh"}]
        })
    };
    let good = question("job::/sandbox/tom::web", "tom");
    let answer: DecideAnswer = root.ask("POST", "/v1/policy/decide", Some(&good)).await.read();
    assert!(answer.allowed && !answer.because.is_empty());
    let why: WhyAnswer =
        root.ask("POST", "/v1/policy/explain", Some(&question("job::/sandbox/tom::web", "mary"))).await.read();
    assert!(!why.answer.allowed && !why.nearest.is_empty());
    assert_eq!(tom.ask("POST", "/v1/policy/decide", Some(&good)).await.status, 403);
    let mut extra = good.clone();
    extra["permit"] = json!("all");
    for bad in
        [extra, question("job::/sandbox/../tom::web", "tom"), json!([]), json!({"target": "job::/x::y", "want": []})]
    {
        assert_eq!(root.ask("POST", "/v1/policy/decide", Some(&bad)).await.error().code, "invalid", "{bad}");
    }
}

#[tokio::test]
async fn the_audit_log_is_read_by_those_who_may_and_followed_without_asking_again() {
    let scene = Scene::start().await;
    let (root, tom) = (scene.user("root").await, scene.user("tom").await);
    let refused = tom.get("/v1/audit").await.error();
    assert_eq!(refused.missing_claims, ["permit read"]);
    let page: AuditPage = root.get("/v1/audit?limit=5").await.read();
    assert_eq!(page.records.len(), 5);
    assert_eq!(page.cursor, page.records[4].position + 1);
    let denied: AuditPage = root.get("/v1/audit?event_type=policy.access.denied").await.read();
    assert!(denied.records.iter().any(|it| it.item.principal_name == "tom" && it.item.fqn == "audit::/"));

    // One who follows hears of what comes when it comes, and not of the following.
    let path = format!("/v1/audit?cursor={}&wait=25", page.cursor);
    let page: AuditPage = root.get(&path).await.read();
    let path = format!("/v1/audit?event_type=package&cursor={}&wait=25", page.cursor);
    let (follower, began) = (root.clone(), std::time::Instant::now());
    let following = tokio::spawn(async move { follower.get(&path).await.read::<AuditPage>() });
    tom.package("package::/sandbox/tom::os").await;
    let page = tokio::time::timeout(PATIENCE, following).await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "it was told, it did not time out");
    let events: Vec<&str> = page.records.iter().map(|it| it.item.event_type.as_str()).collect();
    assert_eq!(events, ["package.imported"]);

    let report: AuditReport = root.get("/v1/audit/verify").await.read();
    assert!(report.broken.is_none() && 0 < report.records);
    for bad in ["limit=0", "limit=1001", "start_time=yesterday", "cursor=-1", "unknown=1"] {
        assert_eq!(root.get(&format!("/v1/audit?{bad}")).await.status, 400, "{bad}");
    }
}

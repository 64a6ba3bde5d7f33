//! Changing policy: all or none, at versions, by who may, and so that it can be undone.

use std::sync::atomic::Ordering;

use gatehouse::{
    auth::{AuthError, reset},
    gate::{Clock, GateError},
    limits::DOCUMENT_BYTES_MAX,
    wire::policy::{PutDocument, PutPolicy, PutTests},
};

use crate::auth::{Scene, grant, put};

fn refusal<T: std::fmt::Debug>(result: Result<T, AuthError>) -> String {
    match result {
        Err(AuthError::Gate(GateError::Refused(refusal))) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}

fn names(scene: &Scene) -> Vec<String> {
    let snapshot = scene.auth.gate().policy().current().unwrap();
    snapshot.entries.iter().map(|it| format!("{} {}", it.name, it.version)).collect()
}

/// Lets someone change policy in a place, narrowed to a type or not.
fn author(realm: &str, who: &str, narrowed: &str) -> String {
    let narrowed = if narrowed.is_empty() { String::new() } else { format!(" && ResType == \"{narrowed}\"") };
    format!("{realm} {{ if (auth_server@apcera.me->name == \"{who}\"{narrowed}) {{ permit update }} }}\n")
}

#[tokio::test]
async fn the_first_start_writes_the_default_documents() {
    let scene = Scene::start().await;
    assert_eq!(names(&scene), ["adminUsers 1", "authSettings 1", "packageResolution 1", "quotas 1", "sandbox 1"]);
    assert_eq!(scene.auth.gate().policy().revision(), 1);
}

#[tokio::test]
async fn a_change_is_one_revision_and_in_force_when_it_is_answered() {
    let scene = Scene::start().await;
    let docs = [("a", "job::/a { { permit read } }"), ("b", "job::/b { { permit read } }")];
    let list = scene.put_policy(&scene.root, &docs).await.unwrap();
    assert_eq!(list.revision, 2);
    assert_eq!(scene.auth.gate().policy().revision(), 2);
    assert!(names(&scene).contains(&"a 1".to_owned()) && names(&scene).contains(&"b 1".to_owned()));
    let item = scene.ears.of_type("policy.changed").pop().unwrap();
    assert_eq!((item.payload["revision"].as_str(), item.payload["documents"].as_str()), ("2", "a, b"));
    let list = scene.put_policy(&scene.root, &docs[..1]).await.unwrap();
    let versions: Vec<_> = list.documents.iter().filter(|it| it.name.len() == 1).map(|it| it.version).collect();
    assert_eq!((list.revision, versions), (3, vec![2, 1]));
    assert_eq!(list.documents[0].author, "root");
}

#[tokio::test]
async fn one_bad_document_keeps_all_of_them_out() {
    let scene = Scene::start().await;
    let docs = [("a", "job::/a { { permit read } }"), ("b", "jobs::/b { { permit read } }")];
    let refused = scene.put_policy(&scene.root, &docs).await;
    let Err(AuthError::PolicyInvalid(diagnostics)) = refused else { panic!("{refused:?}") };
    assert_eq!(diagnostics.len(), 1);
    assert_eq!((diagnostics[0].file.as_str(), diagnostics[0].start.line), ("b.pol", 1));
    assert!(diagnostics[0].message.contains("no resource type `jobs`"), "{diagnostics:?}");
    assert_eq!((scene.auth.gate().policy().revision(), names(&scene).len()), (1, 5));
}

#[tokio::test]
async fn a_document_that_does_not_fit_to_the_others_is_refused_without_telling_theirs() {
    let scene = Scene::start().await;
    scene.set_policy(&[("secret", "job::/a { { ssh.user \"app\" } }")]).await;
    let refused = scene.put_policy(&scene.root, &[("b", "job::/a { { ssh.user \"root\" } }")]).await;
    let Err(AuthError::PolicyInvalid(diagnostics)) = refused else { panic!("{refused:?}") };
    assert!(diagnostics.iter().all(|it| it.file == "b.pol"), "{diagnostics:?}");
    assert_eq!(scene.auth.gate().policy().revision(), 2);
}

#[tokio::test]
async fn a_version_that_is_not_the_present_one_is_a_conflict() {
    let scene = Scene::start().await;
    let put = |for_version| PutPolicy {
        docs: vec![PutDocument { name: "a".to_owned(), for_version, text: "job::/a { { permit read } }".to_owned() }],
        tests: Vec::new(),
        force: false,
    };
    let writer = scene.auth.policy();
    for (for_version, good) in
        [(Some(1), false), (Some(0), true), (Some(0), false), (Some(2), false), (Some(1), true), (None, true)]
    {
        let result = writer.put(&scene.root, &put(for_version), None).await;
        assert_eq!(result.is_ok(), good, "{for_version:?}: {result:?}");
        if !good {
            assert!(matches!(result, Err(AuthError::Conflict(_))));
        }
    }
    assert!(matches!(writer.delete(&scene.root, "a", Some(2), None).await, Err(AuthError::Conflict(_))));
    writer.delete(&scene.root, "a", Some(3), None).await.unwrap();
    assert!(matches!(writer.delete(&scene.root, "a", None, None).await, Err(AuthError::NotFound(_))));
    assert_eq!(names(&scene).len(), 5);
}

#[tokio::test]
async fn of_two_changes_made_from_one_version_one_is_made() {
    let scene = Scene::start().await;
    let put = |text: &str| PutPolicy {
        docs: vec![PutDocument { name: "a".to_owned(), for_version: Some(0), text: text.to_owned() }],
        tests: Vec::new(),
        force: false,
    };
    let (first, second) = (put("job::/a { { permit read } }"), put("job::/b { { permit read } }"));
    let writer = scene.auth.policy();
    let (first, second) = tokio::join!(writer.put(&scene.root, &first, None), writer.put(&scene.root, &second, None));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(scene.auth.gate().policy().revision(), 2);
}

#[tokio::test]
async fn names_and_sizes_have_bounds() {
    let scene = Scene::start().await;
    let long = "x".repeat(65);
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../a",
        "a.pol",
        " a",
        "a b",
        "a\0",
        "ä",
        "-a",
        &long,
        "clusterPermissions",
        "rolePermissions",
    ] {
        let refused = scene.put_policy(&scene.root, &[(name, "job::/a { { permit read } }")]).await;
        assert!(matches!(refused, Err(AuthError::Invalid(_))), "{name:?}: {refused:?}");
        assert!(scene.auth.policy().delete(&scene.root, name, None, None).await.is_err(), "{name:?}");
    }
    let refused = scene.put_policy(&scene.root, &[("a", &" ".repeat(DOCUMENT_BYTES_MAX + 1))]).await;
    assert!(matches!(refused, Err(AuthError::TooLarge(_))));
    assert!(matches!(scene.put_policy(&scene.root, &[]).await, Err(AuthError::Invalid(_))));
    let twice = [("a", "job::/a { { permit read } }"), ("a", "job::/b { { permit read } }")];
    assert!(matches!(scene.put_policy(&scene.root, &twice).await, Err(AuthError::Invalid(_))));
    assert_eq!(scene.auth.gate().policy().revision(), 1);
}

#[tokio::test]
async fn nobody_changes_policy_where_no_rule_lets_him() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    // An admin of jobs in a sandbox is no author of policy about them.
    let said = refusal(scene.put_policy(&tom, &[("mine", &grant("job::/sandbox/tom", "mary", "read"))]).await);
    assert_eq!(said, r#"missing claim "permit update" on "policy::/sandbox/tom""#);
    assert_eq!(scene.ears.of_type("policy.access.denied").len(), 1);
    assert!(matches!(
        scene.auth.policy().delete(&tom, "quotas", None, None).await,
        Err(AuthError::Gate(GateError::Refused(_)))
    ));
}

#[tokio::test]
async fn authority_is_over_what_lies_wholly_in_its_realm() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    scene.set_policy(&[("authors", &author("policy::/sandbox/tom", "tom", ""))]).await;
    for (realm, good) in [
        ("job::/sandbox/tom", true),
        ("package::/sandbox/tom/deep::x", true),
        ("policy::/sandbox/tom/deep", true),
        ("job::/sandbox/tommy", false),
        ("job::/sandbox", false),
        ("job::/sandbox/[name]", false),
        ("job::/", false),
        ("job::/::web", false),
    ] {
        let result = scene.put_policy(&tom, &[("mine", &grant(realm, "mary", "read"))]).await;
        assert_eq!(result.is_ok(), good, "{realm}: {result:?}");
        if good {
            scene.auth.policy().delete(&tom, "mine", None, None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn rules_that_each_hold_a_part_do_not_add_up() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let parts = author("policy::/a::", "tom", "") + &author("policy::/a/[x]", "tom", "");
    scene.set_policy(&[("authors", &parts)]).await;
    refusal(scene.put_policy(&tom, &[("mine", &grant("job::/a", "mary", "read"))]).await);
    scene.put_policy(&tom, &[("mine", &grant("job::/a/b", "mary", "read"))]).await.unwrap();
    scene.put_policy(&tom, &[("other", &grant("job::/a::web", "mary", "read"))]).await.unwrap();
    // Nor does a rule that lets a role in by another's realm.
    let chained = "policy::/b { if (role == author) { permit update } }\n\
                   policy::/b::x { if (auth_server@apcera.me->name == \"tom\") { role author } }\n";
    scene.set_policy(&[("authors", chained)]).await;
    refusal(scene.put_policy(&tom, &[("more", &grant("job::/b", "mary", "read"))]).await);
    scene.put_policy(&tom, &[("more", &grant("job::/b::x", "mary", "read"))]).await.unwrap();
}

#[tokio::test]
async fn a_variable_of_the_changed_realm_is_nobodys_name() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let own = "policy::/sandbox/[name] { if (auth_server@apcera.me->name == \"[name]\") { permit update } }";
    scene.set_policy(&[("authors", own)]).await;
    scene.put_policy(&tom, &[("mine", &grant("job::/sandbox/tom", "mary", "read"))]).await.unwrap();
    refusal(scene.put_policy(&tom, &[("mine", &grant("job::/sandbox/mary", "tom", "read"))]).await);
    refusal(scene.put_policy(&tom, &[("all", &grant("job::/sandbox/[name]", "tom", "read"))]).await);
    let other = scene.principal("name").await;
    refusal(scene.put_policy(&other, &[("all", &grant("job::/sandbox/[name]", "name", "read"))]).await);
}

#[tokio::test]
async fn authority_can_be_narrowed_to_a_type() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    scene.set_policy(&[("authors", &author("policy::/a", "tom", "job"))]).await;
    scene.put_policy(&tom, &[("mine", &grant("job::/a", "mary", "read"))]).await.unwrap();
    refusal(scene.put_policy(&tom, &[("mine", &grant("package::/a", "mary", "read"))]).await);
    let both = grant("job::/a", "mary", "read") + &grant("package::/a", "mary", "read");
    refusal(scene.put_policy(&tom, &[("mine", &both)]).await);
}

#[tokio::test]
async fn the_old_text_counts_as_much_as_the_new() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let docs = [("authors", author("policy::/a", "tom", "")), ("theirs", grant("job::/b", "mary", "read"))];
    scene.set_policy(&[(docs[0].0, &docs[0].1), (docs[1].0, &docs[1].1)]).await;
    let said = refusal(scene.put_policy(&tom, &[("theirs", &grant("job::/a", "mary", "read"))]).await);
    assert_eq!(said, r#"missing claim "permit update" on "policy::/b""#);
    // His own authority he could give up, but not by mistake.
    let given_up = scene.put_policy(&tom, &[("authors", &grant("job::/a", "mary", "read"))]).await;
    assert!(matches!(given_up, Err(AuthError::Conflict(_))), "{given_up:?}");
    assert!(matches!(
        scene.auth.policy().delete(&tom, "theirs", None, None).await,
        Err(AuthError::Gate(GateError::Refused(_)))
    ));
}

#[tokio::test]
async fn empty_documents_and_roots_are_the_roots_to_change() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    scene.set_policy(&[("authors", &author("policy::/a", "tom", ""))]).await;
    for text in ["", "// nothing\n", " \n"] {
        let said = refusal(scene.put_policy(&tom, &[("mine", text)]).await);
        assert_eq!(said, r#"missing claim "permit update" on "policy::/""#, "{text:?}");
    }
    scene.put_policy(&tom, &[("mine", &grant("job::/a", "mary", "read"))]).await.unwrap();
    refusal(scene.put_policy(&tom, &[("mine", "")]).await);
    refusal(scene.put_policy(&tom, &[("mine", &grant("job::/", "mary", "read"))]).await);
    scene.put_policy(&scene.root, &[("mine", "")]).await.unwrap();
    refusal(scene.auth.policy().delete(&tom, "mine", None, None).await);
}

#[tokio::test]
async fn to_loosen_a_restriction_takes_the_parents_authority() {
    let scene = Scene::start().await;
    let tom = scene.principal("tom").await;
    let strict = "job::/a/b { { ssh.idleTimeout \"5m\" } if (auth_server@apcera.me->name == \"tom\") { ssh.require \"mfa\" } }\n";
    scene.set_policy(&[("authors", &author("policy::/a/b", "tom", "")), ("rules", strict)]).await;
    let parent = r#"missing claim "permit update" on "policy::/a""#;
    for loosened in [
        "job::/a/b { { ssh.idleTimeout \"5m\" } }\n".to_owned(),
        strict.replace("5m", "9m"),
        strict.replace("\"tom\"", "\"nobody\""),
        strict.replace("job::/a/b", "job::/a/b/c"),
        "job::/a/b { { permit read } }\n".to_owned(),
    ] {
        assert_eq!(refusal(scene.put_policy(&tom, &[("rules", &loosened)]).await), parent, "{loosened}");
    }
    refusal(scene.auth.policy().delete(&tom, "rules", None, None).await);
    // Moved, laid out anew, or joined by more, it is not loosened.
    scene.put_policy(&tom, &[("rules", "job::/a/b { { permit read } }\n"), ("moved", strict)]).await.unwrap();
    scene.put_policy(&tom, &[("moved", &strict.replace(' ', "  "))]).await.unwrap();
    scene
        .put_policy(&tom, &[("moved", &format!("{strict}job::/a/b {{ {{ ssh.maxSession \"1h\" }} }}\n"))])
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_locks_himself_out_unless_he_means_it() {
    let scene = Scene::start().await;
    let root = &scene.root;
    let other = author("policy::/", "mary", "") + &grant("job::/", "mary", "all");
    let refused = scene.put_policy(root, &[("adminUsers", &other)]).await;
    let Err(AuthError::Conflict(said)) = refused else { panic!("{refused:?}") };
    assert!(said.contains("force"), "{said}");
    assert_eq!(scene.auth.gate().policy().revision(), 1);
    let forced = PutPolicy { force: true, ..put(&[("adminUsers", &other)]) };
    scene.auth.policy().put(root, &forced, None).await.unwrap();
    refusal(scene.put_policy(root, &[("adminUsers", &other)]).await);
    // Break-glass, on the store's host, written down.
    let (auth, clock) = (&scene.auth, scene.clock.as_ref() as &dyn Clock);
    let mut revisions = auth.gate().policy().subscribe();
    let head = reset(&*scene.store, auth.keyring(), scene.ears.as_ref(), clock, "root").await.unwrap();
    assert_eq!(head.revision, 3);
    revisions.wait_for(|it| *it == 3).await.unwrap();
    assert!(scene.ears.of_type("policy.changed").iter().any(|it| it.payload.contains_key("reset")));
    scene.put_policy(root, &[("a", "job::/a { { permit read } }")]).await.unwrap();
}

#[tokio::test]
async fn no_record_no_change() {
    let scene = Scene::start().await;
    scene.ears.deaf.store(true, Ordering::SeqCst);
    let refused = scene.put_policy(&scene.root, &[("a", "job::/a { { permit read } }")]).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Unrecorded))), "{refused:?}");
    let (auth, clock) = (&scene.auth, scene.clock.as_ref() as &dyn Clock);
    let refused = reset(&*scene.store, auth.keyring(), scene.ears.as_ref(), clock, "root").await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Unrecorded))), "{refused:?}");
    assert_eq!(scene.auth.gate().policy().revision(), 1);
}

#[tokio::test]
async fn an_expired_login_changes_nothing() {
    let scene = Scene::start().await;
    scene.clock.advance(86_400);
    let refused = scene.put_policy(&scene.root, &[("a", "job::/a { { permit read } }")]).await;
    assert!(matches!(refused, Err(AuthError::Gate(GateError::Bearer(_)))), "{refused:?}");
}

const PROMISE: &str = "[[test]]\nname = \"mary reads\"\ntarget = \"job::/a::web\"\nuser = \"mary\"\nwant = \"permit read\"\nallow = true\n";
const READS: &str = "job::/a { if (auth_server@apcera.me->name == \"mary\") { permit read } }";

fn with_tests(docs: &[(&str, &str)], tests: &[(&str, Option<&str>)]) -> PutPolicy {
    let tests = tests.iter().map(|(name, text)| PutTests {
        name: (*name).to_owned(),
        for_version: None,
        text: text.map(str::to_owned),
    });
    PutPolicy { tests: tests.collect(), ..put(docs) }
}

fn broken<T: std::fmt::Debug>(result: Result<T, AuthError>) -> Vec<String> {
    match result {
        Err(AuthError::TestsFailed(found)) => found.iter().map(|it| format!("{} {}", it.file, it.code)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_that_breaks_a_kept_test_is_not_made() {
    let scene = Scene::start().await;
    let writer = scene.auth.policy();
    let list = writer.put(&scene.root, &with_tests(&[("a", READS)], &[("a", Some(PROMISE))]), None).await.unwrap();
    assert_eq!((list.revision, list.tests[0].name.as_str(), list.tests[0].version), (2, "a", 1));
    let silent = "job::/a { if (auth_server@apcera.me->name == \"mary\") { permit ssh } }";
    for change in [with_tests(&[("a", silent)], &[]), PutPolicy { force: true, ..with_tests(&[("a", silent)], &[]) }] {
        assert_eq!(broken(writer.put(&scene.root, &change, None).await), ["a.decisions.toml E0711"]);
    }
    assert_eq!(broken(writer.delete(&scene.root, "a", None, None).await), ["a.decisions.toml E0711"]);
    assert_eq!(scene.auth.gate().policy().revision(), 2);
    // Another document may change, and so may this one where the test still holds.
    scene.put_policy(&scene.root, &[("b", "job::/b { { permit read } }")]).await.unwrap();
    scene.put_policy(&scene.root, &[("a", &format!("{READS}\n{silent}"))]).await.unwrap();
    // A promise goes with what kept it, in one change.
    let list = writer.put(&scene.root, &with_tests(&[("a", silent)], &[("a", None)]), None).await.unwrap();
    assert_eq!((list.revision, list.tests), (5, vec![]));
}

#[tokio::test]
async fn tests_that_fail_or_are_none_are_not_kept() {
    let scene = Scene::start().await;
    let writer = scene.auth.policy();
    let put = |name: &'static str, text: &'static str| with_tests(&[], &[(name, Some(text))]);
    assert_eq!(broken(writer.put(&scene.root, &put("a", PROMISE), None).await), ["a.decisions.toml E0711"]);
    let no_test = broken(writer.put(&scene.root, &put("a", "[[test]]\nname = 1\n"), None).await);
    assert!(no_test.contains(&"a.decisions.toml E0703".to_owned()), "{no_test:?}");
    for name in ["", "a/b", "..", "a.pol", "a.decisions.toml", "clusterPermissions"] {
        let named = with_tests(&[], &[(name, Some(PROMISE))]);
        assert!(matches!(writer.put(&scene.root, &named, None).await, Err(AuthError::Invalid(_))), "{name}");
    }
    let gone = with_tests(&[], &[("a", None)]);
    assert!(matches!(writer.put(&scene.root, &gone, None).await, Err(AuthError::NotFound(_))));
    assert_eq!(scene.auth.gate().policy().revision(), 1);
}

#[tokio::test]
async fn tests_are_changed_by_who_may_change_all_of_policy() {
    let scene = Scene::start().await;
    scene.set_policy(&[("authors", &author("policy::/a", "mary", "")), ("a", READS)]).await;
    let mary = scene.principal("mary").await;
    scene.put_policy(&mary, &[("a", READS)]).await.unwrap();
    let change = with_tests(&[("a", READS)], &[("a", Some(PROMISE))]);
    assert!(refusal(scene.auth.policy().put(&mary, &change, None).await).contains("policy::/"));
    scene.auth.policy().put(&scene.root, &change, None).await.unwrap();
    let gone = with_tests(&[], &[("a", None)]);
    assert!(refusal(scene.auth.policy().put(&mary, &gone, None).await).contains("policy::/"));
    // Who may not change a document does not learn which test would fail.
    let tom = scene.principal("tom").await;
    refusal(scene.put_policy(&tom, &[("a", "job::/a { { permit ssh } }")]).await);
}

//! Logging in: what a token takes, and every reason not to get one.

use std::sync::atomic::Ordering;

use gatehouse::{
    auth::{AuthError, revoke_session},
    gate::{GateError, ISSUER},
    store::{Key, json},
    wire::{
        token::TokenRequest,
        user::{NameOwner, PutUser},
    },
};

use crate::auth::{NOW, PASSWORD, Scene};

/// Rules on logins in place of the default ones.
fn logins(rules: &str) -> String {
    format!("auth::/oauth2/http {{ if (local->name matches \"?*\") {{ permit issue }}\n {rules} }}\n")
}

fn refusal(result: Result<impl std::fmt::Debug, AuthError>) -> String {
    match result {
        Err(AuthError::Login(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_login_gives_a_token_of_the_name_that_policy_gives() {
    let scene = Scene::start().await;
    let groups = Some(vec!["dev".to_owned(), "oncall".to_owned()]);
    let email = Some("tom@example.com".to_owned());
    scene.put_user("tom", PutUser { password: Some(PASSWORD.to_owned()), email, groups }).await;
    let token = scene.log_in("tom").await.unwrap();
    assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", 86_400));
    let principal = scene.auth.gate().authenticate(Some(&token.access_token)).unwrap();
    let facts: Vec<String> =
        principal.facts().iter().map(|it| format!("{}->{}={}", it.issuer, it.claim_type, it.value)).collect();
    let expected = [
        format!("{ISSUER}->name=tom"),
        format!("{ISSUER}->authType=local"),
        "local->name=tom".to_owned(),
        "local->email=tom@example.com".to_owned(),
        "local->group=dev".to_owned(),
        "local->group=oncall".to_owned(),
    ];
    assert_eq!(facts, expected);
    assert_eq!((principal.name(), principal.issued(), principal.expires()), ("tom", NOW, NOW + 86_400));
    let item = scene.ears.of_type("token.issued").pop().unwrap();
    assert_eq!((item.principal_name.as_str(), &item.payload["sid"]), ("tom", &principal.sid().to_owned()));
    assert_eq!(item.decision.unwrap().wanted, ["permit issue"]);
    let namespace = scene.auth.gate().default_namespace(&principal, "auth::/oauth2/http").unwrap();
    assert_eq!(namespace.as_deref(), Some("/sandbox/tom"));
}

#[tokio::test]
async fn a_stranger_learns_no_more_than_that_it_was_wrong() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    let long = "x".repeat(1_025);
    let name = "n".repeat(65);
    for (name, password) in [
        ("tom", "wrong"),
        ("tom", ""),
        ("tom", &long),
        ("tom", "correct horse "),
        ("Tom", PASSWORD),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("../user/tom", PASSWORD),
        ("tom\0", PASSWORD),
        ("tom\u{1b}[2J", PASSWORD),
        (&name, PASSWORD),
    ] {
        assert_eq!(refusal(scene.log_in_with(name, password).await), "name or password is wrong", "{name:?}");
    }
    assert_eq!(scene.ears.of_type("token.refused").len(), 11);
    assert!(scene.ears.of_type("token.issued").is_empty());
    assert!(scene.ears.items.lock().unwrap().iter().all(|it| !format!("{it:?}").contains(PASSWORD)));
}

#[tokio::test]
async fn who_guesses_waits_and_others_do_not() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    scene.add_user("mary").await;
    for _ in 0..10 {
        assert!(matches!(scene.log_in_with("tom", "wrong").await, Err(AuthError::Login(_))));
    }
    assert!(matches!(scene.log_in("tom").await, Err(AuthError::Busy)), "right, but too late");
    scene.log_in("mary").await.unwrap();
    scene.clock.advance(10);
    scene.log_in("tom").await.unwrap();
}

#[tokio::test]
async fn who_has_a_network_of_ipv6_has_no_more_tries_than_who_has_an_address() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    let from = async |address: String, password: &str| {
        let request = TokenRequest::Password { username: "tom".to_owned(), password: password.to_owned() };
        scene.auth.logins().log_in(&request, Some(address.parse().unwrap())).await
    };
    for host in 1..=10 {
        refusal(from(format!("2001:db8:0:1::{host}"), "wrong").await);
    }
    assert!(matches!(from("2001:db8:0:1:ffff::1".to_owned(), PASSWORD).await, Err(AuthError::Busy)));
    from("2001:db8:0:2::1".to_owned(), PASSWORD).await.unwrap();
    // An IPv4 address is one source, however it is written.
    for _ in 0..10 {
        refusal(from("::ffff:192.0.2.9".to_owned(), "wrong").await);
    }
    assert!(matches!(from("192.0.2.9".to_owned(), PASSWORD).await, Err(AuthError::Busy)));
    from("192.0.2.10".to_owned(), PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_changed_password_and_a_removed_user_hold_at_once() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    scene.put_user("tom", PutUser { password: Some("another password".to_owned()), ..PutUser::default() }).await;
    refusal(scene.log_in("tom").await);
    scene.log_in_with("tom", "another password").await.unwrap();
    scene.auth.users().remove("tom").await.unwrap();
    refusal(scene.log_in_with("tom", "another password").await);
    assert!(matches!(scene.auth.users().remove("tom").await, Err(AuthError::NotFound(_))));
}

#[tokio::test]
async fn names_and_passwords_of_users_have_a_form() {
    let scene = Scene::start().await;
    let users = scene.auth.users();
    let with = |password: &str| PutUser { password: Some(password.to_owned()), ..PutUser::default() };
    for name in
        ["", ".", "..", "-1", " tom", "tom ", "to m", "a/b", "a::b", "a:b", "[name]", "*", "tom\n", "ü", "job::/x"]
    {
        assert!(matches!(users.put(name, with(PASSWORD)).await, Err(AuthError::Invalid(_))), "{name:?}");
    }
    for password in ["", "short", &"x".repeat(1_025)] {
        assert!(matches!(users.put("tom", with(password)).await, Err(AuthError::Invalid(_))), "{password:?}");
    }
    assert!(matches!(users.put("tom", PutUser::default()).await, Err(AuthError::Invalid(_))), "no password");
    let groups = |groups: Vec<String>| PutUser { groups: Some(groups), ..with(PASSWORD) };
    for bad in [vec![String::new()], vec!["a\nb".to_owned()], vec!["e\u{301}".to_owned()], vec!["g".to_owned(); 65]] {
        assert!(matches!(users.put("tom", groups(bad)).await, Err(AuthError::Invalid(_))));
    }
    let shown = format!("{:?}", with(PASSWORD));
    assert!(!shown.contains(PASSWORD), "{shown}");
}

#[tokio::test]
async fn policy_says_who_is_issued_a_token() {
    let scene = Scene::start().await;
    let rule = r#"auth::/oauth2/http { if (local->group == "dev") { permit issue name local->name } }"#;
    scene.set_policy(&[("authSettings", rule)]).await;
    scene.add_user("mary").await;
    assert_eq!(refusal(scene.log_in("mary").await), r#"missing claim "permit issue" on "auth::/oauth2/http""#);
    let change = PutUser { groups: Some(vec!["dev".to_owned()]), ..PutUser::default() };
    scene.put_user("mary", change).await;
    let token = scene.log_in("mary").await.unwrap();
    assert_eq!(token.expires_in, 86_400, "no rule says how long: as the operator allows");
    assert_eq!(scene.ears.of_type("token.refused").len(), 1);
}

#[tokio::test]
async fn exactly_one_name_is_asserted_or_there_is_no_token() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    for (rules, reason) in [
        ("", "no rule asserts a `name` for the token"),
        ("{ name local->name } { name \"both\" }", "conflicting values of `name`"),
        ("{ name \"job::/sandbox/tom::web\" }", "reads like a resource"),
        ("{ name \"package::/\" }", "reads like a resource"),
        ("{ name \"to m\" }", "cannot be a principal's name"),
        ("{ name \"\" }", "cannot be a principal's name"),
        ("{ name \"xjob::/y\" }", "cannot be a principal's name"),
    ] {
        scene.set_policy(&[("authSettings", &logins(rules))]).await;
        let said = refusal(scene.log_in("tom").await);
        assert!(said.contains(reason), "{rules}: {said}");
    }
    assert_eq!(scene.ears.of_type("token.refused").len(), 7);
}

#[tokio::test]
async fn a_name_belongs_to_the_first_who_used_it() {
    let scene = Scene::start().await;
    let shared = logins("{ name \"team\" } { tokenTimeout \"10m\" } { tokenTimeout \"1h\" }");
    scene.add_user("tom").await;
    scene.add_user("mary").await;
    scene.set_policy(&[("authSettings", &shared)]).await;
    let token = scene.log_in("tom").await.unwrap();
    assert_eq!(token.expires_in, 600, "the least wins");
    assert_eq!(refusal(scene.log_in("mary").await), "the name `team` belongs to someone else");
    scene.log_in("tom").await.unwrap();
    let key = Key::new(["principal-name", "team"]);
    let owner = json::get::<NameOwner>(&*scene.store, &key).await.unwrap().unwrap().value;
    assert_eq!(owner, NameOwner { issuer: "local".to_owned(), subject: "tom".to_owned() });
}

#[tokio::test]
async fn of_two_who_race_for_a_name_one_has_it() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    scene.add_user("mary").await;
    scene.set_policy(&[("authSettings", &logins("{ name \"team\" }"))]).await;
    let (tom, mary) = tokio::join!(scene.log_in("tom"), scene.log_in("mary"));
    assert!(tom.is_ok() != mary.is_ok(), "{tom:?} {mary:?}");
}

#[tokio::test]
async fn facts_that_do_not_fit_into_a_token_are_a_reason_to_refuse() {
    let scene = Scene::start().await;
    let groups = (0..60).map(|it| format!("{it:0>200}")).collect();
    let change = PutUser { password: Some(PASSWORD.to_owned()), groups: Some(groups), ..PutUser::default() };
    scene.put_user("tom", change).await;
    let said = refusal(scene.log_in("tom").await);
    assert!(said.contains("more than the 4096 that a token holds"), "{said}");
}

#[tokio::test]
async fn no_record_no_token() {
    let scene = Scene::start().await;
    scene.add_user("tom").await;
    scene.ears.deaf.store(true, Ordering::SeqCst);
    assert!(matches!(scene.log_in("tom").await, Err(AuthError::Gate(GateError::Unrecorded))));
    scene.ears.deaf.store(false, Ordering::SeqCst);
    scene.log_in("tom").await.unwrap();
}

#[tokio::test]
async fn logging_out_ends_the_login() {
    let scene = Scene::start().await;
    let token = scene.token("tom").await;
    let again = scene.log_in("tom").await.unwrap().access_token;
    let gate = scene.auth.gate();
    let principal = gate.authenticate(Some(&token)).unwrap();
    let mut changes = gate.authenticator().revocations().subscribe();
    changes.mark_unchanged();
    revoke_session(&*scene.store, &principal).await.unwrap();
    changes.changed().await.unwrap();
    assert!(gate.authenticate(Some(&token)).is_err());
    gate.authenticate(Some(&again)).unwrap();
}

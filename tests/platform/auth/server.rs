//! The endpoints over mutual TLS: who may ask what, and what is made of bad requests.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use gatehouse::{
    auth::{admin, router},
    gate::{Clock, SystemClock},
    link::{CallError, Client, Credentials, MemoryDialer, Role, memory, read_body, serve},
    wire::{
        join::{Authorities, ComponentCertificate, JoinRequest, JoinToken, RenewRequest},
        policy::PolicyList,
        sign::{Open, SignSession, SignedSession},
        token::{TokenKey, TokenRequest, TokenResponse},
        user::{CreatedJoinToken, NewJoinToken, User},
    },
};
use rcgen::{CertificateParams, KeyPair};
use russh::keys::ssh_key::{
    PrivateKey,
    private::{Ed25519Keypair, KeypairData},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::auth::{PASSWORD, Scene, job, put};

/// An auth role that is served. Its clock is that of the certificates' verifiers.
struct Served {
    scene: Scene,
    dialer: MemoryDialer,
}

async fn served() -> Served {
    let scene = Scene::start_at(SystemClock.unix_seconds()).await;
    let credentials = scene.auth.components().credentials(Role::Auth, "auth-1").unwrap();
    let (dialer, listener) = memory();
    tokio::spawn(serve(listener, credentials, router(Arc::clone(&scene.auth)), scene.cancel.clone()));
    Served { scene, dialer }
}

impl Served {
    fn client(&self, role: Role, id: &str) -> Client {
        self.client_with(self.scene.auth.components().credentials(role, id).unwrap())
    }

    fn client_with(&self, credentials: Credentials) -> Client {
        Client::new(self.dialer.clone(), credentials, Role::Auth)
    }

    fn strangers(&self) -> Client {
        let fingerprint = self.scene.auth.keyring().components().fingerprint();
        self.client_with(Credentials::pinned("demo", fingerprint).unwrap())
    }
}

fn status<T: std::fmt::Debug>(result: &Result<T, CallError>) -> u16 {
    match result {
        Err(CallError::Refused { status, .. }) => status.as_u16(),
        other => panic!("{other:?}"),
    }
}

fn password(name: &str) -> TokenRequest {
    TokenRequest::Password { username: name.to_owned(), password: PASSWORD.to_owned() }
}

async fn log_in(client: &Client, name: &str) -> String {
    let answer: TokenResponse = client.json(Method::POST, "/oauth2/token", None, Some(&password(name))).await.unwrap();
    answer.access_token
}

#[tokio::test]
async fn a_router_passes_logins_on_and_tells_the_address() {
    let served = served().await;
    let router = served.client(Role::Router, "router-1");
    let body = serde_json::to_vec(&password("root")).unwrap();
    let request =
        Request::post("/oauth2/token").header("x-forwarded-for", "198.51.100.9").body(Body::from(body)).unwrap();
    let answer = router.request(request).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()[header::CACHE_CONTROL]),
        (StatusCode::OK, &"no-store".parse().unwrap())
    );
    let token: TokenResponse = serde_json::from_slice(&read_body(answer.into_body(), 65_536).await.unwrap()).unwrap();
    let item = served.scene.ears.of_type("token.issued").pop().unwrap();
    assert_eq!(item.payload["client.address"], "198.51.100.9");
    let keys: Vec<TokenKey> = router.json(Method::GET, "/oauth2/keys", None, None::<&()>).await.unwrap();
    assert_eq!(keys, served.scene.auth.keyring().token_keys().to_wire());
    // And logging out ends it for everyone.
    let gate = served.scene.auth.gate();
    let mut changes = gate.authenticator().revocations().subscribe();
    changes.mark_unchanged();
    let token = token.access_token;
    router.json::<Value>(Method::POST, "/oauth2/revoke", Some(&token), None::<&()>).await.unwrap();
    changes.changed().await.unwrap();
    let again = router.json::<Value>(Method::POST, "/oauth2/revoke", Some(&token), None::<&()>).await;
    assert_eq!(status(&again), 401);
}

#[tokio::test]
async fn each_endpoint_is_for_its_roles_alone() {
    let served = served().await;
    let token = log_in(&served.client(Role::Router, "router-1"), "root").await;
    let change = put(&[("a", "job::/a { { permit read } }")]);
    for (role, allowed) in [
        (Some(Role::Router), [true, false, false, true]),
        (Some(Role::Api), [true, true, true, true]),
        (Some(Role::Im), [false, false, false, true]),
        (Some(Role::Auth), [false, false, false, true]),
        (None, [false, false, false, false]),
    ] {
        let client = role.map_or_else(|| served.strangers(), |it| served.client(it, "x-1"));
        let login = client.json::<Value>(Method::POST, "/oauth2/token", None, Some(&password("root"))).await;
        let policy = client.json::<Value>(Method::PUT, "/internal/policy", Some(&token), Some(&change)).await;
        let path = "/internal/policy/a";
        let deleted = client.json::<Value>(Method::DELETE, path, Some(&token), None::<&()>).await;
        let authorities = client.json::<Value>(Method::GET, "/internal/authorities", None, None::<&()>).await;
        for (result, allowed) in [&login, &policy, &deleted, &authorities].into_iter().zip(allowed) {
            assert_eq!(result.is_ok(), allowed, "{role:?}: {result:?}");
            if !allowed {
                assert_eq!(status(result), 401, "{role:?}");
            }
        }
        let sign = client.json::<Value>(Method::POST, "/internal/sign", None, Some(&json!({}))).await;
        assert_eq!(status(&sign), if role == Some(Role::Api) { 400 } else { 401 }, "{role:?}: {sign:?}");
    }
}

#[tokio::test]
async fn an_api_server_has_sessions_signed() {
    let served = served().await;
    let api = served.client(Role::Api, "api-1");
    served.scene.add_user("tom").await;
    let token = log_in(&served.client(Role::Router, "router-1"), "tom").await;
    let web = job("job::/sandbox/tom::web");
    served.scene.add_job(&web).await;
    let instance = served.scene.add_instance(&web).await;
    let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[1; 32])), "").unwrap();
    let request = SignSession {
        token,
        instance: instance.uuid,
        session: "api-1-0f".to_owned(),
        public_key: key.public_key().to_openssh().unwrap(),
        open: Open::Shell { pty: None },
        client_address: None,
    };
    let signed: SignedSession = api.json(Method::POST, "/internal/sign", None, Some(&request)).await.unwrap();
    assert_eq!(signed.revision, 1);
    // Another API server does not get what begins with this one's id.
    let other = served.client(Role::Api, "api-2");
    let refused = other.json::<Value>(Method::POST, "/internal/sign", None, Some(&request)).await;
    assert_eq!(status(&refused), 400);
    let more = serde_json::to_value(&request).unwrap();
    let more = json!({"more": 1, "token": more["token"]});
    assert_eq!(status(&api.json::<Value>(Method::POST, "/internal/sign", None, Some(&more)).await), 400);
}

#[tokio::test]
async fn policy_changes_come_with_the_users_token() {
    let served = served().await;
    let api = served.client(Role::Api, "api-1");
    let token = log_in(&api, "root").await;
    let change = put(&[("a", "job::/a { { permit read } }")]);
    for bearer in [None, Some("x"), Some(""), Some(&token[1..])] {
        let refused = api.json::<Value>(Method::PUT, "/internal/policy", bearer, Some(&change)).await;
        assert_eq!(status(&refused), 401, "{bearer:?}");
    }
    let list: PolicyList = api.json(Method::PUT, "/internal/policy", Some(&token), Some(&change)).await.unwrap();
    assert_eq!(list.revision, 2);
    let broken = put(&[("a", "job::/a {")]);
    let refused = api.json::<Value>(Method::PUT, "/internal/policy", Some(&token), Some(&broken)).await;
    let Err(CallError::Refused { status, error }) = refused else { panic!("{refused:?}") };
    assert_eq!((status.as_u16(), error.code.as_str(), error.diagnostics.is_empty()), (422, "policy_invalid", false));
    for path in [
        "/internal/policy/a?for_version=7",
        "/internal/policy/none",
        "/internal/policy/a?forversion=1",
        "/internal/policy/..%2Fa",
    ] {
        let refused = api.json::<Value>(Method::DELETE, path, Some(&token), None::<&()>).await;
        assert!((400..410).contains(&self::status(&refused)), "{path}: {refused:?}");
    }
    let list: PolicyList =
        api.json(Method::DELETE, "/internal/policy/a?for_version=1", Some(&token), None::<&()>).await.unwrap();
    assert_eq!(list.revision, 3);
    // Twice the header is neither.
    let bearer = format!("Bearer {token}");
    let request = Request::put("/internal/policy").header(header::AUTHORIZATION, &bearer);
    let request = request.header(header::AUTHORIZATION, &bearer).body(Body::from("{}")).unwrap();
    assert_eq!(api.request(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    // An API server tells the address of the client, or nothing that is not one.
    let request = Request::put("/internal/policy").header(header::AUTHORIZATION, &bearer);
    let request = request.header("apc-client-address", "nonsense").body(Body::from("{}")).unwrap();
    assert_eq!(api.request(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bad_bodies_are_refused_without_being_repeated() {
    let served = served().await;
    let router = served.client(Role::Router, "router-1");
    let huge = "x".repeat(70_000);
    for (text, expected) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        (r#"{"grant_type":"password","username":"root","password":"hunter2hunter2","x":1}"#, 400),
        (r#"{"grant_type":"password","username":"root","username":"tom","password":"hunter2hunter2"}"#, 400),
        (r#"{"grant_type":"password","username":["root"],"password":"hunter2hunter2"}"#, 400),
        (r#"{"grant_type":"client_credentials"}"#, 400),
        (r#"{"grant_type":"password","username":"root","password":"hunter2hunter2"}"#, 401),
        (&huge, 413),
    ] {
        let request = Request::post("/oauth2/token").body(Body::from(text.to_owned())).unwrap();
        let answer = router.request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{text:.80}");
        let body = read_body(answer.into_body(), 65_536).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("hunter2"), "{body:?}");
    }
    let unknown = router.request(Request::get("/internal/keys").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_host_joins_by_a_token_and_renews_by_its_key() {
    let served = served().await;
    let admin = admin(Arc::clone(&served.scene.auth));
    let wish = serde_json::to_vec(&NewJoinToken { role: "im".to_owned(), lasts_seconds: 60 }).unwrap();
    let created: CreatedJoinToken = call(&admin, Method::POST, "/admin/join-tokens", wish).await.unwrap();
    let token: JoinToken = created.token.parse().unwrap();
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    // The joining side knows nothing but the token: by its fingerprint it knows whom it tells the secret.
    let stranger = served.client_with(Credentials::pinned(&token.cluster, token.fingerprint).unwrap());
    let wrong = served.client_with(Credentials::pinned(&token.cluster, [7; 32]).unwrap());
    let request = JoinRequest { token: token.secret, csr: csr.clone() };
    let refused = wrong.json::<Value>(Method::POST, "/internal/join", None, Some(&request)).await;
    assert!(matches!(refused, Err(CallError::Link(_))), "{refused:?}");
    let joined: ComponentCertificate =
        stranger.json(Method::POST, "/internal/join", None, Some(&request)).await.unwrap();
    let again = stranger.json::<Value>(Method::POST, "/internal/join", None, Some(&request)).await;
    assert_eq!(status(&again), 401);
    let credentials = Credentials::from_pem(&joined.chain, &key.serialize_pem(), &joined.trust).unwrap();
    let im = served.client_with(credentials.clone());
    let authorities: Authorities = im.json(Method::GET, "/internal/authorities", None, None::<&()>).await.unwrap();
    assert_eq!(authorities.instance_users, served.scene.auth.keyring().instance_user_authorities());
    assert_eq!(authorities.components, joined.trust);
    let renew = |identity: &str| RenewRequest { identity: identity.to_owned(), csr: csr.clone() };
    let other = served.client(Role::Im, "00000000-0000-0000-0000-000000000000");
    let refused = other.json::<Value>(Method::POST, "/internal/renew", None, Some(&renew(&joined.identity))).await;
    assert_eq!(status(&refused), 401, "a component renews for itself");
    let api = served.client(Role::Api, "api-1");
    for client in [&im, &api] {
        let renewed: ComponentCertificate =
            client.json(Method::POST, "/internal/renew", None, Some(&renew(&joined.identity))).await.unwrap();
        credentials.replace(&renewed.chain, &key.serialize_pem(), &renewed.trust).unwrap();
    }
    let refused =
        api.json::<Value>(Method::POST, "/internal/renew", None, Some(&renew("gatehouse://demo/im/x/y"))).await;
    assert_eq!(status(&refused), 400);
    assert_eq!(
        status(
            &served
                .strangers()
                .json::<Value>(Method::POST, "/internal/renew", None, Some(&renew(&joined.identity)))
                .await
        ),
        401
    );
}

async fn call<T: serde::de::DeserializeOwned>(
    router: &axum::Router,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<T, StatusCode> {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    let answer = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    if !answer.status().is_success() {
        return Err(answer.status());
    }
    let bytes = read_body(answer.into_body(), 65_536).await.unwrap();
    Ok(serde_json::from_slice(if bytes.is_empty() { b"null" } else { &bytes }).unwrap())
}

#[tokio::test]
async fn the_operator_keeps_users_on_his_own_socket() {
    let scene = Scene::start().await;
    let admin = admin(Arc::clone(&scene.auth));
    let body = br#"{"password":"correct horse","email":"tom@example.com","groups":["dev"]}"#.to_vec();
    let user: User = call(&admin, Method::PUT, "/admin/users/tom", body.clone()).await.unwrap();
    assert_eq!((user.name.as_str(), user.groups.len()), ("tom", 1));
    let users: Vec<User> = call(&admin, Method::GET, "/admin/users", Vec::new()).await.unwrap();
    assert_eq!(users.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["root", "tom"]);
    let token = scene.log_in("tom").await.unwrap().access_token;
    let gate = scene.auth.gate();
    let mut changes = gate.authenticator().revocations().subscribe();
    changes.mark_unchanged();
    call::<Value>(&admin, Method::DELETE, "/admin/principals/tom/logins", Vec::new()).await.unwrap();
    changes.changed().await.unwrap();
    assert!(gate.authenticate(Some(&token)).is_err());
    call::<Value>(&admin, Method::DELETE, "/admin/users/tom", Vec::new()).await.unwrap();
    assert!(scene.log_in("tom").await.is_err());
    for (path, bad) in [("/admin/users/a%2Fb", body), ("/admin/users/tom", br#"{"pass":"x"}"#.to_vec())] {
        assert!(call::<Value>(&admin, Method::PUT, path, bad).await.is_err(), "{path}");
    }
    let reset = br#"{"first_admin":"mary"}"#.to_vec();
    call::<Value>(&admin, Method::POST, "/admin/policy/reset", reset).await.unwrap();
    let mut revisions = gate.policy().subscribe();
    revisions.wait_for(|it| *it == 2).await.unwrap();
    let wish = br#"{"role":"api","lasts_seconds":60}"#.to_vec();
    assert_eq!(call::<Value>(&admin, Method::POST, "/admin/join-tokens", wish).await, Err(StatusCode::BAD_REQUEST));
}

#[tokio::test]
async fn a_user_who_is_removed_has_no_login_left_under_any_name() {
    let scene = Scene::start().await;
    let admin = admin(Arc::clone(&scene.auth));
    let rules =
        |name: &str| format!("auth::/oauth2/http {{ if (local->name == \"tom\") {{ permit issue name {name} }} }}\n");
    scene.add_user("tom").await;
    let mary = scene.token("mary").await;
    let mut tokens = vec![scene.log_in("tom").await.unwrap().access_token];
    scene.set_policy(&[("authSettings", &rules("\"team\""))]).await;
    tokens.push(scene.log_in("tom").await.unwrap().access_token);
    let gate = scene.auth.gate();
    assert!(tokens.iter().all(|it| gate.authenticate(Some(it)).is_ok()));
    call::<Value>(&admin, Method::DELETE, "/admin/users/tom", Vec::new()).await.unwrap();
    let mut changes = gate.authenticator().revocations().subscribe();
    for token in &tokens {
        while gate.authenticate(Some(token)).is_ok() {
            tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.expect("it is revoked").unwrap();
        }
    }
    gate.authenticate(Some(&mary)).unwrap();
    // Who comes back under the old name begins anew.
    scene.clock.advance(1);
    scene.set_policy(&[("authSettings", &rules("local->name"))]).await;
    let again = scene.token("tom").await;
    gate.authenticate(Some(&again)).unwrap();
}

//! The auth role's endpoints: for routers and API servers over a link, and for the operator on a socket of the host.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{
    auth::{Auth, AuthError, policy, revoke, users},
    gate::Principal,
    link::{self, Peer, Role, read_body},
    wire::{
        join::{JoinRequest, RenewRequest},
        policy::PutPolicy,
        sign::SignSession,
        token::TokenRequest,
        user::{CreatedJoinToken, NewJoinToken, PutUser},
    },
};

/// Bytes of a request that is no policy.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a change of policy: a dozen documents of the greatest size, as JSON.
const POLICY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Header by which an API server tells the address of the client that it asks for.
const CLIENT_ADDRESS: &str = "apc-client-address";

/// Endpoints for other roles. Serve it over a link only: who asks is told by the link.
pub fn router(auth: Arc<Auth>) -> Router {
    Router::new()
        .route("/oauth2/token", post(token))
        .route("/oauth2/revoke", post(log_out))
        .route("/oauth2/keys", get(keys))
        .route("/internal/sign", post(sign))
        .route("/internal/policy", put(put_policy))
        .route("/internal/policy/{doc}", delete(delete_policy))
        .route("/internal/join", post(join))
        .route("/internal/renew", post(renew))
        .route("/internal/authorities", get(authorities))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::disable())
        .with_state(auth)
}

/// Endpoints for the operator. Serve it on a socket that only the one who runs `apcd` can open: it asks for no token.
pub fn admin(auth: Arc<Auth>) -> Router {
    Router::new()
        .route("/admin/users", get(list_users))
        .route("/admin/users/{name}", put(put_user).delete(remove_user))
        .route("/admin/principals/{name}/logins", delete(revoke_principal))
        .route("/admin/join-tokens", post(join_token))
        .route("/admin/policy/reset", post(reset_policy))
        .with_state(auth)
}

/// Turns our errors into answers.
struct Failure(AuthError);

impl<E: Into<AuthError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        link::refusal(self.0.to_api())
    }
}

type Answer<T> = Result<Json<T>, Failure>;

/// The client's address, as the router or an API server tells it.
struct Client(Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let peer = parts.extensions.get::<Peer>().cloned().unwrap_or_default();
        if link::require(&peer, Role::Api).is_err() {
            return Ok(Self(peer.client_address(&parts.headers)));
        }
        let told = parts.headers.get(CLIENT_ADDRESS).map(|it| it.to_str().ok().and_then(|it| it.parse().ok()));
        match told {
            None => Ok(Self(None)),
            Some(Some(address)) => Ok(Self(Some(address))),
            Some(None) => Err(AuthError::Invalid("the client's address is no IP address".to_owned()).into()),
        }
    }
}

async fn token(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    Client(client): Client,
    request: Request,
) -> Result<Response, Failure> {
    require_any(&peer, &[Role::Router, Role::Api])?;
    let request: TokenRequest = body(request, SMALL_BYTES_MAX).await?;
    let token = auth.logins.log_in(&request, client).await?;
    // RFC 6749 section 5.1.
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(token)).into_response())
}

async fn log_out(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    require_any(&peer, &[Role::Router, Role::Api])?;
    let principal = bearer(&auth, &headers)?;
    revoke::revoke_session(&*auth.store, &principal).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keys(State(auth): State<Arc<Auth>>) -> impl IntoResponse {
    Json(auth.keyring.token_keys().to_wire())
}

async fn sign(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Failure> {
    let identity = require(&peer, Role::Api)?;
    let request: SignSession = body(request, SMALL_BYTES_MAX).await?;
    Ok(Json(auth.signer.sign(identity, &request).await?).into_response())
}

async fn put_policy(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    Client(client): Client,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    require(&peer, Role::Api)?;
    let principal = bearer(&auth, &headers)?;
    let change: PutPolicy = body(request, POLICY_BYTES_MAX).await?;
    Ok(Json(auth.policy.put(&principal, &change, client).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteQuery {
    for_version: Option<u64>,
}

async fn delete_policy(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    Client(client): Client,
    Path(doc): Path<String>,
    Query(query): Query<DeleteQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    require(&peer, Role::Api)?;
    let principal = bearer(&auth, &headers)?;
    Ok(Json(auth.policy.delete(&principal, &doc, query.for_version, client).await?).into_response())
}

/// The one call for which no certificate is needed; an API server may pass it on.
async fn join(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Failure> {
    if peer.identity.is_some() {
        require(&peer, Role::Api)?;
    }
    let request: JoinRequest = body(request, SMALL_BYTES_MAX).await?;
    Ok(Json(auth.components.join(&request).await?).into_response())
}

async fn renew(
    State(auth): State<Arc<Auth>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Failure> {
    let own = require_any(&peer, &[Role::Im, Role::Router, Role::Api])?.clone();
    let request: RenewRequest = body(request, SMALL_BYTES_MAX).await?;
    // A component renews for itself; what an API server passes on is for whom it says, and for that one's key alone.
    let identity = match own.role {
        Role::Api => {
            request.identity.parse().map_err(|_| AuthError::Invalid("no component of that name".to_owned()))?
        }
        Role::Im | Role::Router | Role::Auth => own,
    };
    Ok(Json(auth.components.renew(&identity, &request).await?).into_response())
}

async fn authorities(State(auth): State<Arc<Auth>>, Extension(peer): Extension<Peer>) -> Result<Response, Failure> {
    require_any(&peer, &Role::ALL)?;
    Ok(Json(auth.authorities()).into_response())
}

async fn ready(State(auth): State<Arc<Auth>>) -> Response {
    match auth.gate.policy().current() {
        Ok(_) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn list_users(State(auth): State<Arc<Auth>>) -> Answer<Vec<crate::wire::user::User>> {
    Ok(Json(auth.users.list().await?))
}

async fn put_user(
    State(auth): State<Arc<Auth>>,
    Path(name): Path<String>,
    Json(change): Json<PutUser>,
) -> Answer<crate::wire::user::User> {
    Ok(Json(auth.users.put(&name, change).await?))
}

async fn remove_user(State(auth): State<Arc<Auth>>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    let removed = auth.users.remove(&name).await;
    // Logins too, also when asked once more because the store failed in between.
    if matches!(removed, Ok(()) | Err(AuthError::NotFound(_))) {
        revoke::revoke_subject(&*auth.store, &users::owner(&name), auth.gate.clock().as_ref()).await?;
    }
    Ok(removed.map(|()| StatusCode::NO_CONTENT)?)
}

async fn revoke_principal(State(auth): State<Arc<Auth>>, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    revoke::revoke_all(&*auth.store, &name, auth.gate.clock().as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn join_token(State(auth): State<Arc<Auth>>, Json(wish): Json<NewJoinToken>) -> Answer<CreatedJoinToken> {
    let role = Role::ALL.into_iter().find(|it| it.as_str() == wish.role);
    let role = role.ok_or_else(|| AuthError::Invalid(format!("no role `{}`", wish.role.escape_debug())))?;
    let (token, expires) = auth.components.join_token(role, wish.lasts_seconds).await?;
    Ok(Json(CreatedJoinToken { token: token.to_string(), expires }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    first_admin: String,
}

async fn reset_policy(State(auth): State<Arc<Auth>>, Json(wish): Json<Reset>) -> Result<StatusCode, Failure> {
    let (witness, clock) = (auth.gate.witness().as_ref(), auth.gate.clock().as_ref());
    policy::reset(&*auth.store, &auth.keyring, witness, clock, &wish.first_admin).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn require(peer: &Peer, role: Role) -> Result<&link::Identity, AuthError> {
    require_any(peer, &[role])
}

fn require_any<'a>(peer: &'a Peer, roles: &[Role]) -> Result<&'a link::Identity, AuthError> {
    let refused = || AuthError::Peer("this component may not ask that".to_owned());
    peer.identity.as_ref().filter(|it| roles.contains(&it.role)).ok_or_else(refused)
}

/// `Authorization: Bearer TOKEN` (RFC 6750 section 2.1), once.
fn bearer(auth: &Auth, headers: &HeaderMap) -> Result<Principal, AuthError> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let token = match (sent.next(), sent.next()) {
        (Some(one), None) => one.to_str().ok().and_then(|it| it.strip_prefix("Bearer ")),
        _ => None,
    };
    Ok(auth.gate.authenticate(token)?)
}

async fn body<T: DeserializeOwned>(request: Request, bytes_max: usize) -> Result<T, AuthError> {
    let bytes = match read_body(request.into_body(), bytes_max).await {
        Ok(bytes) => bytes,
        Err(link::LinkError::TooLarge(_)) => {
            return Err(AuthError::TooLarge(format!("the request has more than {bytes_max} bytes")));
        }
        Err(error) => return Err(AuthError::Invalid(error.to_string())),
    };
    // What is wrong is told without the text: it may be a password.
    serde_json::from_slice(&bytes)
        .map_err(|_| AuthError::Invalid("the request is not the JSON that it should be".to_owned()))
}

//! The operator's socket: served by `apcd all`, asked by `apcd user`, `join` and `policy reset`.
//!
//! Without a running server the same endpoints answer in this process, on the store itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    http::{Method, Request, Response, header},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    auth::{self, Auth},
    cli::daemon::{DaemonError, all, command::socket},
    config::Config,
    link::read_body,
    wire::{
        error::ApiError,
        user::{CreatedJoinToken, NewJoinToken, PutUser, User},
    },
};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Serves the operator until `stop`. Only the user who runs `apcd` can open the socket.
async fn serve(state: &Path, auth: Arc<Auth>, stop: CancellationToken) -> Result<(), DaemonError> {
    let path = socket(state);
    // The store's lock says that no other server of this state runs: what is there is left over.
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let stopped = stop.cancelled_owned();
    axum::serve(listener, auth::admin(auth)).with_graceful_shutdown(stopped).await?;
    fs::remove_file(&path)?;
    Ok(())
}

/// As [`serve`], as a task of its own: a broken socket is logged.
pub(super) async fn serve_logged(state: PathBuf, auth: Arc<Auth>, stop: CancellationToken) {
    if let Err(error) = serve(&state, auth, stop).await {
        tracing::error!(%error, "the operator's socket is closed");
    }
}

/// Adds or changes a user.
pub(super) async fn put_user(config: &Config, name: &str, change: &PutUser) -> Result<(), DaemonError> {
    let _user: User = ask(config, Method::PUT, &format!("/admin/users/{}", segment(name)?), Some(change)).await?;
    Ok(())
}

/// Removes a user.
pub(super) async fn remove_user(config: &Config, name: &str) -> Result<(), DaemonError> {
    ask(config, Method::DELETE, &format!("/admin/users/{}", segment(name)?), None::<&()>).await
}

/// All users.
pub(super) async fn users(config: &Config) -> Result<Vec<User>, DaemonError> {
    ask(config, Method::GET, "/admin/users", None::<&()>).await
}

/// A one-time token.
pub(super) async fn join_token(config: &Config, role: &str, lasts_seconds: u64) -> Result<String, DaemonError> {
    let wanted = NewJoinToken { role: role.to_owned(), lasts_seconds };
    let created: CreatedJoinToken = ask(config, Method::POST, "/admin/join-tokens", Some(&wanted)).await?;
    Ok(created.token)
}

/// The default documents, and no others.
pub(super) async fn reset_policy(config: &Config) -> Result<(), DaemonError> {
    let body = serde_json::json!({ "first_admin": config.auth.first_admin });
    ask(config, Method::POST, "/admin/policy/reset", Some(&body)).await
}

async fn ask<A: DeserializeOwned>(
    config: &Config,
    method: Method,
    path: &str,
    body: Option<&(impl Serialize + Sync)>,
) -> Result<A, DaemonError> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "operator");
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(serde_json::to_vec(body).map_err(unreadable)?)
        }
        None => Body::empty(),
    };
    let request = request.body(body).map_err(|error| DaemonError::Start(error.to_string()))?;
    let response = match UnixStream::connect(socket(&config.state)).await {
        Ok(stream) => send(stream, request).await?,
        Err(_) => answer_here(config, request).await?,
    };
    let status = response.status();
    let bytes = read_body(response.into_body(), ANSWER_BYTES_MAX).await?;
    if status.is_success() {
        return serde_json::from_slice(if bytes.is_empty() { b"null" } else { &bytes }).map_err(unreadable);
    }
    let error: ApiError = serde_json::from_slice(&bytes).map_err(unreadable)?;
    Err(DaemonError::Start(error.message))
}

async fn send(stream: UnixStream, request: Request<Body>) -> Result<Response<Body>, DaemonError> {
    let broken = |error: hyper::Error| DaemonError::Start(format!("the operator's socket broke: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.map_err(broken)?.map(Body::new))
}

/// Nobody serves: the store is ours for a moment.
async fn answer_here(config: &Config, request: Request<Body>) -> Result<Response<Body>, DaemonError> {
    let stop = CancellationToken::new();
    let state = all::State::open(config).await?;
    let auth = state.auth(config, stop.clone()).await?;
    let mut sealer = state.sealer(&auth);
    let response = match auth::admin(auth).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    stop.cancel();
    all::seal_logged(&mut sealer).await;
    state.close().await;
    Ok(response)
}

/// A name as one segment of a path (RFC 3986 section 3.3).
fn segment(name: &str) -> Result<String, DaemonError> {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-._@+".contains(it);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(DaemonError::Start(format!(
            "`{}` is no user name: use letters, digits and `-._@+`",
            crate::wire::printable::Printable(name)
        )));
    }
    Ok(name.to_owned())
}

fn unreadable(error: impl std::fmt::Display) -> DaemonError {
    DaemonError::Start(format!("the answer cannot be read: {error}"))
}

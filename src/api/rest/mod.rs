//! The REST API: every path, who answers it, and what is said where nobody does.

mod audit;
mod body;
mod console;
mod info;
mod instances;
mod internal;
mod jobs;
mod packages;
mod policy;
mod request_id;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};

pub(crate) use self::body::{JsonText, Strict};
use crate::{
    api::{
        Api,
        error::{Failure, coded, not_found},
        tunnel,
    },
    link::{Peer, Role},
};

impl Api {
    /// Everything that this server answers, for `link::serve`: routers bring clients to `/v1`, instance managers come to
    /// `/internal/im` themselves.
    pub fn routes(self: &Arc<Self>) -> Router {
        let routes = Router::new()
            .route("/healthz", get(info::healthz))
            .route("/readyz", get(info::readyz))
            .nest("/v1", client_routes())
            .nest("/internal/im", internal::routes())
            .fallback(nothing_there)
            .method_not_allowed_fallback(not_that_method)
            .layer(DefaultBodyLimit::disable());
        let tunnel = tunnel::routes(Arc::clone(&self.tunnel));
        routes.with_state(Arc::clone(self)).merge(tunnel).layer(middleware::from_fn(request_id::assign))
    }
}

fn client_routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/info", get(info::info))
        .route("/version", get(info::version))
        .route("/namespace/default", get(info::default_namespace))
        .route("/instance_managers", get(instances::managers))
        .route("/jobs", get(jobs::list).post(jobs::create))
        .route("/jobs/{uuid}", get(jobs::show).put(jobs::update).delete(jobs::remove))
        .route("/jobs/{uuid}/instances", get(instances::list))
        .route("/jobs/{uuid}/instances/{instance}", delete(instances::remove))
        .route("/jobs/{uuid}/logs", get(instances::logs))
        .route("/jobs/{uuid}/console", post(console::open))
        .route("/packages", get(packages::list).post(packages::import).delete(packages::remove))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", get(sessions::show).delete(sessions::end))
        .route("/audit", get(audit::read))
        .route("/audit/verify", get(audit::verify))
        .route("/policy", get(policy::list).put(policy::put))
        .route("/policy/decide", post(policy::decide))
        .route("/policy/explain", post(policy::explain))
        .route("/policy/tests/{name}", get(policy::tests))
        .route("/policy/{document}", get(policy::show).delete(policy::remove))
        .layer(middleware::from_fn(routers_only))
}

/// Clients come through a router and no other way: who else has a component's certificate has no business here.
async fn routers_only(request: Request, next: middleware::Next) -> Response {
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
    match crate::link::require(&peer, Role::Router) {
        Ok(_) => next.run(request).await,
        Err(error) => Failure::from(error).into_response(),
    }
}

async fn nothing_there(request: Request) -> Failure {
    not_found(request.uri().path()).into()
}

async fn not_that_method(request: Request) -> Response {
    let message = format!("`{}` cannot be asked by {}", request.uri().path(), request.method());
    let mut response = Failure::from(coded("invalid", message)).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

//! The walk of a request, spelled once. Each guard is one function in its own room; a guard that
//! finds its predecessor's value missing answers 500, so a mis-ordered stack is never open.

use std::sync::Arc;

use axum::{
    Router,
    http::header,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, post_service},
};
use rmcp::ServerHandler;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    app::App,
    auth, call, health, limit, listen,
    mcp::{self, HttpSessions, Streamable, Walk},
    permit,
    refusal::Refusal,
    telemetry::Metrics,
};

/// Every route behind its guards.
pub fn router(app: &App) -> Router {
    let handler = app.handler.clone();
    walk(app, Streamable::new(handler, &app.config.mcp, &app.drain))
}

/// The same walk to another MCP handler at its end, for `/mcp`: the tools of a test suite, say.
pub fn around<H: ServerHandler + Clone>(app: &App, handler: H) -> Router {
    walk(app, Streamable::of(handler, &app.config.mcp, &app.drain))
}

fn walk<H: ServerHandler + Clone>(app: &App, mcp: Streamable<H>) -> Router {
    let mut router = Router::new()
        .merge(streamable(app, mcp))
        .merge(discovery(app))
        .merge(probes(app));
    if app.config.mcp.legacy_sse {
        router = router.merge(legacy_sse(app));
    }
    // For every route, top to bottom. A layer wraps what stands below it, and copies it for each
    // request: around all routes together that is a pointer, around each it is the whole walk.
    let walk = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(
            app.trusted_proxies.clone(),
            listen::identify,
        ))
        .layer(from_fn_with_state(
            app.allowed.clone(),
            listen::host_and_origin,
        ))
        .service(router.fallback(not_found));
    Router::new().fallback_service(walk)
}

/// `/mcp`: who, what, how much, whether; then rmcp.
fn streamable<H: ServerHandler + Clone>(app: &App, mcp: Streamable<H>) -> Router {
    // Without a collector the guard is not there at all, and costs nothing.
    let traced = app.traces.are_on();
    // Neither is the one that finds a session, where there are none. It asks Redis, so that a message
    // is counted before.
    let bound = app.http_sessions.clone().map(|sessions| {
        let state = (sessions, app.limit.clone());
        from_fn_with_state(state, mcp::bind)
    });
    let guards = ServiceBuilder::new()
        .layer(from_fn_with_state(app.crowd.clone(), limit::crowd))
        .layer(from_fn_with_state(app.auth.clone(), auth::authenticate))
        .layer(from_fn_with_state(app.body.clone(), call::read))
        .option_layer(bound.as_ref().map(|_| from_fn(mcp::call_in_log)))
        .option_layer(traced.then(|| from_fn_with_state(app.traces.clone(), mcp::trace)))
        .layer(from_fn_with_state(app.limit.clone(), limit::limit))
        .option_layer(bound)
        .layer(from_fn_with_state(app.permit.clone(), permit::permit));
    let sessions = app.http_sessions.clone();
    // Around the service itself, since a route in between would be copied for each guard.
    let messages = post_service(guards.service(mcp.within(sessions.clone())));
    let routes = match sessions {
        // There are no sessions to read from or to end.
        None => messages.fallback(only_post),
        Some(sessions) => messages
            .merge(of_a_session(app).with_state(sessions))
            .fallback(session_method),
    };
    Router::new().route("/mcp", routes)
}

/// What is done with a session beside sending messages: who, how much, then whether it is theirs.
fn of_a_session(app: &App) -> MethodRouter<Arc<HttpSessions>> {
    let guards = ServiceBuilder::new()
        .layer(from_fn_with_state(app.crowd.clone(), limit::crowd))
        .layer(from_fn_with_state(app.auth.clone(), auth::authenticate))
        .layer(from_fn(mcp::call_in_log))
        .layer(from_fn_with_state(app.limit.clone(), limit::limit_request));
    get(mcp::listen).delete(mcp::delete).layer(guards)
}

/// `GET /sse` and `POST /messages`: the same guards, whose refusals are told on the stream. A message
/// to a session of another instance goes through the last of them there.
fn legacy_sse(app: &App) -> Router {
    let first = ServiceBuilder::new()
        .layer(from_fn_with_state(app.crowd.clone(), limit::crowd))
        .layer(from_fn_with_state(app.auth.clone(), auth::authenticate));
    let guards = first
        .clone()
        .layer(from_fn_with_state(
            (app.sessions.clone(), app.limit.clone()),
            mcp::find,
        ))
        .layer(from_fn_with_state(app.body.clone(), call::read))
        .layer(from_fn_with_state(app.sessions.clone(), mcp::hand_over));
    Router::new()
        .route(
            "/sse",
            get(mcp::open)
                .with_state((app.sessions.clone(), app.handler.clone()))
                .layer(first)
                .fallback(only_get),
        )
        .route("/messages", counted(app).layer(guards))
}

/// What another instance hands over: it has asked who it is, and whether the session is theirs is
/// asked before this.
pub fn relayed(app: &App) -> Walk {
    let guards = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.body.clone(), call::read));
    Walk {
        routes: Router::new().route("/messages", counted(app).layer(guards)),
        auth: app.auth.clone(),
        http_sessions: app.http_sessions.clone(),
    }
}

/// A message that was read, on the instance that holds its stream.
fn counted(app: &App) -> MethodRouter {
    let traced = app.traces.are_on();
    let guards = ServiceBuilder::new()
        .option_layer(traced.then(|| from_fn_with_state(app.traces.clone(), mcp::trace)))
        .layer(from_fn_with_state(app.limit.clone(), limit::limit))
        .layer(from_fn_with_state(app.permit.clone(), permit::permit));
    post(mcp::post).layer(guards)
}

/// Where a client without a token finds out where to get one, without a credential.
fn discovery(app: &App) -> Router {
    Router::new()
        .route(
            auth::METADATA_ROOT,
            get(auth::protected_resource).fallback(only_get),
        )
        .route(
            auth::METADATA_PATH,
            get(auth::protected_resource).fallback(only_get),
        )
        .with_state(app.auth.clone())
}

/// What load balancers and orchestrators ask, without a credential.
fn probes(app: &App) -> Router {
    Router::new()
        .route("/health", get(health::health).fallback(only_get))
        .route("/livez", get(health::livez).fallback(only_get))
        .route("/readyz", get(health::readyz).fallback(only_get))
        .with_state(app.health.clone())
}

/// The listener for operators, behind no credential and on no public address.
pub fn ops(app: &App, metrics: Metrics) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let health = app.health.clone();
    let read = move || async move {
        health.measure();
        (text, metrics.render())
    };
    let routes = Router::new()
        .route("/metrics", get(read))
        .merge(probes(app))
        .layer(CatchPanicLayer::custom(panicked));
    // On this machine only a browser that was lured here would name another host. Whoever scrapes
    // from elsewhere names addresses that nobody can list beforehand.
    match app.config.server.ops_listen {
        Some(address) if address.ip().is_loopback() => routes.layer(from_fn_with_state(
            app.allowed.clone(),
            listen::host_and_origin,
        )),
        _ => routes,
    }
}

async fn only_post() -> Refusal {
    Refusal::OnlyPost
}

async fn session_method() -> Refusal {
    Refusal::SessionMethod
}

async fn only_get() -> Refusal {
    Refusal::OnlyGet
}

async fn not_found() -> Refusal {
    Refusal::NotFound
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Refusal::Internal.into_response()
}

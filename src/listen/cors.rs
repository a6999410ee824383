//! What a browser asks before it lets a page of another site talk to us, and what it has to hear
//! before it shows the page our answers. Only for pages that [`super::host`] has let in.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// Answers a preflight itself, and lets the page read every other answer.
pub(super) async fn serve(origin: HeaderValue, request: Request, next: Next) -> Response {
    if !is_for_pages(request.uri().path()) {
        return next.run(request).await;
    }
    let asked = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match is_preflight {
        true => preflight(asked),
        false => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
    headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    if let Some(allowed) = allowed(asked) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("600"),
    );
    headers.append(
        header::VARY,
        HeaderValue::from_name(header::ACCESS_CONTROL_REQUEST_HEADERS),
    );
    response
}

/// Of the headers that are asked for, those that a page may send. The protocol's own are not a
/// closed list: a revision may add some.
fn allowed(asked: &HeaderMap) -> Option<HeaderValue> {
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS)?;
    let names = wanted.to_str().ok()?.split(',');
    let names = names.filter_map(|name| name.trim().parse::<HeaderName>().ok());
    let names = names.filter(|name| SENT.contains(&name.as_str()) || is_of_mcp(name));
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    names.join(", ").parse().ok()
}

fn is_of_mcp(name: &HeaderName) -> bool {
    name.as_str().starts_with("mcp-")
}

/// Probes are for machines.
fn is_for_pages(path: &str) -> bool {
    ["/mcp", "/sse", "/messages"].contains(&path) || path.starts_with("/.well-known/")
}

const SENT: [&str; 5] = [
    "accept",
    "authorization",
    "content-type",
    "last-event-id",
    "x-api-key",
];
const EXPOSED: &str = "Mcp-Session-Id, Mcp-Protocol-Version, WWW-Authenticate, RateLimit, \
    RateLimit-Policy, Retry-After, X-Request-Id";

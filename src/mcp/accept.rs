//! Guard: what a client accepts. The specification wants both media types named; clients in the
//! field send `*/*`, or one of them, and can read the answer all the same.

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// Makes the `Accept` of a POST what the protocol library insists on.
pub async fn guard(mut request: Request, next: Next) -> Response {
    if request.method() == axum::http::Method::POST {
        request.headers_mut().insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
    }
    next.run(request).await
}

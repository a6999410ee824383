//! Guard: what a client accepts, and for how long it is answered.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt as _;

use crate::{auth::Lease, refusal::Refusal};

/// Makes the `Accept` of a POST what the protocol library insists on: the specification wants both
/// media types named; clients in the field send `*/*`, or one of them, and can read the answer all
/// the same. An answer that is a stream ends when the caller's credential lapses.
///
/// # Errors
/// [`Refusal::Internal`] when the guards before it are missing.
pub async fn guard(mut request: Request, next: Next) -> Result<Response, Refusal> {
    let lease = request.extensions().get::<Lease>().cloned();
    let lease = lease.ok_or(Refusal::Internal)?;
    if request.method() == axum::http::Method::POST {
        request.headers_mut().insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
    }
    let response = next.run(request).await;
    if !is_stream(&response) {
        return Ok(response);
    }
    Ok(response.map(|body| {
        let events = body.into_data_stream();
        Body::from_stream(events.take_until(Box::pin(lease.lapsed())))
    }))
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

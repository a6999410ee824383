//! What a client accepts, and for how long it is answered.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::StreamExt as _;

use crate::auth::Lease;

/// Makes the `Accept` of a POST what the protocol library insists on: the specification wants both
/// media types named; clients in the field send `*/*`, or one of them, and can read the answer all
/// the same.
pub(super) fn widen(request: &mut Request) {
    if request.method() == axum::http::Method::POST {
        request.headers_mut().insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
    }
}

/// An answer that is a stream ends when the caller's credential lapses.
pub(super) fn while_trusted(response: Response, lease: Lease) -> Response {
    if !is_stream(&response) {
        return response;
    }
    response.map(|body| {
        let events = body.into_data_stream();
        Body::from_stream(events.take_until(Box::pin(lease.lapsed())))
    })
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

//! Guard: one bounded body, one strict read of its envelope.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{Call, headers};
use crate::{
    listen::{Door, Peer},
    refusal::Refusal,
};

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes.
    pub max_body: usize,
    /// For the whole body.
    pub deadline: Duration,
}

/// Reads the body of a POST, puts the [`Call`] into the request and the body back.
///
/// # Errors
/// A refusal for whatever is not one JSON-RPC message with headers that agree with it.
pub async fn read(
    State(limits): State<Limits>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if request.method() != axum::http::Method::POST {
        return Ok(next.run(request).await);
    }
    let (mut parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(Refusal::MediaType);
    }
    let body = collect(body, limits).await?;
    let call = Call::parse(&body)?;
    let peer = parts.extensions.get::<Peer>().ok_or(Refusal::Internal)?;
    // The headers belong to Streamable HTTP; on the older transport the body speaks alone.
    if peer.door == Door::Mcp {
        headers::check_version(&parts.headers, &call).map_err(|requested| {
            Refusal::UnsupportedVersion {
                id: call.id.clone(),
                requested: requested.chars().take(MAX_VERSION).collect(),
            }
        })?;
        headers::check(&parts.headers, &call).map_err(|problem| Refusal::HeaderMismatch {
            id: call.id.clone(),
            problem,
        })?;
    }
    parts.extensions.insert(Arc::new(call));
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

/// Characters of a revision's name, which is a date.
const MAX_VERSION: usize = 32;

fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = |value: &axum::http::HeaderValue| {
        let essence = value.to_str().ok()?.split(';').next()?.trim();
        Some(essence.eq_ignore_ascii_case("application/json"))
    };
    types.next().and_then(essence) == Some(true) && types.next().is_none()
}

async fn collect(body: Body, limits: Limits) -> Result<Bytes, Refusal> {
    let reading = Limited::new(body, limits.max_body).collect();
    match tokio::time::timeout(limits.deadline, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::Unreadable {
            code: -32700,
            id: None,
            problem: "Parse error: the body ended early",
        }),
        Err(_) => Err(Refusal::TooSlow),
    }
}

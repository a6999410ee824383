//! Guard: one bounded body, one strict read of its envelope.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, timeout, timeout_at};

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
    if is_encoded(&parts.headers) {
        return Err(Refusal::Encoded);
    }
    // Who announces too much is told without being read to the end.
    if body.size_hint().lower() > limits.max_body as u64 {
        pass_over(body).await;
        return Err(Refusal::TooLarge);
    }
    let body = collect(body, limits).await?;
    let call = Call::parse(&body).map_err(|unreadable| unreadable.refuse(&body))?;
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

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The whole has a deadline, and nobody may use it up drop by drop: at every moment as many bytes
/// have come as a slow line carries.
async fn collect(body: Body, limits: Limits) -> Result<Bytes, Refusal> {
    let mut body = Limited::new(body, limits.max_body);
    let began = Instant::now();
    let mut whole = BytesMut::new();
    loop {
        let steady = GRACE + Duration::from_millis(whole.len() as u64 / BYTES_PER_MILLISECOND);
        let until = began + steady.min(limits.deadline);
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                return Err(Refusal::TooLarge);
            }
            Ok(Some(Err(_))) => {
                return Err(Refusal::Unreadable {
                    code: -32700,
                    id: None,
                    problem: "Parse error: the body ended early",
                });
            }
            Err(_) => return Err(Refusal::TooSlow),
        };
        if let Ok(data) = frame.into_data() {
            whole.extend_from_slice(&data);
        }
    }
}

/// Lets a client that is sending already come to an end: one that is cut off in the middle never
/// reads why. What comes is dropped, and not for long.
async fn pass_over(mut body: Body) {
    let passing = async {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            passed += frame.data_ref().map_or(0, Bytes::len);
            if passed > MOST_PASSED {
                return;
            }
        }
    };
    let _ = timeout(PASSING, passing).await;
}

/// Bytes.
const MOST_PASSED: usize = 8 << 20;
const PASSING: Duration = Duration::from_secs(1);

/// Before the rate counts.
const GRACE: Duration = Duration::from_secs(3);
const BYTES_PER_MILLISECOND: u64 = 4;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    const LIMITS: Limits = Limits {
        max_body: 256 << 10,
        deadline: Duration::from_secs(10),
    };

    /// `bytes` at a time, with `pause` before each.
    fn dripping(bytes: usize, pause: Duration, times: usize) -> Body {
        let drops = stream::unfold(0, move |sent| async move {
            if sent == times {
                return None;
            }
            tokio::time::sleep(pause).await;
            Some((
                Ok::<_, Infallible>(Bytes::from(vec![b' '; bytes])),
                sent + 1,
            ))
        });
        Body::from_stream(drops)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_before_its_deadline() {
        let began = Instant::now();
        let refused = collect(dripping(1, Duration::from_secs(1), 100), LIMITS).await;
        assert!(matches!(refused, Err(Refusal::TooSlow)));
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_is_fast_enough() {
        let body = dripping(8 << 10, Duration::from_secs(1), 8);
        assert_eq!(collect(body, LIMITS).await.unwrap().len(), 64 << 10);
        let body = dripping(8 << 10, Duration::from_secs(1), 12);
        let late = collect(body, LIMITS).await;
        assert!(matches!(late, Err(Refusal::TooSlow)), "the deadline holds");
    }
}

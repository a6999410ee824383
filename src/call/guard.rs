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
use tokio::time::{Instant, timeout_at};

use super::{
    Bodies, Call,
    bodies::{Full, Share},
    headers,
};
use crate::{
    audit::{Audit, Event, Kind},
    auth::Caller,
    listen::{Door, Peer},
    refusal::Refusal,
};

/// What a body may cost.
#[derive(Clone)]
pub struct Gate {
    /// Bytes of one body.
    pub max_body: usize,
    /// For the whole body.
    pub deadline: Duration,
    /// The room for all bodies.
    pub bodies: Bodies,
    /// Whether there may be sessions, in which the server asks and is answered.
    pub takes_answers: bool,
    /// Hears of a client that has filled its own.
    pub audit: Audit,
}

/// Reads the body of a POST, puts the [`Call`] into the request and the body back.
///
/// # Errors
/// A refusal for whatever is not one JSON-RPC message with headers that agree with it.
pub async fn read(
    State(gate): State<Arc<Gate>>,
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
    // Who announces too much is told without being read here.
    if body.size_hint().lower() > gate.max_body as u64 {
        return Err(Refusal::TooLarge);
    }
    if !is_sent_as_it_is(&parts.headers) {
        return Err(Refusal::Unreadable {
            code: -32600,
            id: None,
            problem: "Invalid Request: no Transfer-Encoding but chunked is understood",
        });
    }
    let extensions = &parts.extensions;
    let (Some(peer), Some(caller)) = (extensions.get::<Peer>(), extensions.get::<Arc<Caller>>())
    else {
        return Err(Refusal::Internal);
    };
    let share = gate.bodies.begin(&caller.client).ok();
    let read = collect(body, &gate, share).await;
    if let Err(Unread::Full(Full)) = &read {
        let event = Event {
            policy: Some("body_memory".into()),
            ..Event::new(Kind::RateLimitExceeded)
        };
        gate.audit.record(caller.sign(peer.sign(event))).await;
    }
    let body = read?;
    let call = Call::parse(&body).map_err(|unreadable| unreadable.refuse(&body))?;
    // The headers belong to Streamable HTTP; on the older transport the body speaks alone.
    if peer.door == Door::Mcp {
        let is_in_session = gate.takes_answers && parts.headers.contains_key("mcp-session-id");
        if call.method.is_empty() && !is_in_session {
            // The id is of a request that was never made.
            return Err(Refusal::Unreadable {
                code: -32600,
                id: None,
                problem: "Invalid Request: this is an answer, and nothing was asked",
            });
        }
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

/// The protocol library takes a body in chunks for what it is under all the other codings.
fn is_sent_as_it_is(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// The whole has a deadline, and nobody may use it up drop by drop: at every moment as many bytes
/// have come as a slow line carries. What there is no room for is read all the same and let go, since
/// an answer before the end of a body may not reach who is still sending.
async fn collect(body: Body, gate: &Gate, mut share: Option<Share>) -> Result<Bytes, Unread> {
    let mut body = Limited::new(body, gate.max_body);
    let began = Instant::now();
    let (mut whole, mut came) = (BytesMut::new(), 0);
    loop {
        let steady = GRACE + Duration::from_millis(came as u64 / BYTES_PER_MILLISECOND);
        let until = began + steady.min(gate.deadline);
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) if share.is_some() => return Ok(whole.freeze()),
            Ok(None) => return Err(Full.into()),
            Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                return Err(Unread::TooLarge);
            }
            Ok(Some(Err(_))) => return Err(Unread::EndedEarly),
            Err(_) if share.is_some() => return Err(Unread::TooSlow),
            Err(_) => return Err(Full.into()),
        };
        if let Ok(data) = frame.into_data() {
            came += data.len();
            share = share.and_then(|share| share.reaching(came).ok());
            match share {
                Some(_) => whole.extend_from_slice(&data),
                None => whole = BytesMut::new(),
            }
        }
    }
}

/// Why there is no whole body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unread {
    #[error("the body is larger than may be")]
    TooLarge,
    #[error("the body took too long")]
    TooSlow,
    #[error("the body ended early")]
    EndedEarly,
    #[error(transparent)]
    Full(#[from] Full),
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::TooLarge,
            Unread::TooSlow => Self::TooSlow,
            Unread::EndedEarly => Self::Unreadable {
                code: -32700,
                id: None,
                problem: "Parse error: the body ended early",
            },
            Unread::Full(Full) => Self::TooManyOpen,
        }
    }
}

/// Before the rate counts.
const GRACE: Duration = Duration::from_secs(3);
const BYTES_PER_MILLISECOND: u64 = 4;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;
    use crate::audit::OnFailure;

    /// What becomes of a body.
    async fn collected(body: Body) -> Result<Bytes, Unread> {
        let gate = Gate {
            max_body: 256 << 10,
            deadline: Duration::from_secs(10),
            bodies: Bodies::new(1 << 20),
            takes_answers: false,
            audit: Audit::discarding(OnFailure::Continue),
        };
        let share = gate.bodies.begin(&"client".into()).ok();
        collect(body, &gate, share).await
    }

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

    #[test]
    fn a_body_under_another_coding_is_none_of_ours() {
        let sent = |coding: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(header::TRANSFER_ENCODING, coding.parse().unwrap());
            is_sent_as_it_is(&headers)
        };
        assert!(is_sent_as_it_is(&HeaderMap::new()) && sent("chunked") && sent("Chunked"));
        assert!(!sent("gzip, chunked") && !sent("gzip") && !sent("chunked, chunked"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_before_its_deadline() {
        let began = Instant::now();
        let refused = collected(dripping(1, Duration::from_secs(1), 100)).await;
        assert_eq!(refused, Err(Unread::TooSlow));
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_room_is_heard_out_and_not_kept() {
        let gate = Gate {
            max_body: 256 << 10,
            deadline: Duration::from_secs(10),
            bodies: Bodies::new(128 << 10),
            takes_answers: false,
            audit: Audit::discarding(OnFailure::Continue),
        };
        let client = "client".into();
        let began = Instant::now();
        let share = gate.bodies.begin(&client).ok();
        let body = dripping(32 << 10, Duration::from_millis(500), 4);
        let read = collect(body, &gate, share).await;
        assert_eq!(read, Err(Unread::Full(Full)));
        assert_eq!(began.elapsed(), Duration::from_secs(2), "to its end");
        let endless = dripping(32 << 10, Duration::from_secs(20), 2);
        let read = collect(endless, &gate, None).await;
        assert_eq!(read, Err(Unread::Full(Full)));
        assert!(gate.bodies.begin(&client).is_ok(), "nothing is held");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_is_fast_enough() {
        let body = dripping(8 << 10, Duration::from_secs(1), 8);
        assert_eq!(collected(body).await.unwrap().len(), 64 << 10);
        let body = dripping(8 << 10, Duration::from_secs(1), 12);
        let late = collected(body).await;
        assert_eq!(late, Err(Unread::TooSlow), "the deadline holds");
    }
}

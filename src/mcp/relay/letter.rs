//! What instances write to each other. All of it is sealed, since a message holds what an agent
//! asked, and for the one instance that it is addressed to.

use std::net::IpAddr;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header},
    response::Response,
};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use rmcp::model::RequestId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::Caller;

/// One or the other way.
#[derive(Serialize, Deserialize)]
pub(super) enum Letter {
    Post(Box<Post>),
    Answer(Answer),
    Cancel(Box<Cancel>),
}

impl Letter {
    /// How many letters may wait in a queue that takes it. A queue that is read holds none, and of an
    /// instance that stands still cancellations alone may not take all the room.
    pub(super) const fn most_waiting(&self) -> usize {
        match self {
            Self::Post(_) | Self::Answer(_) => 256,
            Self::Cancel(_) => 64,
        }
    }
}

/// That the caller of a session of `/mcp` cancels a call, and who it was.
#[derive(Serialize, Deserialize)]
pub(super) struct Cancel {
    pub(super) id: Uuid,
    sent: i64,
    pub(super) session: Box<str>,
    pub(super) caller: Caller,
    pub(super) call: RequestId,
    /// The request that says so; an earlier version does not.
    #[serde(default)]
    pub(super) by: Uuid,
}

/// A message that somebody posted elsewhere, and who it was.
#[derive(Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) id: Uuid,
    /// The instance that waits for the answer.
    pub(super) from: Box<str>,
    /// In milliseconds, by the clock of the sender.
    sent: i64,
    pub(super) session: Box<str>,
    pub(super) caller: Caller,
    pub(super) ip: IpAddr,
    pub(super) request_id: Uuid,
    headers: Vec<(String, String)>,
    body: String,
}

/// What the client is answered.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) to: Uuid,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What the guards that come after want to see of the head of a request.
const CARRIED: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::HOST,
    HeaderName::from_static("traceparent"),
];

impl Cancel {
    pub(super) fn new(session: &str, caller: &Caller, call: &RequestId, by: Uuid) -> Self {
        Self {
            id: Uuid::new_v4(),
            sent: Timestamp::now().as_millisecond(),
            session: session.into(),
            caller: caller.clone(),
            call: call.clone(),
            by,
        }
    }

    pub(super) fn is_fresh(&self) -> bool {
        is_fresh(self.sent)
    }
}

impl Post {
    /// Of somebody who was proven here just now.
    pub(super) fn new(
        from: &str,
        session: &str,
        caller: &Caller,
        (ip, request_id): (IpAddr, Uuid),
        headers: &HeaderMap,
        body: String,
    ) -> Self {
        let carried = headers.iter().filter(|(name, _)| CARRIED.contains(name));
        Self {
            id: Uuid::new_v4(),
            from: from.into(),
            sent: Timestamp::now().as_millisecond(),
            session: session.into(),
            caller: caller.clone(),
            ip,
            request_id,
            headers: written(carried),
            body,
        }
    }

    /// Whether its sender still waits says Redis.
    pub(super) fn is_fresh(&self) -> bool {
        is_fresh(self.sent)
    }

    /// The request as it came, without its guards' findings.
    pub(super) fn into_request(self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = axum::http::Method::POST;
        *request.uri_mut() = axum::http::Uri::from_static("/messages");
        *request.headers_mut() = read(self.headers);
        request
    }
}

impl Answer {
    /// Takes what the walk has answered.
    pub(super) async fn of(to: Uuid, response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes);
        Self {
            to,
            status: parts.status.as_u16(),
            headers: written(parts.headers.iter()),
            body: body.map_or_else(
                |_| String::new(),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            ),
        }
    }

    /// The same as a response of ours.
    pub(super) fn into_response(self) -> Option<Response> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        *response.headers_mut() = read(self.headers);
        Some(response)
    }
}

/// Whether it was written lately, as far as the clocks agree: older ones may be somebody's who
/// repeats them.
fn is_fresh(sent: i64) -> bool {
    let age = Timestamp::now().as_millisecond().saturating_sub(sent);
    age.unsigned_abs() < FRESH_MS
}

fn written<'a>(
    headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.filter_map(text).collect()
}

fn read(headers: Vec<(String, String)>) -> HeaderMap {
    let header = |(name, value): (String, String)| {
        Some((
            HeaderName::try_from(name).ok()?,
            HeaderValue::try_from(value).ok()?,
        ))
    };
    headers.into_iter().filter_map(header).collect()
}

const FRESH_MS: u64 = 10_000;
/// Bytes.
const LARGEST_ANSWER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_goes_stale_in_both_directions() {
        let caller = Caller::sample("agent");
        let peer = (IpAddr::from([127, 0, 0, 1]), Uuid::nil());
        let mut post = Post::new("a", "s", &caller, peer, &HeaderMap::new(), "{}".into());
        assert!(post.is_fresh());
        let sent = post.sent;
        for skew in [20_000, -20_000] {
            post.sent = sent + skew;
            assert!(!post.is_fresh(), "{skew}");
        }
        post.sent = i64::MIN;
        assert!(!post.is_fresh());
    }

    #[test]
    fn no_credential_is_carried() {
        let mut headers = HeaderMap::new();
        for name in ["x-api-key", "authorization", "cookie", "content-type"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let caller = Caller::sample("agent");
        let peer = (IpAddr::from([127, 0, 0, 1]), Uuid::nil());
        let post = Post::new("a", "s", &caller, peer, &headers, "{}".into());
        assert_eq!(post.headers, [("content-type".to_owned(), "x".to_owned())]);
    }
}

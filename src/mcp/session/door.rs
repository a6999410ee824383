//! Where sessions are opened, found, listened to and ended.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{FromRequestParts, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use rmcp::model::{ClientCapabilities, ProtocolVersion};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, sleep};

use super::{Bound, HttpSessions, ID, Lookup, Part, kept::DELETED, label};
use crate::{
    audit::{Event, Kind},
    auth::{Caller, Lapse, Lease},
    call::Call,
    limit,
    listen::{Endless, Peer},
    mcp::{legacy_sse::Place, streamable::is_old},
    refusal::Refusal,
};

/// Guard: what the log calls the session that a request names, from here on. It may be nobody's: the
/// name is a digest, and who does not know an id cannot make up another caller's.
pub async fn call_in_log(mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let named = headers.get(ID).filter(|_| is_old(headers));
    let named = named.and_then(|id| id.to_str().ok());
    let label = named.filter(|id| id.len() == ID_LENGTH).map(label);
    if let Some(peer) = request.extensions_mut().get_mut::<Peer>() {
        peer.session = label;
    }
    next.run(request).await
}

/// Guard: finds the session that a message of an older revision names. Only the handshake, and the
/// question whether there has to be one, come without. Who is over a limit is told so, whatever
/// session is named.
///
/// # Errors
/// 400 without a session, [`Refusal::NoSession`] for one that is not there, has ended or is
/// another's, [`Refusal::SessionAway`] when nobody knows at the moment, [`Refusal::OverLimit`] for
/// messages without end that no limit counts.
pub async fn bind(
    State((sessions, limits)): State<(Arc<HttpSessions>, Arc<limit::Gate>)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let extensions = request.extensions();
    let call = extensions.get::<Arc<Call>>().ok_or(Refusal::Internal)?;
    let needs_none = ["initialize", "server/discover"].contains(&&*call.method);
    let is_over = extensions.get::<limit::Refused>().is_some();
    if needs_none || is_over || !is_old(request.headers()) || call.version.is_some() {
        return Ok(next.run(request).await);
    }
    let who = Who::of(extensions)?;
    let id = call.id.as_deref();
    let named = named(request.headers(), id)?;
    if limit::is_exempt(call) {
        limits.may_look(&who.caller, &who.peer, id).await?;
    }
    let bound = find(&sessions, named, &who).await?;
    request.extensions_mut().insert(Arc::new(bound));
    Ok(next.run(request).await)
}

/// Who names a session.
pub struct Who {
    caller: Arc<Caller>,
    lease: Lease,
    peer: Peer,
}

impl Who {
    /// # Errors
    /// [`Refusal::Internal`] when the guards that find it out are missing.
    fn of(extensions: &Extensions) -> Result<Self, Refusal> {
        let found = || {
            Some(Self {
                caller: extensions.get().cloned()?,
                lease: extensions.get().cloned()?,
                peer: extensions.get().cloned()?,
            })
        };
        found().ok_or(Refusal::Internal)
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(&parts.extensions)
    }
}

/// The id of a session that a request names.
fn named<'a>(headers: &'a HeaderMap, id: Option<&RawValue>) -> Result<&'a str, Refusal> {
    let mut named = headers.get_all(ID).iter();
    let one = match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(NEEDS_SESSION),
        (Some(_), Some(_)) => Err(ONE_SESSION),
    };
    let one = one.map_err(|problem| Refusal::Unreadable {
        code: -32600,
        id: id.map(ToOwned::to_owned),
        problem,
    })?;
    one.to_str().map_err(|_| Refusal::NoSession)
}

async fn find(sessions: &Arc<HttpSessions>, id: &str, who: &Who) -> Result<Bound, Refusal> {
    if id.len() != ID_LENGTH {
        return Err(Refusal::NoSession);
    }
    let found = sessions.find(id, &who.caller);
    match found.await.map_err(|_| Refusal::SessionAway)? {
        Lookup::Theirs(kept) => {
            let lease = who.lease.of(kept.caller.clone());
            if let Some(lapse) = lease.withdrawn(kept.opening.at()) {
                // Without Redis the next who asks for it finds the same.
                let reason = lapse.reason();
                let _ = sessions.end_for_request(id, &kept, reason, None).await;
                return Err(Refusal::NoSession);
            }
            Ok(Bound {
                id: id.into(),
                caller: who.caller.clone(),
                kept,
                lease,
                sessions: sessions.clone(),
            })
        }
        Lookup::Anothers => {
            who.lease.record_foreign_session(&who.peer).await;
            Err(Refusal::NoSession)
        }
        Lookup::Nothing => Err(Refusal::NoSession),
    }
}

/// Opens a session where the protocol library has agreed to a handshake.
pub(in crate::mcp) async fn open<F>(
    sessions: &Arc<HttpSessions>,
    request: Request,
    shake: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let Who {
        caller,
        lease,
        peer,
    } = match Who::of(request.extensions()) {
        Ok(who) => who,
        Err(refusal) => return refusal.into_response(),
    };
    let (parts, body) = request.into_parts();
    // It is in memory already.
    let Ok(body) = body.collect().await else {
        return Refusal::Internal.into_response();
    };
    let body = body.to_bytes();
    let asked = parts.extensions.get::<Arc<Call>>();
    let asked = asked.and_then(|call| call.id.clone());
    let capabilities = capabilities(&body);
    let shaken = shake(Request::from_parts(parts, Body::from(body))).await;
    let (mut head, body) = shaken.into_parts();
    let Ok(body) = body.collect().await else {
        return Refusal::Internal.into_response();
    };
    let body = body.to_bytes();
    if let Some(revision) = agreed(&body) {
        let agreed = (revision, capabilities);
        let opened = sessions.open((caller, lease), &peer, agreed, asked);
        let id = match opened.await {
            Ok(id) => HeaderValue::from_str(&id),
            Err(refusal) => return refusal.into_response(),
        };
        let Ok(id) = id else {
            return Refusal::Internal.into_response();
        };
        head.headers.insert(ID, id);
    }
    Response::from_parts(head, Body::from(body))
}

/// What a client can do, as far as the protocol library knows of it. One that says more than fits can
/// do nothing that we ask for.
fn capabilities(body: &[u8]) -> Box<RawValue> {
    #[derive(Deserialize)]
    struct Handshake {
        params: Params,
    }
    #[derive(Default, Deserialize)]
    struct Params {
        capabilities: ClientCapabilities,
    }
    let said = serde_json::from_slice::<Handshake>(body);
    let said = said.map(|handshake| handshake.params).unwrap_or_default();
    let text = to_raw_value(&said.capabilities).ok();
    let text = text.filter(|text| text.get().len() <= MOST_CAPABILITIES);
    text.unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// The revision that was agreed on, if any was.
fn agreed(body: &[u8]) -> Option<ProtocolVersion> {
    #[derive(Deserialize)]
    struct Answer {
        result: Agreed,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Agreed {
        protocol_version: ProtocolVersion,
    }
    let answer = serde_json::from_slice::<Answer>(body).ok()?;
    Some(answer.result.protocol_version)
}

/// Ends the caller's session, wherever something of it is.
///
/// # Errors
/// As [`bind`] has them; 405 in revisions that have no sessions.
pub async fn delete(
    State(sessions): State<Arc<HttpSessions>>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let bound = named_here(&sessions, &headers, &who).await?;
    let by = who
        .caller
        .sign(who.peer.sign(Event::new(Kind::SessionClose)));
    let ended = sessions.end_for_request(&bound.id, &bound.kept, DELETED, Some(by));
    ended.await.map_err(|_| Refusal::SessionAway)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Opens a stream for what the server has to say by itself.
///
/// # Errors
/// As [`delete`] has them, and [`Refusal::TooManyOpen`] beyond the caps that `/sse` has.
pub async fn listen(
    State(sessions): State<Arc<HttpSessions>>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    who.lease.may_last(&headers)?;
    let bound = named_here(&sessions, &headers, &who).await?;
    let place = Arc::clone(&sessions.streams).listen(&who.caller)?;
    let part = bound.join();
    // It may have ended between the two.
    if !bound.goes_on().await {
        return Err(Refusal::NoSession);
    }
    let body = Body::from_stream(silence(bound, part, place, who.lease));
    Ok((stream_headers(), Extension(Endless), body).into_response())
}

async fn named_here(
    sessions: &Arc<HttpSessions>,
    headers: &HeaderMap,
    who: &Who,
) -> Result<Bound, Refusal> {
    if !is_old(headers) {
        return Err(Refusal::OnlyPost);
    }
    find(sessions, named(headers, None)?, who).await
}

pub(super) fn stream_headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ]
}

/// Nothing but comments: this server says nothing unasked. Whoever listens uses the session.
fn silence(
    bound: Bound,
    part: Part,
    place: Place,
    lease: Lease,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let config = &bound.sessions.config;
    let until = Instant::now() + config.max_stream_age.duration();
    let tick = config
        .keep_alive
        .duration()
        .min(bound.sessions.bounds.idle / 2);
    let open = Listening {
        lapsed: Box::pin(lease.lapsed()),
        bound,
        part,
        _place: place,
        until,
        tick,
        greeted: false,
    };
    stream::unfold(open, |mut open| async move {
        let comment = open.next().await?;
        Some((Ok(comment), open))
    })
}

struct Listening {
    bound: Bound,
    part: Part,
    _place: Place,
    lapsed: Pin<Box<dyn Future<Output = Lapse> + Send>>,
    until: Instant,
    tick: std::time::Duration,
    greeted: bool,
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(b": listening\n\n"));
        }
        let drain = &self.bound.sessions.drain;
        tokio::select! {
            biased;
            () = self.part.ended().cancelled() => None,
            () = drain.streams().cancelled() => None,
            _ = &mut self.lapsed => None,
            () = tokio::time::sleep_until(self.until) => None,
            () = sleep(self.tick) => {
                let goes_on = self.bound.goes_on().await;
                goes_on.then(|| Bytes::from_static(b": keep-alive\n\n"))
            }
        }
    }
}

/// Characters.
const ID_LENGTH: usize = 64;
/// Bytes of what a client says that it can do.
const MOST_CAPABILITIES: usize = 4096;
const NEEDS_SESSION: &str = "Invalid Request: Mcp-Session-Id is needed. Send initialize without \
    one, and then the id that it is answered with";
const ONE_SESSION: &str = "Invalid Request: Mcp-Session-Id came more than once. A message belongs to \
    one session";

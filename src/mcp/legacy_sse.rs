//! HTTP+SSE of revision 2024-11-05, which many agents still speak: `GET /sse` opens a stream,
//! `POST /messages?sessionId=…` sends on it, answers come back on the stream. An HTTP error in
//! answer to a message ends Python clients, so refusals are told on the stream as well.

mod listeners;
mod not_taken;
mod session;
mod stream;
mod transport;

use std::sync::Arc;

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, GetExtensions, JsonRpcMessage};

use super::{Handler, cause::request_id, relay::Found};
use crate::{
    audit::{Event, Kind},
    auth::{Caller, Lease},
    call::Call,
    limit,
    listen::{Endless, Peer},
    refusal::Refusal,
};

pub use session::Sessions;
pub(super) use {listeners::Place, session::Session};

/// Opens a stream and the session behind it, both the caller's own.
///
/// # Errors
/// [`Refusal::TooManyOpen`] beyond `[mcp] max_streams_per_client` or
/// `max_streams_per_user`; 401 for a token that is over but for its leeway.
pub async fn open(
    State((sessions, handler)): State<(Arc<Sessions>, Handler)>,
    Extension(caller): Extension<Arc<Caller>>,
    Extension(lease): Extension<Lease>,
    Extension(mut peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    lease.may_last(&headers)?;
    let (audit, drain) = (handler.0.audit.clone(), handler.0.drain.clone());
    let opened = sessions.open(&caller, handler)?;
    peer.session = Some(opened.session.label());
    let event = caller.sign(peer.sign(Event::new(Kind::SessionOpen)));
    // Before anything is awaited: dropping the stream is what closes the session.
    let record = (audit.clone(), event.clone());
    let events = stream::events(sessions, opened, lease, record, drain);
    audit.record(event).await;
    let body = Body::from_stream(events);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Extension(Endless), body).into_response())
}

/// `?sessionId=…`; some clients spell it with an underscore.
#[derive(serde::Deserialize)]
pub struct SessionQuery {
    #[serde(rename = "sessionId", alias = "session_id")]
    session_id: String,
}

/// Guard: finds the caller's session, here or on another instance, and says on its stream what the
/// guards below refuse.
///
/// # Errors
/// [`Refusal::NoSession`] for a session that is not there or another's, [`Refusal::OverLimit`] for
/// whoever asks without end after sessions that are not here.
pub async fn find(
    State((sessions, limits)): State<(Arc<Sessions>, Arc<limit::Gate>)>,
    query: Result<Query<SessionQuery>, QueryRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let caller = request
        .extensions()
        .get::<Arc<Caller>>()
        .ok_or(Refusal::Internal)?
        .clone();
    let Ok(Query(query)) = query else {
        return Err(Refusal::NoSession);
    };
    let Some(session) = sessions.find(&query.session_id, &caller) else {
        let lease = request.extensions().get::<Lease>().cloned();
        let peer = request.extensions().get::<Peer>().cloned();
        let (lease, peer) = lease.zip(peer).ok_or(Refusal::Internal)?;
        let is_anothers = match sessions.relay() {
            _ if sessions.holds(&query.session_id) => {
                sessions.is_anothers(&query.session_id, &caller)
            }
            None => false,
            Some(relay) => {
                // It is counted where the session is, if it is anywhere.
                limits.may_look(&caller, &peer, None).await?;
                match relay.find(&query.session_id, &caller)? {
                    Found::Anothers => true,
                    Found::Elsewhere(elsewhere) => {
                        request.extensions_mut().insert(elsewhere);
                        return Ok(next.run(request).await);
                    }
                }
            }
        };
        if is_anothers {
            lease.record_foreign_session(&peer).await;
        }
        return Err(Refusal::NoSession);
    };
    if let Some(peer) = request.extensions_mut().get_mut::<Peer>() {
        peer.session = Some(session.label());
    }
    request.extensions_mut().insert(session.clone());
    Ok(in_band(&session, next.run(request).await))
}

/// Says on the stream what was refused and can be said there.
pub(super) fn in_band(session: &Session, response: Response) -> Response {
    let refusal = response.extensions().get::<Refusal>();
    match refusal.and_then(Refusal::in_band) {
        Some(told) => {
            if let Some(error) = told {
                session.tell(&error);
            }
            accepted()
        }
        None => response,
    }
}

/// Hands a message to its session.
///
/// # Errors
/// A refusal for what rmcp cannot read, and when too many calls are unanswered.
pub async fn post(
    Extension(session): Extension<Arc<Session>>,
    Extension(call): Extension<Arc<Call>>,
    mut parts: Parts,
    body: Bytes,
) -> Result<Response, Refusal> {
    let message: ClientJsonRpcMessage =
        serde_json::from_slice(&body).map_err(|_| Refusal::Unreadable {
            code: -32600,
            id: call.id.clone(),
            problem: "Invalid Request: the parameters do not fit the method",
        })?;
    // The caller of a session is proven again by every message.
    match message {
        JsonRpcMessage::Request(mut request) => {
            let cause = session.cause();
            parts.extensions.insert(cause.clone());
            request.request.extensions_mut().insert(parts);
            let admitted = session.admit(&request.request, &call);
            match admitted.and_then(|()| session.begin_call(&request.id, cause)) {
                Ok(cancelled) => session.answer(request, cancelled),
                Err(not_taken) => session.tell(&not_taken.answer(call.id.as_deref())),
            }
        }
        JsonRpcMessage::Notification(notification) => {
            if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                && let Some(id) = &cancelled.params.request_id
            {
                session.cancel_call(id, request_id(&parts));
            }
        }
        // Nothing was asked.
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
    }
    Ok(accepted())
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, "Accepted").into_response()
}

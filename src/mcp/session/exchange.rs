//! One message of a session and what comes back. A call that says nothing before its result is
//! answered in JSON; what it says before, or asks the client, comes first on a stream of events.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use rmcp::{
    RoleServer, ServerHandler,
    model::{
        ClientJsonRpcMessage, ClientNotification, ClientRequest, GetExtensions, JsonRpcMessage,
        JsonRpcRequest, RequestId, ServerJsonRpcMessage,
    },
    service::serve_directly_with_ct,
    transport::Transport,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Bound, Part, Running, door::stream_headers};
use crate::{
    auth::{Lapse, Lease},
    call::Call,
    mcp::cause::{LAST_WORD, request_id},
    refusal::Refusal,
};

/// Answers a message of a session.
pub(in crate::mcp) async fn serve<H: ServerHandler>(
    handler: H,
    bound: Arc<Bound>,
    lease: Lease,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    // It is in memory already.
    let Ok(body) = body.collect().await else {
        return Refusal::Internal.into_response();
    };
    let message = serde_json::from_slice::<ClientJsonRpcMessage>(&body.to_bytes());
    match message {
        Err(_) => {
            let call = parts.extensions.get::<Arc<Call>>();
            Refusal::Unreadable {
                code: -32600,
                id: call.and_then(|call| call.id.clone()),
                problem: "Invalid Request: the parameters do not fit the method",
            }
            .into_response()
        }
        Ok(JsonRpcMessage::Request(request)) => {
            answer(handler, bound, lease, (parts, request)).await
        }
        Ok(JsonRpcMessage::Notification(notification)) => {
            if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                && let Some(id) = &cancelled.params.request_id
            {
                bound.cancel(id, request_id(&parts)).await;
            }
            StatusCode::ACCEPTED.into_response()
        }
        Ok(answer @ (JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_))) => {
            bound.sessions.calls.answer(&bound.id, answer);
            StatusCode::ACCEPTED.into_response()
        }
    }
}

async fn answer<H: ServerHandler>(
    handler: H,
    bound: Arc<Bound>,
    lease: Lease,
    (mut parts, mut request): (Parts, JsonRpcRequest<ClientRequest>),
) -> Response {
    let Some(call) = parts.extensions.get::<Arc<Call>>() else {
        return Refusal::Internal.into_response();
    };
    let part = bound.join();
    let running = match bound.begin(call, request.id.clone()) {
        Ok(running) => running,
        Err(in_use) => return in_use.into_response(),
    };
    let cause = running.cause().clone();
    parts.extensions.insert(cause.clone());
    request.request.extensions_mut().insert(parts);
    let (said, messages) = mpsc::channel(QUEUE);
    let (answers, answered) = mpsc::channel(QUEUE);
    let exchange = Exchange {
        bound: bound.clone(),
        request: Some(request),
        said,
        answers,
        answered,
        asked: Vec::new(),
        over: CancellationToken::new(),
    };
    let service = serve_directly_with_ct(
        handler,
        exchange,
        Some(bound.known_as()),
        running.cancelled().clone(),
    );
    tokio::spawn(service.waiting());
    let mut told = Told {
        call: Some(Called {
            messages,
            running,
            _part: part,
        }),
        lapsed: Box::pin(lease.lapsed()),
        keep_alive: bound.sessions.config.keep_alive.duration(),
        longest_call: bound.sessions.config.tool_timeout.duration(),
        until: None,
        first: None,
    };
    match message(&mut told.call).await {
        None if cause.is_told() => Refusal::NoSession.into_response(),
        // It was cancelled, and nobody waits for an answer.
        None => StatusCode::ACCEPTED.into_response(),
        Some(message) if is_last(&message) => json(&message),
        Some(message) => {
            told.first = event(&message);
            let body = Body::from_stream(told.events());
            (stream_headers(), body).into_response()
        }
    }
}

fn json(message: &ServerJsonRpcMessage) -> Response {
    let Ok(body) = serde_json::to_vec(message) else {
        return Refusal::Internal.into_response();
    };
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, Bytes::from(body)).into_response()
}

const fn is_last(message: &ServerJsonRpcMessage) -> bool {
    matches!(
        message,
        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)
    )
}

fn event(message: &ServerJsonRpcMessage) -> Option<Bytes> {
    let mut event = b"event: message\ndata: ".to_vec();
    serde_json::to_writer(&mut event, message).ok()?;
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}

/// What a call says until it is over.
struct Told {
    /// None once it is over.
    call: Option<Called>,
    lapsed: Pin<Box<dyn Future<Output = Lapse> + Send>>,
    keep_alive: Duration,
    longest_call: Duration,
    /// How long it is waited for, once the caller is not believed any more.
    until: Option<Instant>,
    first: Option<Bytes>,
}

/// A call that runs. Dropped, it is cancelled.
struct Called {
    messages: mpsc::Receiver<ServerJsonRpcMessage>,
    running: Running,
    _part: Part,
}

/// What it says next.
async fn message(call: &mut Option<Called>) -> Option<ServerJsonRpcMessage> {
    let message = call.as_mut()?.messages.recv().await;
    if message.as_ref().is_none_or(is_last) {
        *call = None;
    }
    message
}

impl Told {
    fn events(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut told| async move {
            let event = told.next().await?;
            Some((Ok(event), told))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let until = self.until;
            tokio::select! {
                biased;
                lapse = &mut self.lapsed, if until.is_none() => self.lapse(lapse),
                message = message(&mut self.call) => return event(&message?),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    self.call = None;
                    return None;
                }
                () = sleep(self.keep_alive) => {
                    return Some(Bytes::from_static(b": keep-alive\n\n"));
                }
            }
        }
    }

    /// What the call that has begun has to say of its end is said yet.
    fn lapse(&mut self, lapse: Lapse) {
        if let Some(call) = &self.call {
            call.running.cause().lapse(lapse);
        }
        let longest = match lapse.is_end_of_token() {
            true => self.longest_call + LAST_WORD,
            false => LAST_WORD,
        };
        self.until = Some(Instant::now() + longest);
    }
}

/// A client that goes away has not cancelled its call: that goes on, and its session with it.
impl Drop for Told {
    fn drop(&mut self) {
        let mut call = self.call.take();
        if call.is_some() {
            tokio::spawn(async move { while message(&mut call).await.is_some() {} });
        }
    }
}

/// A request of a session, as the protocol library's transport.
struct Exchange {
    bound: Arc<Bound>,
    request: Option<JsonRpcRequest<ClientRequest>>,
    said: mpsc::Sender<ServerJsonRpcMessage>,
    /// The client's answers to what it is asked.
    answers: mpsc::Sender<ClientJsonRpcMessage>,
    answered: mpsc::Receiver<ClientJsonRpcMessage>,
    asked: Vec<RequestId>,
    over: CancellationToken,
}

/// Nobody reads what is said.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the answer")]
struct Unread;

impl Transport<RoleServer> for Exchange {
    type Error = Unread;

    fn send(
        &mut self,
        mut message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Unread>> + Send + 'static {
        if let JsonRpcMessage::Request(question) = &mut message {
            let calls = &self.bound.sessions.calls;
            let id = question.id.clone();
            question.id = calls.ask(&self.bound.id, id, self.answers.clone());
            self.asked.push(question.id.clone());
        }
        let (said, over) = (self.said.clone(), self.over.clone());
        async move {
            let is_last = is_last(&message);
            let sent = timeout(STALLED, said.send(message)).await;
            let sent = sent.map_err(|_| Unread)?.map_err(|_| Unread);
            if is_last || sent.is_err() {
                over.cancel();
            }
            sent
        }
    }

    /// The request, then answers to what was asked on the way, until its own answer is sent.
    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        if let Some(request) = self.request.take() {
            return Some(JsonRpcMessage::Request(request));
        }
        tokio::select! {
            () = self.over.cancelled() => None,
            answer = self.answered.recv() => answer,
        }
    }

    async fn close(&mut self) -> Result<(), Unread> {
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.bound
            .sessions
            .calls
            .forget(&self.bound.id, &self.asked);
    }
}

/// Messages that wait for their reader, and answers that wait for theirs.
const QUEUE: usize = 16;
/// A reader that takes nothing for so long has left.
const STALLED: Duration = Duration::from_secs(30);

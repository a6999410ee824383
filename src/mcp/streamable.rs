//! Streamable HTTP: rmcp's service, stateless unless there are sessions, answering in JSON unless a call
//! reports progress. A plain call of a tool, which is most of what comes, is answered here and now instead.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    extract::Request,
    http::{Extensions, HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use rmcp::{
    ErrorData as McpError, ServerHandler,
    model::{CallToolResult, JsonObject, ProtocolVersion, RequestId},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde::Serialize;
use serde_json::value::RawValue;
use tower::Service;

use super::{
    Config, Handler, HttpSessions, accept, handler,
    session::{self, Bound},
};
use crate::{auth::Lease, call::Call, listen::Drain, refusal::Refusal, tools::Progress};

/// The service behind `/mcp`. Host, origin and body size are the walk's own guards' business.
#[derive(Clone)]
pub struct Streamable<H = Handler> {
    /// Who is asked without the protocol library.
    direct: Option<Handler>,
    handler: H,
    /// Where messages of the older revisions come in sessions.
    sessions: Option<Arc<HttpSessions>>,
    /// Shared, since every request clones what stands behind the guards.
    rmcp: Arc<StreamableHttpService<H, NeverSessionManager>>,
}

impl Streamable {
    /// For the requests of all clients.
    pub fn new(handler: Handler, config: &Config, drain: &Drain) -> Self {
        Self {
            direct: Some(handler.clone()),
            ..Self::of(handler, config, drain)
        }
    }
}

impl<H: ServerHandler + Clone> Streamable<H> {
    /// Of any handler, all of whose calls are the protocol library's.
    pub fn of(handler: H, config: &Config, drain: &Drain) -> Self {
        let settings = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(Some(config.keep_alive.duration()))
            .with_max_request_body_bytes(config.max_body.bytes())
            .with_cancellation_token(drain.over().child_token())
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let served = handler.clone();
        let rmcp = StreamableHttpService::new(
            move || Ok(served.clone()),
            Arc::new(NeverSessionManager::default()),
            settings,
        );
        Self {
            direct: None,
            handler,
            sessions: None,
            rmcp: Arc::new(rmcp),
        }
    }

    /// The same with sessions, where there are some.
    #[must_use]
    pub fn within(self, sessions: Option<Arc<HttpSessions>>) -> Self {
        Self { sessions, ..self }
    }
}

impl<H: ServerHandler + Clone> Service<Request> for Streamable<H> {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        // All ways need the walk behind them.
        let Some(lease) = request.extensions().get::<Lease>() else {
            return Box::pin(async { Ok(Refusal::Internal.into_response()) });
        };
        let lease = lease.clone();
        let bound = request.extensions().get::<Arc<Bound>>().cloned();
        match self.direct.as_ref().zip(asked(&request)) {
            Some((handler, call)) if is_plain(&call) => {
                let is_in_session = bound.is_some();
                let guarded = request.into_parts().0.extensions;
                let asked = Asked {
                    handler: handler.clone(),
                    call,
                    guarded,
                    bound,
                };
                // Made where it is awaited: a future that was moved there takes twice its room.
                return match is_in_session {
                    true => Box::pin(async move { Ok(to_its_end(answer(asked)).await) }),
                    false => Box::pin(async move { Ok(answer(asked).await) }),
                };
            }
            // The protocol library would refuse it in words that help nobody.
            Some((_, call)) if handler::is_never_asked(&call.method) => {
                let told = told(call.id.as_deref(), Err(handler::no_method()));
                return Box::pin(async move { Ok(told) });
            }
            _ => {}
        }
        if let Some(bound) = bound {
            let handler = self.handler.clone();
            let served = session::serve(handler, bound, lease, request);
            return Box::pin(async move { Ok(unkept(served.await)) });
        }
        accept::widen(&mut request);
        let mut rmcp = StreamableHttpService::clone(&self.rmcp);
        if let Some(sessions) = self.sessions.clone()
            && asked(&request).is_some_and(|call| &*call.method == "initialize")
        {
            let shake = move |request| async move {
                let Ok(answer) = rmcp.call(request).await;
                answer.map(Body::new)
            };
            return Box::pin(
                async move { Ok(unkept(session::open(&sessions, request, shake).await)) },
            );
        }
        let answer = rmcp.call(request);
        Box::pin(async move {
            let answer = answer.await?.map(Body::new);
            Ok(unkept(accept::while_trusted(answer, lease)))
        })
    }
}

/// What came out of the CRM is kept by nobody on the way.
fn unkept(mut answer: Response) -> Response {
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

/// What is asked in a revision that knows neither the headers nor the results of 2026-07-28.
fn asked(request: &Request) -> Option<Arc<Call>> {
    let call = request.extensions().get::<Arc<Call>>()?;
    (is_old(request.headers()) && call.is_request()).then(|| call.clone())
}

/// Whether the headers are of a revision that may have sessions.
pub(super) fn is_old(headers: &HeaderMap) -> bool {
    headers.get("mcp-protocol-version").is_none_or(|version| {
        version.as_bytes() < ProtocolVersion::STANDARD_HEADERS.as_str().as_bytes()
    })
}

/// A call of a tool by its name with arguments and nothing else: nothing that only the protocol
/// library can answer.
fn is_plain(call: &Call) -> bool {
    call.tool().is_some() && call.is_only_arguments
}

/// In a session a client that goes away has not cancelled its call: it can say so where it means it.
async fn to_its_end(answered: impl Future<Output = Response> + Send + 'static) -> Response {
    let answered = tokio::spawn(answered).await;
    answered.unwrap_or_else(|_| Refusal::Internal.into_response())
}

/// A plain call, with what the guards found out about it.
struct Asked {
    handler: Handler,
    call: Arc<Call>,
    guarded: Extensions,
    bound: Option<Arc<Bound>>,
}

/// Answers a plain call as rmcp would, without its two tasks and their channels, which cost more
/// than every guard together. Without a session a client that goes away drops this, and with it the
/// call, since it has no other way to cancel it.
async fn answer(asked: Asked) -> Response {
    let Asked {
        handler,
        call,
        mut guarded,
        bound,
    } = asked;
    let (Some(id), Some(tool), Ok(arguments)) = (&call.id, call.tool(), arguments(&call)) else {
        return Refusal::Internal.into_response();
    };
    // Only in a session can the client say that it does not want the answer any more.
    let running = bound.as_ref().and_then(|bound| {
        let part = bound.join();
        let id = serde_json::from_str::<RequestId>(id.get()).ok()?;
        Some(bound.begin(&call, id).map(|running| (running, part)))
    });
    let running = match running.transpose() {
        Ok(running) => running,
        Err(in_use) => return in_use.into_response(),
    };
    if let Some((running, _)) = &running {
        guarded.insert(running.cause().clone());
    }
    let cancelled = running.as_ref().map(|(running, _)| running.cancelled());
    let outcome = handler
        .call(&guarded, tool, arguments, Progress::default(), cancelled)
        .await;
    unkept(told(Some(id), outcome))
}

fn told(id: Option<&RawValue>, outcome: Result<CallToolResult, McpError>) -> Response {
    let (result, error) = match outcome {
        Ok(mut result) => {
            // Older revisions know one kind of result only.
            result.result_type = None;
            (Some(result), None)
        }
        Err(error) => (None, Some(error)),
    };
    let message = Message {
        jsonrpc: "2.0",
        id,
        result,
        error,
    };
    let mut body = Vec::with_capacity(1024);
    if serde_json::to_writer(&mut body, &message).is_err() {
        return Refusal::Internal.into_response();
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, Bytes::from(body)).into_response()
}

fn arguments(call: &Call) -> serde_json::Result<JsonObject> {
    let raw = call.arguments.as_deref();
    raw.map_or_else(|| Ok(JsonObject::new()), serde_json::from_slice)
}

/// A response of JSON-RPC 2.0.
#[derive(Serialize)]
struct Message<'a> {
    jsonrpc: &'static str,
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<CallToolResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<McpError>,
}

//! Guard: how much a caller may call.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Answer, Limiter, Subject, Verdict};
use crate::{
    audit::{Audit, Event, Kind},
    auth::Caller,
    call::Call,
    listen::{Door, Peer},
    permit::Permission,
    refusal::{OverLimit, Refusal},
};

/// What the guard needs.
#[derive(Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub limiter: Arc<Limiter>,
    /// How a refusal is answered; changes with the configuration.
    pub answer: Arc<ArcSwap<Answer>>,
    /// The tools that exist, whose names may be logged.
    pub tools: Arc<[Permission]>,
    pub audit: Audit,
}

/// A refusal that the handler has to tell as a tool result.
#[derive(Clone, Debug)]
pub struct Refused(pub Arc<OverLimit>);

/// Counts a call, or refuses it.
///
/// # Errors
/// [`Refusal::OverLimit`]
pub async fn limit(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let extensions = request.extensions();
    let (Some(caller), Some(call), Some(peer)) = (
        extensions.get::<Arc<Caller>>(),
        extensions.get::<Arc<Call>>(),
        extensions.get::<Peer>(),
    ) else {
        return Err(Refusal::Internal);
    };
    if is_exempt(call) {
        return Ok(next.run(request).await);
    }
    let subject = Subject {
        client: &caller.client,
        user: caller.user.as_ref(),
        tool: call.tool(),
        request_id: peer.request_id,
    };
    let verdict = gate.limiter.admit(&subject).await;
    let headers = verdict.headers();
    if !verdict.is_admitted() {
        gate.audit
            .record(caller.sign(peer.sign(gate.refused(&verdict, call))))
            .await;
        if !call.is_request() {
            // Nobody waits for an answer, and an error would end some clients.
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        let over = over(&verdict, call);
        let in_band = peer.door == Door::Messages || **gate.answer.load() == Answer::ToolError;
        if !in_band || call.tool().is_none() {
            return Err(Refusal::OverLimit(Box::new(over)));
        }
        request.extensions_mut().insert(Refused(Arc::new(over)));
    }
    let mut response = next.run(request).await;
    response.headers_mut().extend(headers);
    Ok(response)
}

/// A ping keeps a session alive, and a cancellation ends work: neither may be refused.
fn is_exempt(call: &Call) -> bool {
    matches!(&*call.method, "ping" | "notifications/cancelled")
}

fn over(verdict: &Verdict, call: &Call) -> OverLimit {
    OverLimit {
        id: call.id.clone(),
        message: verdict.message(),
        retry_after_seconds: verdict.retry_after_seconds().unwrap_or(1),
        policies: verdict.violated().collect(),
        headers: verdict.headers().collect(),
    }
}

impl Gate {
    fn refused(&self, verdict: &Verdict, call: &Call) -> Event {
        // A name that is no tool's is the caller's text, so it is not written.
        let known = |name: &str| self.tools.iter().find(|known| known.tool == name);
        Event {
            tool_name: call.tool().and_then(known).map(|known| known.tool.into()),
            policy: Some(verdict.policy().into()),
            retry_after_seconds: verdict.retry_after_seconds(),
            ..Event::new(Kind::RateLimitExceeded)
        }
    }
}

//! Guard: how much a caller may call.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use serde_json::value::RawValue;

use super::{
    Admission, Answer, InFlight, Limiter, Scarce, Slip, Subject, Verdict, seconds_to_wait,
};
use crate::{
    audit::{Audit, Event, Kind},
    auth::Caller,
    call::{Asked, Call},
    listen::{Door, Peer},
    permit::Permission,
    refusal::{OverLimit, Refusal},
    zoho::Zoho,
};

/// What the guard needs.
#[expect(missing_docs, reason = "the types say it")]
pub struct Gate {
    pub limiter: Arc<Limiter>,
    /// How a refusal is answered; changes with the configuration.
    pub answer: Arc<ArcSwap<Answer>>,
    /// The tools that exist, whose names may be logged.
    pub tools: Arc<[Permission]>,
    pub zoho: Zoho,
    pub audit: Audit,
}

/// A call's place among the calls in flight.
#[derive(Clone, Debug)]
pub struct Seat(Arc<Mutex<Option<InFlight>>>);

impl Seat {
    /// For the handler to hold until the call is over. Once.
    pub fn take(&self) -> Option<InFlight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A refusal that the handler has to tell as a tool result.
#[derive(Clone, Debug)]
pub struct Refused(pub Arc<OverLimit>);

/// Counts a call, or refuses it.
///
/// # Errors
/// [`Refusal::OverLimit`], and [`Refusal::Overloaded`] for a call that would wait for Zoho longer
/// than `[zoho] max_wait`, which charges no limit.
pub async fn limit(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let asked = Asked::of(request.extensions())?;
    let Asked { caller, call, peer } = asked;
    if is_exempt(call) {
        return Ok(next.run(request).await);
    }
    if let Some(refusal) = gate.shed(asked).await {
        return Err(refusal);
    }
    let Admission { verdict, in_flight } = gate.admit(caller, peer, Some(call)).await;
    let refused = (!verdict.is_admitted()).then(|| over(&verdict, call.id.clone()));
    let in_band = peer.door == Door::Messages || **gate.answer.load() == Answer::ToolError;
    let in_band = in_band && call.tool().is_some();
    let slip = Slip::default();
    let call = Arc::clone(call);
    let extensions = request.extensions_mut();
    match refused {
        Some(over) if in_band => {
            extensions.insert(Refused(Arc::new(over)));
        }
        Some(over) => return Err(Refusal::OverLimit(Box::new(over))),
        None => {
            extensions.insert(Seat(Arc::new(Mutex::new(in_flight))));
            if !in_band {
                extensions.insert(slip.clone());
            }
        }
    }
    let mut response = next.run(request).await;
    if let Some(refusal) = slip.refusal(&verdict, &call) {
        return Err(refusal);
    }
    response.headers_mut().extend(verdict.headers());
    Ok(response)
}

/// Counts a request that carries no message, or refuses it.
///
/// # Errors
/// [`Refusal::OverLimit`]
pub async fn limit_request(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let extensions = request.extensions();
    let found = extensions
        .get::<Arc<Caller>>()
        .zip(extensions.get::<Peer>());
    let (caller, peer) = found.ok_or(Refusal::Internal)?;
    let Admission { verdict, .. } = gate.admit(caller, peer, None).await;
    if !verdict.is_admitted() {
        return Err(Refusal::OverLimit(Box::new(over(&verdict, None))));
    }
    let mut response = next.run(request).await;
    response.headers_mut().extend(verdict.headers());
    Ok(response)
}

/// Whether a message is counted at no limit. A ping keeps a session alive. Nobody waits for an answer
/// to a notification, so that a refusal would be lost, and some end work.
pub fn is_exempt(call: &Call) -> bool {
    &*call.method == "ping" || !call.is_request()
}

fn over(verdict: &Verdict, id: Option<Box<RawValue>>) -> OverLimit {
    OverLimit {
        id,
        message: verdict.message(),
        retry_after_seconds: verdict.retry_after_seconds().unwrap_or(1),
        policies: verdict.violated().collect(),
        headers: verdict.headers().collect(),
    }
}

impl Gate {
    /// Asks the limiter, and records what it refuses or would refuse.
    async fn admit(&self, caller: &Caller, peer: &Peer, call: Option<&Call>) -> Admission {
        let subject = Subject {
            client: &caller.client,
            user: caller.user.as_ref(),
            tool: call.and_then(Call::tool),
            request_id: peer.request_id,
        };
        let admission = self.limiter.admit(&subject).await;
        let verdict = &admission.verdict;
        let told = match verdict.is_admitted() {
            true => verdict.shadow_policy().map(would_refuse),
            false => Some(refused(verdict)),
        };
        if let Some(event) = told {
            let event = Event {
                tool_name: call.and_then(|call| self.tool_name(call)),
                ..event
            };
            self.audit.record(caller.sign(peer.sign(event))).await;
        }
        admission
    }

    /// Lets a caller ask Redis for what a message names, where no limit was charged for the message.
    ///
    /// # Errors
    /// [`Refusal::OverLimit`] for a client that does so without end.
    pub async fn may_look(
        &self,
        caller: &Caller,
        peer: &Peer,
        id: Option<&RawValue>,
    ) -> Result<(), Refusal> {
        let Err(too_many) = self.limiter.look(&caller.client) else {
            return Ok(());
        };
        let retry_after_seconds = seconds_to_wait(too_many.wait);
        let event = Event {
            policy: Some(LOOKUPS.into()),
            retry_after_seconds: Some(retry_after_seconds),
            ..Event::new(Kind::RateLimitExceeded)
        };
        match too_many.is_first {
            true => self.audit.record(caller.sign(peer.sign(event))).await,
            false => Audit::count(&event),
        }
        Err(Refusal::OverLimit(Box::new(OverLimit {
            id: id.map(ToOwned::to_owned),
            message: format!(
                "Too many messages to sessions ({LOOKUPS}). Retry after {retry_after_seconds} s."
            ),
            retry_after_seconds,
            policies: vec![LOOKUPS],
            headers: HeaderMap::new(),
        })))
    }

    /// The refusal of a call that cannot be served in time, before anything is spent on it.
    async fn shed(&self, asked: Asked<'_>) -> Option<Refusal> {
        let wait = self.zoho.overload()?;
        asked.call.tool()?;
        let retry_after_seconds = seconds_to_wait(wait);
        let event = Event {
            tool_name: self.tool_name(asked.call),
            policy: Some(Scarce::Places.policy().into()),
            retry_after_seconds: Some(retry_after_seconds),
            ..Event::new(Kind::RateLimitExceeded)
        };
        self.audit.record(asked.sign(event)).await;
        Some(Refusal::Overloaded {
            id: asked.call.id.clone(),
            retry_after_seconds,
        })
    }

    /// A name that is no tool's is the caller's text, so it is not written.
    fn tool_name(&self, call: &Call) -> Option<Cow<'static, str>> {
        let name = call.tool()?;
        let known = self.tools.iter().find(|known| known.tool == name)?;
        Some(known.tool.into())
    }
}

fn refused(verdict: &Verdict) -> Event {
    Event {
        policy: Some(verdict.policy().into()),
        reason: why(verdict).map(Into::into),
        retry_after_seconds: verdict.retry_after_seconds(),
        ..Event::new(Kind::RateLimitExceeded)
    }
}

fn would_refuse(policy: String) -> Event {
    Event {
        policy: Some(policy.into()),
        reason: Some("shadow".into()),
        ..Event::new(Kind::RateLimitExceeded)
    }
}

/// Why a call is refused that the whole limit might have admitted.
fn why(verdict: &Verdict) -> Option<&'static str> {
    match (verdict.is_uncounted(), verdict.is_over_share()) {
        (true, _) => Some("store_unavailable"),
        (false, true) => Some("share"),
        (false, false) => None,
    }
}

/// What the limit is called that [`Gate::may_look`] keeps.
const LOOKUPS: &str = "lookups";

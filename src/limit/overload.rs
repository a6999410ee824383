//! Guards: what cannot be served in time is refused at once, before anything is spent on it.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::Semaphore;

use super::Scarce;
use crate::{
    audit::{Audit, Event, Kind},
    auth::Caller,
    call::Call,
    listen::Peer,
    permit::Permission,
    refusal::Refusal,
    zoho::Zoho,
};

/// What the guards need.
pub struct Load {
    places: Semaphore,
    zoho: Zoho,
    audit: Audit,
    /// The tools that exist, whose names may be logged.
    tools: Arc<[Permission]>,
}

impl Load {
    /// For so many requests at once, and as many calls as Zoho can answer in time.
    pub fn new(max_requests: usize, zoho: Zoho, audit: Audit, tools: Arc<[Permission]>) -> Self {
        Self {
            places: Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS)),
            zoho,
            audit,
            tools,
        }
    }
}

/// Takes no more requests at once than `[server] max_requests`, whoever sends them.
///
/// # Errors
/// [`Refusal::Overloaded`]
pub async fn crowd(
    State(load): State<Arc<Load>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Ok(_place) = load.places.try_acquire() else {
        return Err(Refusal::Overloaded {
            id: None,
            retry_after_seconds: 1,
        });
    };
    Ok(next.run(request).await)
}

/// Refuses a tool call that would wait for Zoho longer than `[zoho] max_wait`. No limit is charged.
///
/// # Errors
/// [`Refusal::Overloaded`]
pub async fn shed(
    State(load): State<Arc<Load>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Some(wait) = load.zoho.overload() else {
        return Ok(next.run(request).await);
    };
    let extensions = request.extensions();
    let (Some(caller), Some(call), Some(peer)) = (
        extensions.get::<Arc<Caller>>(),
        extensions.get::<Arc<Call>>(),
        extensions.get::<Peer>(),
    ) else {
        return Err(Refusal::Internal);
    };
    if call.tool().is_none() || !call.is_request() {
        return Ok(next.run(request).await);
    }
    let retry_after_seconds = wait.as_secs().max(1);
    let event = Event {
        tool_name: known_tool(&load.tools, call),
        policy: Some(Scarce::Places.policy().into()),
        retry_after_seconds: Some(retry_after_seconds),
        ..Event::new(Kind::RateLimitExceeded)
    };
    load.audit.record(caller.sign(peer.sign(event))).await;
    Err(Refusal::Overloaded {
        id: call.id.clone(),
        retry_after_seconds,
    })
}

/// A name that is no tool's is the caller's text, so it is not written.
pub(super) fn known_tool(tools: &[Permission], call: &Call) -> Option<Cow<'static, str>> {
    let name = call.tool()?;
    let known = tools.iter().find(|known| known.tool == name)?;
    Some(known.tool.into())
}

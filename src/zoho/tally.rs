//! What one call has asked of Zoho so far. Shared with whoever records the call, so that it is
//! known even of a call that was cut off.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use http::Method;
use metrics::{counter, histogram};
use tokio::time::Instant;

use super::{Problem, lock};
use crate::audit::Requests;

/// Credits and requests of one call. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    credits: AtomicU32,
    requests: Mutex<Requests>,
    broken: AtomicBool,
    shared: AtomicBool,
}

impl Tally {
    /// Credits spent so far.
    pub fn credits(&self) -> u32 {
        self.0.credits.load(Ordering::Relaxed)
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        lock(&self.0.requests).clone()
    }

    /// Whether all that was asked was answered, after whatever tries.
    pub fn is_whole(&self) -> bool {
        !self.0.broken.load(Ordering::Relaxed)
    }

    /// Something that was asked was not answered.
    pub(super) fn broke(&self) {
        self.0.broken.store(true, Ordering::Relaxed);
    }

    /// Whether an answer was one that another call had asked for.
    pub fn is_shared(&self) -> bool {
        self.0.shared.load(Ordering::Relaxed)
    }

    /// Another call's answer was this one's as well.
    pub(super) fn shared(&self) {
        self.0.shared.store(true, Ordering::Relaxed);
    }

    /// A request is sent. Zoho counts it when it comes, whatever becomes of it.
    pub(super) fn sent(&self, method: &Method, route: &'static str, credits: u32) -> Sent {
        self.0.credits.fetch_add(credits, Ordering::Relaxed);
        let method = name(method);
        Sent {
            place: lock(&self.0.requests).sent(method, route, credits),
            method,
            at: Instant::now(),
        }
    }

    /// It was answered, or broke.
    pub(super) fn ended(&self, sent: &Sent, outcome: Result<u16, Problem>) {
        let (method, latency) = (sent.method, sent.at.elapsed());
        let outcome = outcome.map_err(Problem::name);
        let seen = match outcome {
            Ok(200..300) => "ok",
            Ok(401) => "token_refused",
            Ok(429) => "throttled",
            Ok(400..500) => "refused",
            Ok(500..) => "server_error",
            Ok(_) => "unexpected_status",
            Err(problem) => problem,
        };
        counter!("zoho_mcp_zoho_requests_total", "method" => method, "outcome" => seen)
            .increment(1);
        histogram!("zoho_mcp_zoho_request_duration_seconds").record(latency.as_secs_f64());
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        lock(&self.0.requests).ended(sent.place, outcome, millis);
    }
}

/// A request on its way.
pub(super) struct Sent {
    place: usize,
    method: &'static str,
    at: Instant,
}

/// For the log, the metrics and the traces.
pub(super) const fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

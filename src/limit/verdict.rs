//! What the limiter says about a call, in words and in headers.

use std::time::Duration;

use http::{HeaderName, HeaderValue, header::RETRY_AFTER};
use serde_json::{Value, json};

use crate::setting::Quota;

/// Whether a call is admitted, and how each dimension stands after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    standings: Vec<Standing>,
    shadowed: Vec<Standing>,
    retry_after: Option<Duration>,
    busy: Option<Busy>,
    shadow_busy: Option<Busy>,
    uncounted: bool,
    by_share: bool,
}

/// Too many calls are in flight: how many may be, of this client or of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Busy {
    Client(u32),
    Everybody(u32),
}

/// How one dimension stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The dimension.
    pub name: &'static str,
    /// Its quota for this caller.
    pub quota: Quota,
    /// Calls that may follow this one now.
    pub remaining: u32,
    /// When the oldest call leaves the window and makes room for another. On a refusal never
    /// later than the moment at which to try again.
    pub reset: Duration,
    /// It refuses the call.
    pub violated: bool,
    /// It only watches, so it would have refused.
    pub shadow: bool,
}

impl Verdict {
    /// `retry_after` is set when any dimension refuses.
    pub(super) fn new(standings: Vec<Standing>, retry_after: Option<Duration>) -> Self {
        let (mut shadowed, mut standings): (Vec<_>, Vec<_>) =
            standings.into_iter().partition(|standing| standing.shadow);
        shadowed.retain(|standing| standing.violated);
        if let Some(latest) = retry_after {
            for standing in &mut standings {
                standing.reset = standing.reset.min(latest);
            }
        }
        Self {
            standings,
            shadowed,
            retry_after,
            busy: None,
            shadow_busy: None,
            uncounted: false,
            by_share: false,
        }
    }

    /// No place is free for another call in flight.
    pub(super) fn busy(busy: Busy) -> Self {
        Self {
            busy: Some(busy),
            ..Self::new(Vec::new(), Some(BUSY_FOR))
        }
    }

    /// No place would have been free, if that did not only watch.
    pub(super) fn watched(self, busy: Option<Busy>) -> Self {
        Self {
            shadow_busy: busy,
            ..self
        }
    }

    /// Refused because it cannot be counted, and not because too many were.
    pub(super) fn uncounted(self) -> Self {
        Self {
            uncounted: true,
            ..self
        }
    }

    /// Decided by this instance's share of each limit, since the others cannot be asked.
    pub(super) fn by_share(self) -> Self {
        Self {
            by_share: true,
            ..self
        }
    }

    /// Whether the call may go on.
    pub fn is_admitted(&self) -> bool {
        self.retry_after.is_none()
    }

    /// Whether it may not because it cannot be counted.
    pub fn is_uncounted(&self) -> bool {
        self.uncounted
    }

    /// Whether it may not because this instance's share is used up, whatever the others have left.
    pub fn is_over_share(&self) -> bool {
        self.by_share && !self.uncounted && !self.is_admitted()
    }

    /// Whether it may not because too many calls are in flight.
    pub fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// When the call would be admitted, if nothing else came in between. `None` when it is now.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The same in whole seconds, rounded up, at least one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(seconds_to_wait)
    }

    /// How each dimension that applies stands.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// The dimensions that only watch and would have refused, as `client, 60 per 1m`. None of a
    /// call that is refused anyway: it made no difference.
    pub fn shadow_policy(&self) -> Option<String> {
        if !self.is_admitted() {
            return None;
        }
        let busy = self.shadow_busy.map(Busy::policy);
        let windows = (!self.shadowed.is_empty()).then(|| policy(self.shadowed.iter()));
        let told: Vec<String> = busy.into_iter().chain(windows).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// The dimensions that refuse.
    pub fn violated(&self) -> impl Iterator<Item = &'static str> + '_ {
        let busy = self.busy.map(Busy::dimension);
        let windows = self.refusing().map(|standing| standing.name);
        busy.into_iter().chain(windows)
    }

    /// `RateLimit` and `RateLimit-Policy` as the IETF draft has them, where calls are counted, and
    /// `Retry-After` on a refusal.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let (mut limits, mut policies) = (Vec::with_capacity(128), Vec::with_capacity(128));
        let counted: &[Standing] = if self.uncounted { &[] } else { &self.standings };
        for (index, standing) in counted.iter().enumerate() {
            let Standing { name, quota, .. } = standing;
            let (remaining, reset) = (standing.remaining, whole_seconds(standing.reset));
            let (requests, window) = (quota.requests, whole_seconds(quota.per.duration()));
            if index > 0 {
                limits.extend_from_slice(b", ");
                policies.extend_from_slice(b", ");
            }
            item(
                &mut limits,
                name,
                [(";r=", remaining.into()), (";t=", reset)],
            );
            item(
                &mut policies,
                name,
                [(";q=", requests.get().into()), (";w=", window)],
            );
        }
        let texts = [(&RATE_LIMIT, limits), (&RATE_LIMIT_POLICY, policies)];
        let retry_after = self
            .retry_after_seconds()
            .map(|wait| (RETRY_AFTER, HeaderValue::from(wait)));
        texts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .filter_map(|(name, text)| Some((name.clone(), HeaderValue::try_from(text).ok()?)))
            .collect::<Vec<_>>()
            .into_iter()
            .chain(retry_after)
    }

    /// What a refused caller is told.
    pub fn message(&self) -> String {
        let policy = self.told_policy();
        let seconds = self.retry_after_seconds().unwrap_or_default();
        let wait = format!("{seconds} second{}", if seconds == 1 { "" } else { "s" });
        if self.uncounted {
            return format!(
                "Calls cannot be counted at the moment, so this one is not admitted ({policy}). \
                 Retry after {wait}."
            );
        }
        match self.busy {
            Some(Busy::Client(_)) => format!(
                "Too many calls of this client are running ({policy}). Wait for one to finish, \
                 then try again."
            ),
            Some(Busy::Everybody(_)) => {
                format!("Too many calls are running ({policy}). Retry after {wait}.")
            }
            None => format!("Rate limit exceeded ({policy}). Retry after {wait}."),
        }
    }

    /// The quotas that refuse, as `client, 60 per 1m`.
    pub fn policy(&self) -> String {
        self.busy
            .map_or_else(|| policy(self.refusing()), Busy::policy)
    }

    /// The same for the caller, who shall not think that a limit is used up of which only this
    /// instance's share is.
    fn told_policy(&self) -> String {
        match self.busy {
            _ if !self.is_over_share() => self.policy(),
            Some(busy) => format!("{}, this instance's share", busy.policy()),
            None => quotas(self.refusing(), "this instance's share of "),
        }
    }

    /// The `data` of the JSON-RPC error.
    pub fn data(&self) -> Value {
        json!({
            "retryAfterSeconds": self.retry_after_seconds(),
            "violatedPolicies": self.violated().collect::<Vec<_>>(),
        })
    }

    fn refusing(&self) -> impl Iterator<Item = &Standing> {
        self.standings.iter().filter(|standing| standing.violated)
    }
}

impl Busy {
    fn dimension(self) -> &'static str {
        match self {
            Self::Client(_) => "in_flight",
            Self::Everybody(_) => "in_flight_total",
        }
    }

    fn policy(self) -> String {
        let (Self::Client(limit) | Self::Everybody(limit)) = self;
        format!("{}, {limit}", self.dimension())
    }
}

fn policy<'a>(standings: impl Iterator<Item = &'a Standing>) -> String {
    quotas(standings, "")
}

/// `of` says what of each quota.
fn quotas<'a>(standings: impl Iterator<Item = &'a Standing>, of: &str) -> String {
    let quotas: Vec<String> = standings
        .map(|Standing { name, quota, .. }| {
            format!("{name}, {of}{} per {}", quota.requests, quota.per)
        })
        .collect();
    quotas.join("; ")
}

/// An item of a structured field (RFC 8941) with two whole numbers as parameters.
fn item(out: &mut Vec<u8>, name: &str, parameters: [(&str, u64); 2]) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    for (key, value) in parameters {
        out.extend_from_slice(key.as_bytes());
        // Writing to memory cannot fail; formatting would cost several times as much.
        let _ = serde_json::to_writer(&mut *out, &value);
    }
}

/// As people and `Retry-After` count a wait: what is over soon takes one second, since whoever is told
/// none asks again at once.
pub(crate) fn seconds_to_wait(wait: Duration) -> u64 {
    whole_seconds(wait).max(1)
}

/// Whole seconds, never too few.
fn whole_seconds(span: Duration) -> u64 {
    span.as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Nobody knows when a call ends. Long enough that whoever waits is not always asking.
const BUSY_FOR: Duration = Duration::from_secs(1);

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

#[cfg(test)]
mod tests;

//! Whether this instance can work, from what is already known: a probe costs Zoho nothing and
//! cannot be used to hammer it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use metrics::gauge;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    audit::{Audit, OnFailure},
    auth::Authenticator,
    limit::Limiter,
    listen::{Drain, Expiring, Tls},
    store::Cause,
    zoho::{State as ZohoState, Zoho},
};

/// What the checks look at.
#[expect(missing_docs, reason = "the types say it")]
pub struct Health {
    pub zoho: Zoho,
    pub audit: Audit,
    pub authenticator: Arc<Authenticator>,
    pub limiter: Arc<Limiter>,
    pub drain: Drain,
    pub tls: Arc<Tls>,
    pub started: Instant,
}

/// `GET /health`: for load balancers. A dependency that is down makes an instance degraded, never
/// unhealthy: another instance would be no better off.
pub async fn health(State(health): State<Arc<Health>>) -> Response {
    let report = health.report();
    let code = match report.status {
        Status::Healthy | Status::Degraded => StatusCode::OK,
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, Json(report)).into_response()
}

/// `GET /livez`: the process answers.
pub async fn livez() -> &'static str {
    "ok"
}

/// `GET /readyz`: ready for traffic.
pub async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    match health.report().status {
        Status::Healthy | Status::Degraded => (StatusCode::OK, "ok"),
        Status::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    }
}

impl Health {
    /// Looks at Zoho from time to time when no call does, and often while it is away, until the
    /// drain begins.
    pub async fn watch(self: Arc<Self>) {
        loop {
            let pause = match self.zoho.probe(FRESH).await.state {
                ZohoState::Down => AWAY,
                _ => FRESH,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.drain.begun().cancelled() => return,
            }
        }
    }

    /// Sets the metrics that are looked up, not counted.
    pub fn measure(&self) {
        let state = self.zoho.status().state;
        let up = !matches!(
            state,
            ZohoState::Down
                | ZohoState::CredentialsRefused
                | ZohoState::TokenRefused
                | ZohoState::NoToken
        );
        gauge!("zoho_mcp_zoho_up").set(if up { 1 } else { 0 });
        self.zoho.measure();
        gauge!("zoho_mcp_audit_writable").set(if self.audit.is_writable() { 1 } else { 0 });
        if self.authenticator.accepts_keys() {
            let age = self.authenticator.keys().freshness().age();
            gauge!("zoho_mcp_keys_age_seconds", "source" => "api_keys").set(age.as_secs_f64());
        }
        for (issuer, keys) in self.authenticator.tokens().freshness() {
            let age = keys.age().as_secs_f64();
            gauge!("zoho_mcp_keys_age_seconds", "source" => issuer.to_string()).set(age);
        }
        gauge!("zoho_mcp_audit_queue_lines").set(self.audit.waiting() as f64);
    }

    fn report(&self) -> Report {
        let zoho = self.zoho.status();
        let zoho_api = Check {
            status: match zoho.state {
                ZohoState::Ok => OK,
                ZohoState::Down => DOWN,
                ZohoState::CredentialsRefused => "credentials_refused",
                ZohoState::TokenRefused => "token_refused",
                ZohoState::TokenThrottled => "token_throttled",
                ZohoState::NoToken => "no_token",
                ZohoState::CreditsSpent => "credits_spent",
            },
            latency_ms: Some(millis(zoho.latency)),
            detail: match zoho.state {
                ZohoState::TokenRefused => Some(TOKEN_REFUSED.to_owned()),
                ZohoState::NoToken => Some(NO_TOKEN.to_owned()),
                _ => zoho
                    .back
                    .map(|back| format!("zoho has none until {back:.0}")),
            },
        };
        let (redis, tls) = (self.redis(), self.tls());
        let (api_keys, issuer_keys) = (self.api_keys(), self.issuer_keys());
        let certificates = tls.as_ref().is_none_or(|tls| tls.status == OK);
        let limits = ![DOWN, NOT_SHARED].contains(&redis.status);
        let degraded = zoho.state != ZohoState::Ok || !limits || !certificates;
        let degraded = degraded || api_keys.is_some() || issuer_keys.is_some();
        Report {
            status: match (self.is_usable(), degraded) {
                (false, _) => Status::Unhealthy,
                (true, true) => Status::Degraded,
                (true, false) => Status::Healthy,
            },
            checks: Checks {
                zoho_api,
                audit_log: (!self.audit.is_writable()).then_some(Check {
                    status: DOWN,
                    latency_ms: None,
                    detail: None,
                }),
                tls,
                api_keys,
                issuer_keys,
                redis,
            },
            uptime: (self.started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        }
    }

    /// Down for as long as limits are not shared, which may be a moment longer than Redis is; unless
    /// it is the other instances that they cannot be shared with.
    fn redis(&self) -> Check {
        let Some(standing) = self.limiter.standing() else {
            return Check {
                status: "not_configured",
                latency_ms: None,
                detail: None,
            };
        };
        let is_up = matches!(standing.alone, None | Some(Cause::OtherKey));
        Check {
            status: match standing.alone {
                None => OK,
                Some(Cause::OtherKey) => NOT_SHARED,
                Some(_) => DOWN,
            },
            latency_ms: is_up.then(|| millis(standing.latency)),
            detail: None,
        }
    }

    /// Degraded while there is still time to renew, so that it is noticed before clients do; and while
    /// a renewal is refused, which would be noticed when the old one runs out.
    fn tls(&self) -> Option<Check> {
        let expiring = self.tls.expiring(Timestamp::now());
        let refused = self.tls.are_refused();
        let status = match (refused, expiring.is_empty()) {
            _ if expiring.iter().any(Expiring::is_over) => "expired",
            (true, _) => "refused",
            (false, true) => OK,
            (false, false) => "expires_soon",
        };
        let mut words: Vec<_> = expiring.iter().map(Expiring::in_short).collect();
        if refused {
            words.push("the newest files cannot be used and the last good ones serve".into());
        }
        self.tls.is_configured().then(|| Check {
            status,
            latency_ms: None,
            detail: (!words.is_empty()).then(|| words.join("; ")),
        })
    }

    /// A key that was revoked meanwhile would still be good.
    fn api_keys(&self) -> Option<Check> {
        let is_used = self.authenticator.accepts_keys();
        let stale = self.authenticator.keys().freshness().stale();
        stale.filter(|_| is_used).map(Check::stale)
    }

    /// The oldest of them counts. Which issuer it is stands in the log and in the metrics.
    fn issuer_keys(&self) -> Option<Check> {
        let tokens = self.authenticator.tokens();
        let stale = tokens.freshness().filter_map(|(_, keys)| keys.stale());
        stale.max().map(Check::stale)
    }

    /// What another instance could do better.
    fn is_usable(&self) -> bool {
        let recording = self.audit.is_writable() || self.audit.on_failure() == OnFailure::Continue;
        let somebody = self.authenticator.can_admit(Timestamp::now());
        recording && somebody && !self.drain.has_begun()
    }
}

#[derive(Serialize)]
struct Report {
    status: Status,
    checks: Checks,
    /// Seconds.
    uptime: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

#[derive(Serialize)]
struct Checks {
    zoho_api: Check,
    /// Only while it takes no lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_log: Option<Check>,
    /// Only where there are certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Check>,
    /// Only while they cannot be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_keys: Option<Check>,
    /// The same, of key sets that are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_keys: Option<Check>,
    redis: Check,
}

#[derive(Serialize)]
struct Check {
    status: &'static str,
    #[serde(rename = "latencyMs", skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    fn stale(age: Duration) -> Self {
        Self {
            status: "stale",
            latency_ms: None,
            detail: Some(format!("they could not be read for {} s", age.as_secs())),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What to do about [`ZohoState::TokenRefused`].
const TOKEN_REFUSED: &str = "zoho's accounts server gives access tokens, but its API does not take them: \
    check zoho.data_center, accounts_url and api_url, and that the user of the refresh token is active";
/// What [`ZohoState::NoToken`] means.
const NO_TOKEN: &str =
    "zoho's accounts server gives no access token; it is asked again after 90 s at most";
const OK: &str = "ok";
const DOWN: &str = "down";
const NOT_SHARED: &str = "not_shared";

/// How old the last word of Zoho may be.
const FRESH: Duration = Duration::from_secs(20);
/// Between looks at a Zoho that does not answer.
const AWAY: Duration = Duration::from_secs(2);

//! The access token: one refresh in flight, whoever needs it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderValue;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Credentials, Problem, ZohoError,
    data_center::Servers,
    error::Code,
    http::{Reply, exchange},
    lock,
    mints::Mints,
    tally::word,
};
use crate::telemetry::{Trace, Upstream};

/// A token that Zoho accepts until it expires or is taken back.
pub(super) struct Token {
    /// The value of `Authorization`; never printed.
    pub(super) header: HeaderValue,
    /// The server it is meant for.
    pub(super) api: Url,
    /// From here on a new one is fetched while this one still serves.
    renew: Instant,
    /// From here on it does not serve.
    expires: Instant,
}

/// Hands out the current token and has it renewed.
#[derive(Clone)]
pub(super) struct Tokens(Arc<Mint>);

struct Mint {
    http: Client,
    servers: Arc<Servers>,
    credentials: Credentials,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// Closes when the refresh in flight has ended, however it ended.
    flight: Option<watch::Receiver<()>>,
    /// The last failure, until a token comes.
    stop: Option<Stop>,
    failures: u32,
    /// Fresh tokens that were refused since one was taken.
    unaccepted: u32,
    mints: Mints,
}

/// Why there is no token, and until when none is asked for.
struct Stop {
    why: Why,
    until: Instant,
}

enum Why {
    /// The credentials are wrong or revoked.
    Refused(Code),
    /// Too many tokens were asked for; asking again makes it longer.
    Throttled,
    Trouble(Problem),
}

enum Step {
    Have(Arc<Token>),
    Wait(watch::Receiver<()>),
}

impl Tokens {
    pub(super) fn new(
        http: Client,
        servers: Arc<Servers>,
        credentials: Credentials,
        timeout: Duration,
    ) -> Self {
        Self(Arc::new(Mint {
            http,
            servers,
            credentials,
            timeout,
            state: Mutex::default(),
        }))
    }

    /// The same for clones, different for others.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// What it was made with.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The same for somebody else.
    pub(super) fn of(&self, credentials: Credentials) -> Self {
        let mint = &self.0;
        Self::new(
            mint.http.clone(),
            Arc::clone(&mint.servers),
            credentials,
            mint.timeout,
        )
    }

    /// A token that serves now. Waits for a refresh at most until `deadline`; the refresh itself
    /// goes on for whoever comes next.
    pub(super) async fn get(
        &self,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Arc<Token>, ZohoError> {
        loop {
            let mut flight = match self.step(Instant::now(), trace)? {
                Step::Have(token) => return Ok(token),
                Step::Wait(flight) => flight,
            };
            let ended = timeout_at(deadline, flight.changed()).await;
            if ended.is_err() {
                return Err(ZohoError::DeadlineExceeded);
            }
        }
    }

    /// Zoho refused this token. Another one that came in between stays.
    pub(super) fn forget(&self, refused: &Arc<Token>) {
        let mut state = lock(&self.0.state);
        if state
            .token
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, refused))
        {
            state.token = None;
        }
    }

    /// Zoho refused a token that it had just minted, so another one would not help: nobody mints for
    /// a while, longer each time.
    pub(super) fn refuse(&self, fresh: &Arc<Token>) -> ZohoError {
        self.forget(fresh);
        let now = Instant::now();
        let mut state = lock(&self.0.state);
        let growth = 4_u32.saturating_pow(state.unaccepted.min(8));
        let pause = (Duration::from_secs(2) * growth).min(Duration::from_secs(120));
        state.unaccepted = state.unaccepted.saturating_add(1);
        let stop = Stop {
            why: Why::Refused(Code::new("INVALID_TOKEN")),
            until: now + pause,
        };
        let error = stop.error(now);
        state.stop = Some(stop);
        error
    }

    /// Zoho took a token.
    pub(super) fn accept(&self) {
        lock(&self.0.state).unaccepted = 0;
    }

    /// The server that the current token is meant for.
    pub(super) fn api(&self) -> Url {
        let state = lock(&self.0.state);
        match &state.token {
            Some(token) => token.api.clone(),
            None => self.0.servers.api_for(None),
        }
    }

    /// Whether the last refresh was refused for its credentials.
    pub(super) fn refused(&self) -> bool {
        let state = lock(&self.0.state);
        matches!(
            &state.stop,
            Some(Stop {
                why: Why::Refused(_),
                ..
            })
        )
    }

    fn step(&self, now: Instant, trace: &Trace) -> Result<Step, ZohoError> {
        let mut state = lock(&self.0.state);
        let held = state.token.clone().filter(|token| now < token.expires);
        match held {
            Some(token) if now < token.renew => Ok(Step::Have(token)),
            Some(token) => {
                // It still serves: whether a refresh can begin now is nobody's problem yet.
                let _ = self.fly(&mut state, now, trace);
                Ok(Step::Have(token))
            }
            None => self.fly(&mut state, now, trace).map(Step::Wait),
        }
    }

    /// Joins the refresh in flight, or begins one.
    fn fly(
        &self,
        state: &mut State,
        now: Instant,
        trace: &Trace,
    ) -> Result<watch::Receiver<()>, ZohoError> {
        if let Some(flight) = &state.flight
            && flight.has_changed().is_ok()
        {
            return Ok(flight.clone());
        }
        if let Some(stop) = &state.stop
            && now < stop.until
        {
            return Err(stop.error(now));
        }
        state
            .mints
            .take(now)
            .map_err(|retry_after| ZohoError::Busy { retry_after })?;
        let (ends, flight) = watch::channel(());
        let (mint, span) = (Arc::clone(&self.0), trace.minting());
        // Its own task, so that it outlives the caller that happened to need it first. It ends by
        // itself: the exchange inside is bounded by the request timeout.
        tokio::spawn(async move {
            mint.refresh(span).await;
            drop(ends);
        });
        state.flight = Some(flight.clone());
        Ok(flight)
    }
}

impl Mint {
    async fn refresh(&self, span: Upstream) {
        let began = Instant::now();
        let (status, result) = match self.ask().await {
            Ok(reply) => (reply.status.as_u16(), self.read(&reply, began)),
            Err(problem) => (0, Err(Why::Trouble(problem))),
        };
        span.end(result.as_ref().map(|_| status).map_err(Why::word));
        let now = Instant::now();
        let mut state = lock(&self.state);
        match result {
            Ok(token) => {
                metrics::counter!("zoho_mcp_zoho_tokens_minted_total").increment(1);
                state.token = Some(Arc::new(token));
                state.stop = None;
                state.failures = 0;
            }
            Err(why) => {
                if matches!(why, Why::Trouble(Problem::Connect)) {
                    state.mints.give_back();
                }
                let until = now + why.pause(state.failures, getrandom::u32().unwrap_or(u32::MAX));
                state.failures = state.failures.saturating_add(1);
                let stop = Stop { why, until };
                tracing::warn!(error = %stop.error(now), "no access token from zoho");
                state.stop = Some(stop);
            }
        }
    }

    async fn ask(&self) -> Result<Reply, Problem> {
        let Ok(url) = self.servers.accounts.join("oauth/v2/token") else {
            return Err(Problem::Connect);
        };
        let request = self.http.post(url).form(&[
            ("grant_type", "refresh_token"),
            (
                "refresh_token",
                self.credentials.refresh_token.expose_secret(),
            ),
            ("client_id", &self.credentials.client_id),
            (
                "client_secret",
                self.credentials.client_secret.expose_secret(),
            ),
        ]);
        timeout(self.timeout, exchange(request, LARGEST_ANSWER))
            .await
            .unwrap_or(Err(Problem::Timeout))
    }

    /// Success is an `access_token`, whatever the status: Zoho sends errors with 200.
    fn read(&self, reply: &Reply, began: Instant) -> Result<Token, Why> {
        let status = reply.status.as_u16();
        let Ok(answer) = serde_json::from_slice::<Answer>(&reply.body) else {
            return Err(Why::Trouble(match status {
                200..300 => Problem::Unreadable,
                _ => Problem::Status(status),
            }));
        };
        let Some(secret) = &answer.access_token else {
            return Err(why(answer.error.as_deref().unwrap_or(""), status));
        };
        let Ok(mut header) =
            HeaderValue::try_from(format!("Zoho-oauthtoken {}", secret.expose_secret()))
        else {
            return Err(Why::Trouble(Problem::Unreadable));
        };
        header.set_sensitive(true);
        let life = answer.life();
        Ok(Token {
            header,
            api: self.servers.api_for(answer.api_domain.as_deref()),
            renew: began + life - RENEW_BEFORE.min(life / 4),
            expires: began + life - STOP_BEFORE.min(life / 10),
        })
    }
}

fn why(error: &str, status: u16) -> Why {
    let permanent = error.starts_with("invalid_") || error == "unauthorized_client";
    match error {
        _ if permanent => Why::Refused(Code::new(error)),
        "Access Denied" => Why::Throttled,
        _ if status == 429 => Why::Throttled,
        _ if (200..300).contains(&status) => Why::Trouble(Problem::Unreadable),
        _ => Why::Trouble(Problem::Status(status)),
    }
}

impl Why {
    const fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "credentials_refused",
            Self::Throttled => "throttled",
            Self::Trouble(problem) => word(*problem),
        }
    }

    /// How long nobody asks again after `failures` earlier failures in a row.
    fn pause(&self, failures: u32, random: u32) -> Duration {
        match self {
            Self::Refused(_) => Duration::from_secs(60),
            Self::Throttled => {
                let spread = f64::from(random) / f64::from(u32::MAX);
                Duration::from_secs(300) + Duration::from_secs(600).mul_f64(spread)
            }
            // Nothing was minted, so asking again soon costs nothing.
            Self::Trouble(Problem::Connect) => Duration::from_millis(500),
            Self::Trouble(_) => {
                let growth = 4_u32.saturating_pow(failures.min(8));
                (Duration::from_millis(500) * growth).min(Duration::from_secs(65))
            }
        }
    }
}

impl Stop {
    fn error(&self, now: Instant) -> ZohoError {
        match &self.why {
            Why::Refused(code) => ZohoError::Credentials { code: code.clone() },
            Why::Throttled => ZohoError::Busy {
                retry_after: self.until.saturating_duration_since(now),
            },
            Why::Trouble(problem) => ZohoError::Unavailable { problem: *problem },
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<SecretString>,
    api_domain: Option<String>,
    error: Option<String>,
    expires_in: Option<f64>,
    expires_in_sec: Option<f64>,
}

impl Answer {
    /// Old servers say `expires_in_sec`, and milliseconds in `expires_in`.
    fn life(&self) -> Duration {
        let seconds = self.expires_in_sec.or(self.expires_in).unwrap_or(3600.0);
        Duration::from_secs_f64(seconds.clamp(1.0, 3600.0))
    }
}

const RENEW_BEFORE: Duration = Duration::from_secs(60);
const STOP_BEFORE: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 64 * 1024;

#[cfg(test)]
mod tests;

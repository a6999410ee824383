//! The connection to one Zoho organisation, and the view of it that a call works through.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::SignedDuration;
use reqwest::Client;
use secrecy::SecretString;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};

use super::{
    RecordId, ZohoError,
    breaker::Breaker,
    data_center::Servers,
    flights::Flights,
    http::{HttpSetup, exchange, http_client},
    kept::Kept,
    org::Org,
    people::People,
    pulse::Pulse,
    retry::Budget,
    scope::Scope,
    spent::Spent,
    tally::Tally,
    token::Tokens,
    users::User,
};
use crate::{
    setting::{SecretRef, Span},
    telemetry::Trace,
};

/// `[zoho]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of Zoho's data centres holds the organisation.
    pub data_center: DataCenter,
    /// Client id, client secret and refresh token, as a JSON object.
    pub credentials: Option<SecretRef>,
    /// Refresh tokens of people, as a JSON object, for clients with `visibility = "user_token"`.
    pub user_credentials: Option<SecretRef>,
    /// Whether identical reads at the same time are one request.
    pub coalesce: bool,
    /// Requests in flight, at most.
    pub concurrency: std::num::NonZeroU32,
    /// Instead of the data centre's own: for a sandbox.
    pub accounts_url: Option<String>,
    /// Instead of the data centre's own: for a sandbox.
    pub api_url: Option<String>,
    /// Time to open a connection.
    pub connect_timeout: Span,
    /// Time for one request to Zoho, its body included.
    pub request_timeout: Span,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Which key is no address.
    pub fn check(&self) -> Result<(), BadConfig> {
        Servers::new(self).map(|_| ())
    }
}

/// Where Zoho keeps an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataCenter {
    Us,
    Eu,
    In,
    Au,
    Jp,
    Ca,
    Cn,
    Sa,
    Uk,
}

/// What the daemon proves itself with: the JSON object that `[zoho] credentials` refers to.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
    pub refresh_token: SecretString,
}

/// The connection to one organisation. Cheap to clone.
#[derive(Clone)]
pub struct Zoho {
    pub(super) inner: Arc<Inner>,
}

/// What all calls share.
pub(super) struct Inner {
    pub(super) http: Client,
    pub(super) tokens: Tokens,
    /// Requests that the organisation may have in progress.
    pub(super) seats: Semaphore,
    /// The same for queries, of which Zoho runs fewer at once.
    pub(super) query_seats: Semaphore,
    pub(super) breaker: Breaker,
    pub(super) spent: Spent,
    pub(super) flights: Flights,
    pub(super) budget: Budget,
    pub(super) pulse: Pulse,
    /// Whether requests are refused because Zoho does not answer.
    open: watch::Sender<bool>,
    pub(super) org: Kept<Org>,
    pub(super) users: Kept<Vec<User>>,
    pub(super) people: People,
    pub(super) request_timeout: Duration,
}

/// The CRM as one caller may see it, during one call; counts the credits that the call spends.
pub struct Crm {
    pub(super) zoho: Arc<Inner>,
    pub(super) deadline: Instant,
    pub(super) tally: Tally,
    /// Records that this call was shown to see, by module.
    pub(super) seen: Mutex<HashSet<(&'static str, RecordId)>>,
    pub(super) trace: Trace,
    scope: Scope,
}

/// A page of a list: 1-based, at most 200 rows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub number: u32,
    pub size: u32,
}

/// One page of rows, and whether there are more after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

/// What is known of Zoho's health, from the traffic itself and from [`Zoho::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// Of the last answer.
    pub latency: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    /// Not reachable, or answers with server errors.
    Down,
    /// Refuses our credentials: an operator has to act.
    CredentialsRefused,
}

impl Zoho {
    /// Builds the client; opens no connection yet.
    pub fn new(config: &Config, credentials: Credentials) -> Result<Self, BadConfig> {
        let servers = Arc::new(Servers::new(config)?);
        let concurrency = config.concurrency.get().min(MOST_SEATS) as usize;
        let request_timeout = config.request_timeout.duration();
        let http = http_client(&HttpSetup {
            connect_timeout: config.connect_timeout.duration(),
            idle: concurrency,
            https_only: !servers.any_plain(),
            authorities: !servers.plain(),
        })?;
        let now = Instant::now();
        Ok(Self {
            inner: Arc::new(Inner {
                tokens: Tokens::new(http.clone(), servers, credentials, request_timeout),
                http,
                seats: Semaphore::new(concurrency),
                query_seats: Semaphore::new(concurrency.min(10).saturating_sub(2).max(1)),
                breaker: Breaker::default(),
                spent: Spent::default(),
                flights: Flights::new(config.coalesce),
                budget: Budget::new(now),
                pulse: Pulse::default(),
                open: watch::Sender::new(false),
                org: Kept::new(now, ORG_AGE),
                users: Kept::new(now, USERS_AGE),
                people: People::default(),
                request_timeout,
            }),
        })
    }

    /// The CRM within `scope` until `deadline`.
    pub fn view(&self, scope: &Scope, deadline: Instant) -> Crm {
        Crm {
            zoho: Arc::clone(&self.inner),
            deadline,
            tally: Tally::default(),
            seen: Mutex::default(),
            trace: Trace::default(),
            scope: scope.clone(),
        }
    }

    /// What was last known; costs nothing. Before the first answer, nothing speaks against Zoho.
    pub fn status(&self) -> Status {
        self.inner.pulse.status(self.inner.tokens.refused())
    }

    /// Whether requests are refused because Zoho does not answer, and each change of that.
    pub fn breaker(&self) -> watch::Receiver<bool> {
        self.inner.open.subscribe()
    }

    /// Asks Zoho for an answer without a token, which costs no credits, unless real traffic
    /// answered within the last `fresh`.
    pub async fn probe(&self, fresh: Duration) -> Status {
        let inner = &*self.inner;
        if inner.tokens.refused() {
            // At most once a minute this asks again, so that mended credentials are noticed.
            let _ = self.sign_in().await;
        }
        if !inner.pulse.answered_within(fresh, Instant::now()) {
            self.knock().await;
        }
        self.status()
    }

    /// Proves credentials by getting an access token (`check --online`).
    pub async fn sign_in(&self) -> Result<(), ZohoError> {
        let deadline = Instant::now() + self.inner.request_timeout;
        let nobodys = Trace::default();
        self.inner.tokens.get(deadline, &nobodys).await.map(drop)
    }

    /// Without a token Zoho answers 401, which proves that it is there.
    async fn knock(&self) {
        let inner = &*self.inner;
        let Ok(url) = inner.tokens.api().join("crm/v8/org") else {
            return;
        };
        let began = Instant::now();
        let answer = exchange(inner.http.get(url), LARGEST_KNOCK);
        match timeout(inner.request_timeout, answer).await {
            Ok(Ok(reply)) if reply.status.as_u16() < 500 => inner.answered(began.elapsed()),
            _ => inner.pulse.silent(began.elapsed()),
        }
    }
}

impl Inner {
    /// Zoho answered, well or not, but not with a server error.
    pub(super) fn answered(&self, latency: Duration) {
        self.pulse.answered(latency, Instant::now());
        if self.breaker.success() == super::breaker::Change::Closed {
            metrics::gauge!("zoho_mcp_zoho_breaker_open").set(0);
            self.open.send_replace(false);
            tracing::info!("zoho answers again");
        }
    }

    /// Zoho did not answer, or with a server error.
    pub(super) fn silent(&self, latency: Duration) {
        self.pulse.silent(latency);
        if self.breaker.failure(Instant::now()) == super::breaker::Change::Opened {
            metrics::gauge!("zoho_mcp_zoho_breaker_open").set(1);
            self.open.send_replace(true);
            tracing::warn!("zoho does not answer: requests are refused until it does");
        }
    }
}

impl Crm {
    /// The same, with the trace that its requests are part of. Zoho is told nothing of it: the ids
    /// of callers stay inside.
    #[must_use]
    pub fn within(self, trace: Trace) -> Self {
        Self { trace, ..self }
    }

    /// Credits spent so far.
    pub fn credits(&self) -> u32 {
        self.tally.credits()
    }

    /// What was asked of Zoho, as it goes on.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// How far Zoho's clock was ahead of ours when it last answered, to the second.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.zoho.pulse.ahead()
    }

    /// Which rows are visible through it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Why `[zoho]` is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("{key} is not an https URL (or http on this machine) without path, query or user")]
    Url { key: &'static str },
    #[error("the http client could not be built")]
    Client(#[source] reqwest::Error),
}

/// More than any edition of Zoho allows.
const MOST_SEATS: u32 = 256;
const LARGEST_KNOCK: usize = 256 * 1024;
const ORG_AGE: Duration = Duration::from_secs(3600);
/// Who moves to another manager sees other records within this time.
const USERS_AGE: Duration = Duration::from_secs(600);

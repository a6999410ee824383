//! The connection to one Zoho organisation, and the view of it that a call works through.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use tokio::{sync::watch, time::Instant};

use super::{
    Purse, RecordId, ZohoError,
    allowance::Allowance,
    breaker::{Breaker, Change},
    config::{BadConfig, Config, Credentials, Sharing},
    data_center::Servers,
    fields::Described,
    flights::Flights,
    http::{HttpSetup, http_client},
    kept::Kept,
    org::Org,
    people::People,
    pulse::Pulse,
    retry::Budget,
    scope::Scope,
    silence::Silence,
    tally::Tally,
    token::{Roster, Tokens},
    users::User,
};
use crate::telemetry::Trace;

/// The connection to one organisation. Cheap to clone.
#[derive(Clone)]
pub struct Zoho {
    pub(super) inner: Arc<Inner>,
}

/// What all calls share.
pub(super) struct Inner {
    pub(super) http: Client,
    pub(super) roster: Roster,
    pub(super) allowance: Allowance,
    pub(super) breaker: Breaker,
    pub(super) flights: Flights,
    pub(super) budget: Budget,
    pub(super) pulse: Pulse,
    pub(super) silence: Silence,
    /// Whether the last knock was in vain.
    pub(super) away: AtomicBool,
    /// Whether requests are refused because Zoho does not answer.
    open: watch::Sender<bool>,
    pub(super) org: Kept<Org>,
    pub(super) users: Kept<Vec<User>>,
    pub(super) fields: Described,
    pub(super) people: People,
    pub(super) request_timeout: Duration,
    pub(super) max_wait: Duration,
}

/// The CRM as one caller may see it, during one call; counts the credits that the call spends.
pub struct Crm {
    pub(super) zoho: Arc<Inner>,
    pub(super) deadline: Instant,
    pub(super) tally: Tally,
    /// Records that this call was shown to see, by module.
    pub(super) seen: Mutex<HashSet<(&'static str, RecordId)>>,
    pub(super) trace: Trace,
    pub(super) spender: Spender,
    scope: Scope,
}

/// Who spends credits, and whether on a write.
#[derive(Clone, Debug, Default)]
pub struct Spender {
    /// The client; empty for what no client asked for.
    pub client: Arc<str>,
    /// Whether what is asked is part of a write.
    pub write: bool,
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
    /// Where it goes on, in lists of which Zoho names the place.
    pub index: Option<String>,
}

/// What is known of Zoho's health, from the traffic itself and from [`Zoho::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// Of the last answer.
    pub latency: Duration,
    /// When credits come back, where Zoho has said so.
    pub back: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    /// Not reachable, or answers with server errors.
    Down,
    /// Refuses our credentials: an operator has to act.
    CredentialsRefused,
    /// Gives access tokens, but its API does not take them: an operator has to act.
    TokenRefused,
    /// Gives no access token for a while, because too many were asked for.
    TokenThrottled,
    /// Gives no access token for a while, because its accounts server fails.
    NoToken,
    /// The organisation has no credits left for reads, until some come back.
    CreditsSpent,
}

impl Zoho {
    /// Builds the client; opens no connection yet.
    ///
    /// # Errors
    /// Which key cannot be used.
    pub fn new(config: &Config, credentials: Credentials) -> Result<Self, BadConfig> {
        Self::build(config, credentials, None)
    }

    /// The same for one of several instances.
    ///
    /// # Errors
    /// As [`Zoho::new`].
    pub fn shared(
        config: &Config,
        credentials: Credentials,
        sharing: &Sharing,
    ) -> Result<Self, BadConfig> {
        Self::build(config, credentials, Some(sharing))
    }

    fn build(
        config: &Config,
        credentials: Credentials,
        sharing: Option<&Sharing>,
    ) -> Result<Self, BadConfig> {
        let servers = Arc::new(Servers::new(config)?);
        let request_timeout = config.request_timeout.duration();
        let http = http_client(&HttpSetup {
            connect_timeout: config.connect_timeout.duration(),
            idle: config.concurrency.get().min(MOST_IDLE) as usize,
            https_only: !servers.any_plain(),
            authorities: !servers.plain(),
        })?;
        let now = Instant::now();
        let tokens = Tokens::new(http.clone(), servers, credentials, request_timeout, sharing)?;
        Ok(Self {
            inner: Arc::new(Inner {
                roster: Roster::new(tokens),
                http,
                allowance: Allowance::new(config, sharing, request_timeout),
                breaker: Breaker::default(),
                flights: Flights::new(config.coalesce),
                budget: Budget::new(now),
                pulse: Pulse::default(),
                silence: Silence::new(now),
                away: AtomicBool::new(false),
                open: watch::Sender::new(false),
                org: Kept::new(now, ORG_AGE),
                users: Kept::new(now, USERS_AGE),
                fields: Described::new(now),
                people: People::default(),
                request_timeout,
                max_wait: config.max_wait.duration(),
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
            spender: Spender::default(),
            scope: scope.clone(),
        }
    }

    /// What was last known; costs nothing. Before the first answer, nothing speaks against Zoho.
    pub fn status(&self) -> Status {
        let inner = &*self.inner;
        let (tokens, now) = (inner.tokens(), Instant::now());
        let status = inner.pulse.status(match () {
            () if tokens.refused_for_good() => Some(State::CredentialsRefused),
            () if tokens.refused() => Some(State::TokenRefused),
            () if tokens.throttled(now) => Some(State::TokenThrottled),
            () if tokens.missing_since(now).is_some() => Some(State::NoToken),
            () if inner.allowance.is_spent() => Some(State::CreditsSpent),
            () => None,
        });
        let is_spent = status.state == State::CreditsSpent;
        let paused = inner.allowance.paused().filter(|_| is_spent);
        Status {
            back: paused.and_then(|left| Timestamp::now().checked_add(left).ok()),
            ..status
        }
    }

    /// How long a further call would wait for Zoho, if that is too long.
    pub fn overload(&self) -> Option<Duration> {
        let wait = self.inner.allowance.wait();
        (wait > self.inner.max_wait).then_some(wait)
    }

    /// Whether requests are refused because Zoho does not answer, and each change of that.
    pub fn breaker(&self) -> watch::Receiver<bool> {
        self.inner.opening()
    }

    /// Asks Zoho for an answer without a token, which costs no credits, unless real traffic
    /// answered within the last `fresh`.
    pub async fn probe(&self, fresh: Duration) -> Status {
        let inner = &*self.inner;
        if inner.tokens().refused() {
            // Notices what another instance or a reload has mended; Zoho is not asked again with
            // credentials that it refused.
            let _ = self.sign_in().await;
        }
        if !inner.pulse.answered_within(fresh, Instant::now()) {
            inner.knock().await;
        }
        let status = self.status();
        if status.state == State::Ok {
            inner.allowance.say_over();
        }
        status
    }

    /// Sets the metrics that are looked up, not counted.
    pub fn measure(&self) {
        let allowance = &self.inner.allowance;
        metrics::gauge!("zoho_mcp_zoho_credits_spent").set(allowance.spent());
        metrics::gauge!("zoho_mcp_zoho_credits_remaining").set(allowance.remaining());
        metrics::gauge!("zoho_mcp_zoho_in_flight").set(allowance.in_flight());
        metrics::gauge!("zoho_mcp_zoho_waiting").set(allowance.waiting());
        for purse in Purse::ALL {
            // So that there is a zero to count from.
            metrics::counter!("zoho_mcp_zoho_budget_refusals_total", "whose" => purse.name())
                .increment(0);
        }
    }

    /// Proves credentials by getting an access token (`check --online`).
    pub async fn sign_in(&self) -> Result<(), ZohoError> {
        let deadline = Instant::now() + self.inner.request_timeout;
        let nobodys = Trace::default();
        self.inner.tokens().get(deadline, &nobodys).await.map(drop)
    }

    /// Takes other credentials for the daemon's own, and says whether they are others. With `again`
    /// Zoho may be asked once more with those that it refused, people's too.
    pub async fn replace_credentials(&self, credentials: Credentials, again: bool) -> bool {
        let is_other = !self.inner.tokens().credentials().is(&credentials);
        if is_other {
            let _turn = self.inner.roster.change();
            self.inner.roster.replace_own(credentials);
            self.inner.flights.outdate();
            self.renew_people();
        }
        if again {
            self.inner.roster.forgive().await;
        }
        is_other
    }
}

impl Inner {
    /// The daemon's own.
    pub(super) fn tokens(&self) -> Tokens {
        self.roster.own()
    }

    /// Whether requests are refused because Zoho does not answer, and each change of that.
    pub(super) fn opening(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// Zoho answered, well or not, but not with a server error.
    pub(super) fn answered(&self, latency: Duration) {
        self.pulse.answered(latency, Instant::now());
        if self.breaker.success() == Change::Closed {
            metrics::gauge!("zoho_mcp_zoho_breaker_open").set(0);
            self.open.send_replace(false);
            tracing::info!("zoho answers again");
        }
    }

    /// Zoho did not answer, or with a server error.
    pub(super) fn silent(&self, latency: Duration) {
        self.pulse.silent(latency);
        self.opened(self.breaker.failure(Instant::now()));
    }

    /// Requests are refused from now on, if they were not.
    pub(super) fn opened(&self, change: Change) {
        if change == Change::Opened {
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

    /// The same at the expense of `spender`.
    #[must_use]
    pub fn spent_by(self, spender: Spender) -> Self {
        Self { spender, ..self }
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

    /// How many writes this daemon has made, and changes of whom it asks as: what was read under
    /// another number may be true no more.
    pub fn epoch(&self) -> u64 {
        self.zoho.flights.epoch()
    }

    /// Which rows are visible through it.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// More than any edition of Zoho takes at once.
const MOST_IDLE: u32 = 256;
const ORG_AGE: Duration = Duration::from_secs(3600);
/// Who moves to another manager sees other records within this time.
const USERS_AGE: Duration = Duration::from_secs(600);

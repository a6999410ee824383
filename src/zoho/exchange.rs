//! One request to Zoho, with everything that may have to happen around it: a token, a place, its
//! price, another try.

mod doubt;
mod timely;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Body;
use serde::Serialize;
use tokio::time::{Duration, Instant, sleep, timeout_at};

use self::{doubt::Doubts, timely::Timely};
use super::{
    Crm, Page, Problem, ZohoError,
    allowance::{Place, Want},
    answer::{Fault, broken, judge},
    coql::Select,
    http::{Reply, exchange},
    refused,
    retry::{Effect, passes, pause},
    scope::Scoped,
    tally,
    token::{Kind, Token, Tokens},
};

/// A request, apart from who asks and when.
#[derive(Clone)]
pub(super) struct Ask {
    method: Method,
    /// For the log: the path without ids.
    route: &'static str,
    /// Path and query below the version.
    target: String,
    body: Option<Bytes>,
    credits: u32,
    effect: Effect,
    pub(super) query: bool,
    /// Not worth another try.
    once: bool,
    /// Sent as `If-Unmodified-Since`.
    unmodified_since: Option<Box<str>>,
}

impl Ask {
    /// A `GET`; `path` is made of our own names and record ids.
    pub(super) fn get(route: &'static str, path: &str) -> Self {
        Self {
            method: Method::GET,
            route,
            target: path.to_owned(),
            body: None,
            credits: 1,
            effect: Effect::Read,
            query: false,
            once: false,
            unmodified_since: None,
        }
    }

    /// The same, tried once.
    #[must_use]
    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// All that Zoho hears of it.
    pub(super) fn question(&self) -> Box<[u8]> {
        let body = self.body.as_deref().unwrap_or_default();
        [self.target.as_bytes(), b"\n", body].concat().into()
    }

    fn kind(&self) -> Kind {
        (tally::name(&self.method), self.route)
    }

    /// Whether it changes nothing.
    pub(super) fn is_read(&self) -> bool {
        self.effect == Effect::Read
    }

    /// A `POST` that changes the CRM.
    pub(super) fn write(route: &'static str, body: &impl Serialize) -> Result<Self, ZohoError> {
        Ok(Self {
            method: Method::POST,
            body: Some(json(body)?),
            effect: Effect::Write,
            ..Self::get(route, route)
        })
    }

    /// A `PUT` of a record, refused if it was changed after `since`.
    pub(super) fn change(
        route: &'static str,
        path: &str,
        body: &impl Serialize,
        since: Option<&str>,
    ) -> Result<Self, ZohoError> {
        Ok(Self {
            method: Method::PUT,
            body: Some(json(body)?),
            effect: Effect::Write,
            unmodified_since: since.map(Into::into),
            ..Self::get(route, path)
        })
    }

    /// A query.
    pub(super) fn coql(select: &Select) -> Result<Self, ZohoError> {
        #[derive(Serialize)]
        struct Body {
            select_query: String,
        }
        let select_query = select.render()?;
        Ok(Self {
            method: Method::POST,
            body: Some(json(&Body { select_query })?),
            credits: select.credits(),
            query: true,
            ..Self::get("coql", "coql")
        })
    }

    /// Adds a parameter.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.target
            .push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        self.target.push('=');
        self.target.extend(utf8_percent_encode(value, &RESERVED));
        self
    }

    /// Adds a page; Zoho gives the first 2000 records this way.
    pub(super) fn page(self, page: Page) -> Result<Self, ZohoError> {
        let (number, size) = (page.number, page.size);
        let last = u64::from(number) * u64::from(size);
        if number == 0 || size == 0 || size > MOST_ROWS || last > LAST_ROW {
            return Err(refused("page"));
        }
        Ok(self
            .with("page", &number.to_string())
            .with("per_page", &size.to_string()))
    }
}

fn json(body: &impl Serialize) -> Result<Bytes, ZohoError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|_| refused("body"))
}

impl Crm {
    /// Sends a request, again if that is safe and of use, and answers what came back.
    pub(super) async fn send(&self, scoped: &Scoped) -> Result<Reply, ZohoError> {
        let (ask, tokens) = (&scoped.ask, &scoped.tokens);
        self.zoho.budget.earn();
        let (mut retries, mut doubts) = (0, Doubts::default());
        loop {
            let (error, sent) = match self.attempt(ask, tokens).await {
                Ok(reply) => return Ok(reply),
                // The request was not executed, so this is safe for writes too.
                Err(Broke::Token(token)) => {
                    match self.doubt(ask, &token, tokens, &mut doubts).await {
                        Some(error) => (error, true),
                        None => continue,
                    }
                }
                Err(Broke::Failed(error)) => (error, true),
                Err(Broke::Unsent(error)) => (error, false),
            };
            self.zoho.allowance.say(&error);
            let Some(wait) = self.pause(ask, &error, retries) else {
                if sent {
                    report(ask, &error, retries);
                }
                return Err(scoped.telling(telling(error)));
            };
            sleep(wait).await;
            retries += 1;
        }
    }

    /// How long to wait before another try, if there is one in the budget and in the time left.
    fn pause(&self, ask: &Ask, error: &ZohoError, retries: u32) -> Option<Duration> {
        if ask.once {
            return None;
        }
        let random = getrandom::u32().unwrap_or(u32::MAX);
        let wait = pause(ask.effect, error, retries, random)?;
        let now = Instant::now();
        (now + wait < self.deadline && self.zoho.budget.spend(now)).then_some(wait)
    }

    async fn attempt(&self, ask: &Ask, tokens: &Tokens) -> Result<Reply, Broke> {
        let zoho = &*self.zoho;
        let token = self.token(ask, tokens).await.map_err(Broke::Unsent)?;
        let _place = self.place(ask).await.map_err(Broke::Unsent)?;
        let began = Instant::now();
        self.admits(began).map_err(Broke::Unsent)?;
        let sent = self.tally.sent(&ask.method, ask.route, ask.credits);
        let span = self.trace.upstream(tally::name(&ask.method), ask.route);
        let limit = self.deadline.min(began + zoho.request_timeout);
        let request = self.request(ask, &token, limit);
        let request = match span.traceparent() {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        };
        let answer = timeout_at(limit, exchange(request, LARGEST_BODY)).await;
        let latency = began.elapsed();
        self.tally.ended(&sent, outcome(&answer));
        span.end(outcome(&answer).map_err(Problem::name));
        if let Ok(Ok(reply)) = &answer {
            self.overhear(reply);
        }
        let result = match answer {
            Ok(Ok(reply)) => match judge(ask.effect, &reply) {
                Ok(()) => Ok(reply),
                Err(Fault::TokenRefused) => Err(Broke::Token(Arc::clone(&token))),
                Err(Fault::Failed(error)) => Err(Broke::Failed(error)),
            },
            Ok(Err(problem)) => Err(Broke::Failed(broken(ask.effect, problem))),
            Err(_) if ask.effect == Effect::Read && limit == self.deadline => {
                // A caller in a hurry proves nothing about Zoho, a patient one does.
                if latency >= zoho.request_timeout / 2 {
                    zoho.silent(latency);
                }
                return Err(Broke::Failed(ZohoError::DeadlineExceeded));
            }
            Err(_) => Err(Broke::Failed(broken(ask.effect, Problem::Timeout))),
        };
        match &result {
            Err(Broke::Failed(error)) if is_silence(error) => zoho.silent(latency),
            _ => zoho.answered(latency),
        }
        match &result {
            Ok(_) => {
                tokens.accept(&token);
                token.takes(ask.kind());
                if zoho.allowance.credits_are_back(began) {
                    let zoho = Arc::clone(&self.zoho);
                    // Who waits for the answer waits for nothing else.
                    tokio::spawn(async move { zoho.allowance.tell_credits(began).await });
                }
            }
            Err(Broke::Failed(ZohoError::CreditsSpent { retry_after, .. })) => {
                zoho.allowance.credits_spent(*retry_after, began).await;
            }
            Err(_) => {}
        }
        result
    }

    /// Waits for a place among the requests in flight, and pays.
    async fn place(&self, ask: &Ask) -> Result<Place<'_>, ZohoError> {
        self.is_held(Instant::now())?;
        let want = Want {
            client: Arc::clone(&self.spender.client),
            write: self.spender.write,
            query: ask.query,
            credits: ask.credits,
        };
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        // What has been asked already would be lost with the rest.
        let patience = match self.tally.credits() {
            0 => time_left.min(self.zoho.max_wait),
            _ => time_left,
        };
        let allowance = &self.zoho.allowance;
        allowance.enter(&want, patience, self.deadline).await
    }

    /// What an answer tells beside what was asked.
    fn overhear(&self, reply: &Reply) {
        if let Some(date) = reply.date {
            self.zoho.pulse.clock(date, Timestamp::now());
        }
        if let Some(credits) = reply.remaining {
            self.zoho.allowance.heard(credits);
        }
    }

    /// Whether it is known that no request may begin, before one pays for it.
    fn is_held(&self, now: Instant) -> Result<(), ZohoError> {
        let zoho = &*self.zoho;
        match now >= self.deadline || zoho.breaker.holds(now) {
            true => self.admits(now),
            false => Ok(()),
        }
    }

    /// Whether a request may begin now.
    fn admits(&self, now: Instant) -> Result<(), ZohoError> {
        if now >= self.deadline {
            return Err(ZohoError::DeadlineExceeded);
        }
        if !self.zoho.breaker.admits(now) {
            let problem = Problem::CircuitOpen;
            return Err(ZohoError::Unavailable { problem });
        }
        Ok(())
    }

    async fn token(&self, ask: &Ask, tokens: &Tokens) -> Result<Arc<Token>, ZohoError> {
        let asked = Instant::now();
        let token = tokens.get(self.deadline, &self.trace).await;
        // Without a token no request tells of Zoho's health, so this has to. One person's tells of nobody else.
        let is_own = || tokens.identity() == self.zoho.tokens().identity();
        if token.as_ref().is_err_and(is_silence) && is_own() {
            let missing = tokens.missing_since(Instant::now());
            self.zoho.pulse.tokenless(asked.elapsed(), missing);
        }
        let token = token?;
        match token.refusal(ask.kind()) {
            Some(error) => Err(error),
            None => Ok(token),
        }
    }

    fn request(&self, ask: &Ask, token: &Token, limit: Instant) -> reqwest::RequestBuilder {
        let address = format!("{}crm/v8/{}", token.api, ask.target);
        let request = self.zoho.http.request(ask.method.clone(), address);
        let request = request.header(header::AUTHORIZATION, token.header.clone());
        let request = match &ask.unmodified_since {
            Some(since) => request.header(header::IF_UNMODIFIED_SINCE, &**since),
            None => request,
        };
        let Some(body) = ask.body.clone() else {
            return request;
        };
        let request = request.header(header::CONTENT_TYPE, "application/json");
        match ask.effect {
            Effect::Read => request.body(body),
            Effect::Write => request.body(Body::wrap(Timely::new(body, limit))),
        }
    }
}

/// What came of a request, for the record of the call.
fn outcome<E>(answer: &Result<Result<Reply, Problem>, E>) -> Result<u16, Problem> {
    match answer {
        Ok(Ok(reply)) => Ok(reply.status.as_u16()),
        Ok(Err(problem)) => Err(*problem),
        Err(_) => Err(Problem::Timeout),
    }
}

/// Why one try failed.
enum Broke {
    Token(Arc<Token>),
    Failed(ZohoError),
    /// It did not come to a request; who decided that has logged why.
    Unsent(ZohoError),
}

/// Whether an error means that Zoho itself does not answer.
fn is_silence(error: &ZohoError) -> bool {
    match error {
        ZohoError::Unavailable { problem }
        | ZohoError::NoToken { problem }
        | ZohoError::Ambiguous { problem } => passes(*problem),
        _ => false,
    }
}

/// Says once what failed, without ids, values or anything that Zoho wrote but a code.
fn report(ask: &Ask, error: &ZohoError, retries: u32) {
    if !matches!(error, ZohoError::NotFound) {
        let (method, route, attempt) = (&ask.method, ask.route, retries + 1);
        tracing::warn!(%method, route, attempt, %error, "a request to zoho failed");
    }
}

/// Who is told to come back is told when.
fn telling(error: ZohoError) -> ZohoError {
    match error {
        ZohoError::Busy { retry_after, full } => ZohoError::Busy {
            retry_after: retry_after.max(Duration::from_secs(1)),
            full,
        },
        other => other,
    }
}

/// All but what a query may hold as it is.
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const LARGEST_BODY: usize = 8 * 1024 * 1024;
const MOST_ROWS: u32 = 200;
const LAST_ROW: u64 = 2000;

//! One request to Zoho, with everything that may have to happen around it: a token, a place, its
//! price, another try.

mod ask;
mod doubt;
mod timely;

use std::sync::Arc;

use http::header;
use jiff::Timestamp;
use reqwest::Body;
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, timeout_at},
};

pub(super) use self::ask::Ask;
use self::{doubt::Doubts, timely::Timely};
use super::{
    Crm, Problem, ZohoError,
    allowance::{Place, Want},
    answer::{Fault, broken, judge},
    http::{Reply, exchange},
    retry::{Effect, passes, pause},
    scope::Scoped,
    tally,
    token::{Token, Tokens},
};

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
        let _unanswered = self.zoho.begin();
        let _place = self.place(ask).await.map_err(Broke::Unsent)?;
        let began = Instant::now();
        self.admits(began).map_err(Broke::Unsent)?;
        let limit = self.deadline.min(began + zoho.request_timeout);
        let answer = self.exchanged(ask, &token, began, limit).await;
        let latency = began.elapsed();
        let result = match answer {
            Some(Ok(reply)) => match judge(ask.effect, &reply) {
                Ok(()) => Ok(reply),
                Err(Fault::TokenRefused) => Err(Broke::Token(Arc::clone(&token))),
                Err(Fault::Failed(error)) => Err(Broke::Failed(error)),
            },
            Some(Err(problem)) => Err(Broke::Failed(broken(ask.effect, problem))),
            None if ask.effect == Effect::Read && limit == self.deadline => {
                // A caller in a hurry proves nothing about Zoho, a patient one does.
                if latency >= zoho.request_timeout / 2 {
                    zoho.silent(latency);
                }
                return Err(Broke::Failed(ZohoError::DeadlineExceeded));
            }
            None => Err(Broke::Failed(broken(ask.effect, Problem::Timeout))),
        };
        match &result {
            // What was lost in a silence that is over tells nothing of now.
            Err(Broke::Failed(error)) if is_silence(error) => {
                if !zoho.silence.has_lost(began) {
                    zoho.silent(latency);
                }
            }
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

    /// Sends it and waits for the answer, until `limit` or until it is known that none will come.
    async fn exchanged(
        &self,
        ask: &Ask,
        token: &Token,
        began: Instant,
        limit: Instant,
    ) -> Option<Result<Reply, Problem>> {
        let sent = self.tally.sent(&ask.method, ask.route, ask.credits);
        let span = self.trace.upstream(tally::name(&ask.method), ask.route);
        let request = self.request(ask, token, limit);
        let request = match span.traceparent() {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        };
        let answer = tokio::select! {
            answer = timeout_at(limit, exchange(request, LARGEST_BODY)) => answer.ok(),
            () = self.zoho.silence.loses(began) => Some(Err(Problem::Timeout)),
        };
        self.tally.ended(&sent, outcome(&answer));
        span.end(outcome(&answer).map_err(Problem::name));
        if let Some(Ok(reply)) = &answer {
            self.overhear(ask, reply, began);
        }
        answer
    }

    /// Waits for a place among the requests in flight, and pays. Whoever waits when Zoho is found not
    /// to answer waits for nothing.
    async fn place(&self, ask: &Ask) -> Result<Place<'_>, ZohoError> {
        let mut open = self.zoho.opening();
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
        tokio::select! {
            entered = allowance.enter(&want, patience, self.deadline) => entered,
            () = opens(&mut open) => Err(CIRCUIT_OPEN),
        }
    }

    /// What an answer tells beside what was asked.
    fn overhear(&self, ask: &Ask, reply: &Reply, asked: Instant) {
        let zoho = &*self.zoho;
        zoho.silence.heard(asked.elapsed(), Instant::now());
        if let Some(date) = reply.date {
            zoho.pulse.clock(date, Timestamp::now());
        }
        if let Some(credits) = reply.remaining {
            zoho.allowance.heard(credits, ask.kind());
        } else if reply.status.is_success() && zoho.allowance.heard_nothing(asked, ask.kind()) {
            let zoho = Arc::clone(&self.zoho);
            tokio::spawn(async move { zoho.allowance.tell_more(asked).await });
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
        match self.zoho.breaker.admits(now) {
            true => Ok(()),
            false => Err(CIRCUIT_OPEN),
        }
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

/// Ends when the breaker opens from now on.
async fn opens(open: &mut watch::Receiver<bool>) {
    while open.changed().await.is_ok() {
        if *open.borrow_and_update() {
            return;
        }
    }
}

/// What came of a request, for the record of the call.
fn outcome(answer: &Option<Result<Reply, Problem>>) -> Result<u16, Problem> {
    match answer {
        Some(Ok(reply)) => Ok(reply.status.as_u16()),
        Some(Err(problem)) => Err(*problem),
        None => Err(Problem::Timeout),
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

const CIRCUIT_OPEN: ZohoError = ZohoError::Unavailable {
    problem: Problem::CircuitOpen,
};
const LARGEST_BODY: usize = 8 * 1024 * 1024;

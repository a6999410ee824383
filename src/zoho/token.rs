//! The access token: one refresh in flight, whoever needs it, on whichever instance.

mod accounts;
mod denials;
mod door;
mod meeting;
mod outcome;
mod refresh;
mod rights;
mod roster;
mod seal;
mod shared;
mod standing;
mod stop;
#[cfg(test)]
mod tests;
mod trial;
mod verdict;

use std::{
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use http::HeaderValue;
use reqwest::{Client, Url};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    BadConfig, Code, Credentials, Sharing, ZohoError, data_center::Servers, lock, mints::Mints,
};
use crate::{store::Store, telemetry::Trace};
use door::Door;
use rights::Rights;
pub(super) use rights::{FieldOf, Look};
pub(super) use roster::Roster;
use shared::{Place, Shelf};
use stop::{Stop, Why};
use trial::Stale;
pub(super) use verdict::Kind;
use verdict::Verdicts;

/// A token that Zoho accepts until it expires or is taken back.
pub(super) struct Token {
    /// The value of `Authorization`; never printed.
    pub(super) header: HeaderValue,
    /// The server it is meant for.
    pub(super) api: Url,
    /// What it is in Redis, where it lies there.
    sealed: Option<Box<[u8]>>,
    /// From here on a new one is fetched while this one still serves.
    renew: Instant,
    /// From here on it does not serve.
    expires: Instant,
    /// Whether Zoho has taken it for a request.
    taken: AtomicBool,
    /// When this instance got it, and whether from Zoho: another one had, if not.
    since: Instant,
    own: bool,
    verdicts: Verdicts,
}

/// Hands out the current token and has it renewed.
#[derive(Clone)]
pub(super) struct Tokens(Arc<Mint>);

struct Mint {
    /// It is the daemon's own, and not only a person's.
    is_own: AtomicBool,
    http: Client,
    servers: Arc<Servers>,
    credentials: Credentials,
    timeout: Duration,
    shelf: Option<Arc<Shelf>>,
    /// Where the token lies for all instances, if they share it.
    place: Option<Place>,
    state: Mutex<State>,
    /// The same for all credentials with that refresh token.
    mints: Arc<Mutex<Mints>>,
    /// Looked at while it gives no token; the same for all credentials.
    door: Arc<Door>,
    /// Held by whoever settles with the others how often it may ask.
    meeting: Arc<tokio::sync::Mutex<()>>,
    /// Counts the instances, where they do not share the token.
    siblings: Option<Store>,
    rights: Rights,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    /// The token that was refused last, until there is another one in Redis.
    stale: Option<Stale>,
    /// Closes when the refresh in flight has ended, however it ended.
    flight: Option<watch::Receiver<()>>,
    /// The last failure, until a token comes.
    stop: Option<Stop>,
    /// Failures in a row, but for those that Zoho did not hear of.
    failures: u32,
    /// Zoho was seen back since the last token.
    returned: bool,
    /// It has met the trouble itself: it asked for a token since the last one, or had another's looked at.
    tried: bool,
    /// Since when there is trouble, until a token comes.
    trouble: Option<Instant>,
    /// Fresh tokens that were refused since one was taken.
    unaccepted: u32,
    /// What Zoho said of these credentials when it refused them, until a token comes: that none is asked for
    /// makes them no better.
    refused: Option<Code>,
    /// When an operator had them tried once more, until a token comes.
    forgiven: Option<Instant>,
}

enum Step {
    Have(Arc<Token>),
    Wait(watch::Receiver<()>),
}

impl Tokens {
    /// Tokens of the daemon's own; `sharing` says with whom.
    pub(super) fn new(
        http: Client,
        servers: Arc<Servers>,
        credentials: Credentials,
        timeout: Duration,
        sharing: Option<&Sharing>,
    ) -> Result<Self, BadConfig> {
        let shelf = sharing.map(Shelf::new).transpose()?.flatten();
        let place = |shelf: &Arc<Shelf>| shelf.place(&servers, &credentials, timeout);
        Ok(Self(Arc::new(Mint {
            is_own: AtomicBool::new(true),
            mints: Arc::new(Mutex::new(Mints::new(shelf.is_some()))),
            place: shelf.as_ref().map(place),
            door: Arc::new(Door::new(http.clone(), Arc::clone(&servers), timeout)),
            http,
            servers,
            credentials,
            timeout,
            shelf,
            meeting: Arc::default(),
            siblings: sharing.map(|sharing| sharing.store.clone()),
            state: Mutex::default(),
            rights: Rights::default(),
        })))
    }

    /// The same for all who have the same credentials, different for others.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// What it was made with.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.0.credentials
    }

    /// The same with credentials of which nothing is known yet, but what is counted for others with that
    /// refresh token.
    fn with(&self, credentials: Credentials, kin: Option<&Self>) -> Self {
        let mint = &self.0;
        let counted = kin.map(|kin| (Arc::clone(&kin.0.mints), Arc::clone(&kin.0.meeting)));
        let anew = || (Arc::new(Mutex::new(Mints::new(false))), Arc::default());
        let (mints, meeting) = counted.unwrap_or_else(anew);
        let place = |shelf: &Arc<Shelf>| shelf.place(&mint.servers, &credentials, mint.timeout);
        Self(Arc::new(Mint {
            is_own: AtomicBool::new(false),
            place: mint.shelf.as_ref().map(place),
            door: Arc::clone(&mint.door),
            http: mint.http.clone(),
            servers: Arc::clone(&mint.servers),
            credentials,
            timeout: mint.timeout,
            shelf: mint.shelf.clone(),
            mints,
            meeting,
            siblings: mint.siblings.clone(),
            state: Mutex::default(),
            rights: Rights::default(),
        }))
    }

    /// A token that serves now. Waits for a refresh at most until `deadline`, and for a moment of
    /// trouble to pass; the refresh itself goes on for whoever comes next.
    pub(super) async fn get(
        &self,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Arc<Token>, ZohoError> {
        let patience = deadline.min(Instant::now() + PATIENCE);
        loop {
            let mut flight = match self.step(Instant::now(), trace) {
                Ok(Step::Have(token)) => return Ok(token),
                Ok(Step::Wait(flight)) => flight,
                Err(error) => match self.passes(Instant::now(), patience) {
                    Some(next_try) => {
                        sleep_until(next_try).await;
                        continue;
                    }
                    None => return Err(error),
                },
            };
            let ended = timeout_at(deadline, flight.changed()).await;
            if ended.is_err() {
                return Err(ZohoError::DeadlineExceeded);
            }
        }
    }

    /// When to try again, where trouble is young and that is soon: nothing was asked of Zoho yet, so
    /// that it is safe for writes too. What lasts is told at once.
    fn passes(&self, now: Instant, patience: Instant) -> Option<Instant> {
        let state = lock(&self.0.state);
        let Some(stop) = &state.stop else {
            return Some(now);
        };
        let until = stop.until.filter(|_| matches!(stop.why, Why::Trouble(_)))?;
        let young = state.trouble.is_none_or(|since| now < since + LASTING);
        (young && until < patience).then_some(until)
    }

    /// Zoho refused this token: says whether it was still in use. Another one that came in between
    /// stays.
    pub(super) fn forget(&self, refused: &Arc<Token>) -> bool {
        let mut state = lock(&self.0.state);
        let held = state.holds(refused);
        if held {
            state.token = None;
            state.shun(refused, Instant::now());
        }
        held
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
            && stop.holds(now)
        {
            return Err(stop.error(now));
        }
        let (ends, flight) = watch::channel(());
        let (mint, trace) = (Arc::clone(&self.0), trace.clone());
        // Its own task, so that it outlives the caller that happened to need it first. It ends by
        // itself: the exchange and the wait for another instance's are bounded.
        tokio::spawn(async move {
            mint.refresh(&trace).await;
            mint.attend();
            drop(ends);
        });
        state.flight = Some(flight.clone());
        Ok(flight)
    }
}

impl State {
    fn holds(&self, token: &Arc<Token>) -> bool {
        let held = self.token.as_ref();
        held.is_some_and(|held| Arc::ptr_eq(held, token))
    }
}

impl Token {
    fn new(header: HeaderValue, api: Url, began: Instant, life: Duration) -> Self {
        Self {
            header,
            api,
            sealed: None,
            renew: began + life - RENEW_BEFORE.min(life / 4),
            expires: began + life - STOP_BEFORE.min(life / 10),
            taken: AtomicBool::new(false),
            since: Instant::now(),
            own: false,
            verdicts: Verdicts::default(),
        }
    }
}

/// So long that a few tries that fail are noticed by nobody.
const RENEW_BEFORE: Duration = Duration::from_secs(180);
const STOP_BEFORE: Duration = Duration::from_secs(5);
/// While another instance mints.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// For a token while there is trouble, and how young that has to be.
const PATIENCE: Duration = Duration::from_secs(2);
const LASTING: Duration = Duration::from_secs(10);
/// Until Redis is asked again about what another instance said.
const HEARD_FOR: Duration = Duration::from_secs(60);

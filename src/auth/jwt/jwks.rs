//! An issuer's key set: fetched in the background, held for as long as it may be, and looked at
//! again within a request when a token names a key that is not in it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::BytesMut;
use http::{StatusCode, header};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard, Semaphore},
    time::{Instant, sleep_until, timeout},
};

use super::{
    BadToken, Compact,
    key::{self, Key},
    strict,
};
use crate::{
    audit::{Audit, Event, Kind},
    auth::freshness::Freshness,
};

/// The keys behind one address.
pub(super) struct Jwks {
    pub(super) url: Url,
    issuer: Arc<str>,
    http: Client,
    audit: Audit,
    held: ArcSwapOption<Held>,
    /// Whoever has the turn may fetch; so there is one fetch in flight.
    turn: Arc<Mutex<Turn>>,
    /// Those who may wait for the turn and for what comes of it.
    waiting: Semaphore,
    /// The last fetch came to nothing. The next one is made in the background, and not waited for.
    is_failing: AtomicBool,
    wake: Notify,
    /// A fetch has ended.
    ended: Notify,
    freshness: Freshness,
}

/// Keys as they were fetched.
struct Held {
    keys: Arc<[Arc<Key>]>,
    fetched: Instant,
    generation: u64,
}

/// What was tried, and when.
#[derive(Default)]
struct Turn {
    /// When the last fetch ended that a request asked for, and when the last one at all did.
    asked: Option<Instant>,
    ended: Option<Instant>,
    /// Somebody asked too early since a fetch began, and is heard once it is time.
    put_off: bool,
}

impl Turn {
    /// Whether a request may ask for a fetch now. Anybody can make up a key id, so asking is rare
    /// once there are keys.
    fn may_ask(&self, now: Instant, have_keys: bool) -> bool {
        let pause = if have_keys { COOLDOWN } else { RETRY };
        self.asked
            .is_none_or(|last| now.duration_since(last) >= pause)
    }
}

impl Jwks {
    /// Keys that the issuer had at another address serve until they are fetched from this one.
    pub(super) fn new(
        url: Url,
        issuer: Arc<str>,
        http: Client,
        audit: Audit,
        before: Option<&Self>,
    ) -> Arc<Self> {
        Arc::new(Self {
            url,
            issuer,
            http,
            audit,
            held: ArcSwapOption::new(before.and_then(Self::current)),
            turn: Arc::default(),
            waiting: Semaphore::new(MAX_WAITING),
            is_failing: AtomicBool::default(),
            wake: Notify::new(),
            ended: Notify::new(),
            freshness: Freshness::default(),
        })
    }

    /// The key that signed a token, and the generation that it belongs to. A key that is not there
    /// may be new, and one of the same name that did not sign may have been replaced.
    pub(super) async fn signer(
        self: &Arc<Self>,
        token: &Compact<'_>,
    ) -> Result<(Arc<Key>, u64), BadToken> {
        let held = self.current();
        let why = match held_signer(held.as_deref(), token) {
            Ok(found) => return Ok(found),
            Err(why) => why,
        };
        // Anybody can make up a key id or a signature: few of them wait for the issuer at once.
        if self.is_failing() {
            return Err(why.without_an_answer());
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(why.lately());
        };
        let seen = held.map(|held| held.generation);
        let asking = timeout(PATIENCE, self.ask(token, seen, why));
        asking.await.unwrap_or(Err(why.without_an_answer()))
    }

    /// Waits for the turn, and has the keys fetched unless that was just done in vain. `why` is what
    /// came of the keys that were `seen` until now.
    async fn ask(
        self: &Arc<Self>,
        token: &Compact<'_>,
        seen: Option<u64>,
        why: BadToken,
    ) -> Result<(Arc<Key>, u64), BadToken> {
        let mut turn = self.turn.clone().lock_owned().await;
        // Whoever had the turn before may have fetched what is missing.
        let (mut seen, mut why) = (seen, why);
        let mut look = || {
            let held = self.current();
            let generation = held.as_ref().map(|held| held.generation);
            if std::mem::replace(&mut seen, generation) != generation {
                match held_signer(held.as_deref(), token) {
                    Ok(found) => return Ok(found),
                    Err(bad) => why = bad,
                }
            }
            Err(why)
        };
        if let Ok(found) = look() {
            return Ok(found);
        }
        if self.is_failing() {
            return look().map_err(BadToken::without_an_answer);
        }
        let have_keys = !self.keys().is_empty();
        if turn.may_ask(Instant::now(), have_keys) {
            // On its own, so that a caller who leaves cannot use up the question without its answer.
            let jwks = self.clone();
            let fetching = tokio::spawn(async move { jwks.fetch_asked(&mut turn).await });
            let _ = fetching.await;
            return look().map_err(|why| match self.is_failing() {
                true => why.without_an_answer(),
                false => why,
            });
        }
        if have_keys {
            self.put_off(&mut turn);
        }
        look().map_err(BadToken::lately)
    }

    /// Has the keys fetched as soon as that may be asked for again, whether or not another request
    /// comes: a key that is made up must not hide one that is new.
    fn put_off(self: &Arc<Self>, turn: &mut Turn) {
        let (false, Some(asked)) = (turn.put_off, turn.asked) else {
            return;
        };
        turn.put_off = true;
        let jwks = Arc::downgrade(self);
        tokio::spawn(async move {
            sleep_until(asked + COOLDOWN).await;
            let Some(jwks) = jwks.upgrade() else {
                return;
            };
            let mut turn = jwks.turn.clone().lock_owned().await;
            // Unless somebody was quicker.
            if turn.put_off && turn.asked == Some(asked) {
                jwks.fetch_asked(&mut turn).await;
            }
        });
    }

    async fn fetch_asked(&self, turn: &mut OwnedMutexGuard<Turn>) {
        self.fetch(turn).await;
        turn.asked = turn.ended;
    }

    fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    /// Those that may be used now.
    pub(super) fn keys(&self) -> Arc<[Arc<Key>]> {
        self.current()
            .map_or_else(Arc::default, |held| held.keys.clone())
    }

    /// When they were last fetched.
    pub(super) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Changes with the keys; none while there are none.
    pub(super) fn generation(&self) -> Option<u64> {
        self.current().map(|held| held.generation)
    }

    /// Fetches now, and then again and again.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        loop {
            let mut turn = self.turn.clone().lock_owned().await;
            self.fetch(&mut turn).await;
            drop(turn);
            self.rest().await;
        }
    }

    /// Returns when keys are to be fetched again: some time after the last fetch, whoever asked for
    /// that one, or when somebody wants it now.
    async fn rest(&self) {
        loop {
            let ended = self.turn.lock().await.ended;
            let pause = match (self.is_failing(), self.keys().is_empty()) {
                (false, false) => REFRESH,
                (true, false) => COOLDOWN,
                (_, true) => RETRY,
            };
            let due = ended.map_or_else(Instant::now, |ended| ended + pause);
            if due <= Instant::now() {
                return;
            }
            tokio::select! {
                () = self.wake.notified() => return,
                // What came of it decides how long this is to be.
                () = self.ended.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Has the keys fetched soon.
    pub(super) fn refresh(&self) {
        self.wake.notify_one();
    }

    /// Fetches once, for `zoho-mcp check`.
    pub(super) async fn reach(&self) -> Result<usize, FetchFailed> {
        match get(&self.http, &self.url).await?.len() {
            0 => Err(FetchFailed::NoneUsable),
            keys => Ok(keys),
        }
    }

    fn current(&self) -> Option<Arc<Held>> {
        let held = self.held.load_full();
        held.filter(|held| held.fetched.elapsed() < STALE)
    }

    async fn fetch(&self, turn: &mut OwnedMutexGuard<Turn>) {
        turn.put_off = false;
        let told = match get(&self.http, &self.url).await {
            Ok(keys) => {
                self.freshness.succeeded();
                self.take(keys, self.is_failing.swap(false, Ordering::AcqRel))
            }
            Err(error) => {
                self.freshness.failed();
                let first = !self.is_failing.swap(true, Ordering::AcqRel);
                if first {
                    tracing::warn!(issuer = &*self.issuer, %error, "could not fetch an issuer's keys");
                }
                let serving = self.current().is_some();
                first.then_some(match serving {
                    true => "jwks_unavailable_last_good_keeps_serving",
                    false => "jwks_unavailable",
                })
            }
        };
        turn.ended = Some(Instant::now());
        self.ended.notify_one();
        if let Some(told) = told {
            let event = Event {
                reason: Some(format!("{told}: {}", self.issuer).into()),
                ..Event::new(Kind::KeysReload)
            };
            self.audit.record(event).await;
        }
    }

    /// Holds what was fetched, and says what that changes.
    fn take(&self, keys: Vec<Arc<Key>>, was_failing: bool) -> Option<&'static str> {
        let before = self.held.load_full();
        let prints = |keys: &[Arc<Key>]| -> Vec<_> {
            keys.iter().map(|key| (key.id.clone(), key.print)).collect()
        };
        let same = |held: &Arc<Held>| prints(&held.keys) == prints(&keys);
        let changed = before.as_ref().is_some_and(|held| !same(held));
        let emptied = keys.is_empty() && (changed || before.is_none());
        if emptied {
            let error = FetchFailed::NoneUsable;
            tracing::warn!(issuer = &*self.issuer, %error, "an issuer's keys are gone");
        }
        let generation = before.as_ref().map_or(0, |held| held.generation);
        self.held.store(Some(Arc::new(Held {
            keys: keys.into(),
            fetched: Instant::now(),
            generation: generation + u64::from(changed),
        })));
        match (emptied, changed, was_failing) {
            (true, ..) => Some("jwks_empty"),
            (false, true, _) => Some("jwks_changed"),
            (false, false, true) => Some("jwks_available"),
            (false, false, false) => None,
        }
    }
}

fn held_signer(held: Option<&Held>, token: &Compact<'_>) -> Result<(Arc<Key>, u64), BadToken> {
    let held = held.ok_or(BadToken::KeysUnavailable)?;
    let key = key::signer(&held.keys, token, token.key_id.as_deref())?;
    Ok((key.clone(), held.generation))
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FetchFailed {
    #[error("no answer within {} s", FETCH.as_secs())]
    Slow,
    #[error("no answer")]
    Broken(#[source] reqwest::Error),
    #[error("the answer was {0}, expected 200")]
    Status(StatusCode),
    #[error("the answer is larger than 64 KiB")]
    TooLarge,
    #[error("the answer is not a JSON object with a list of keys")]
    NotKeys,
    #[error(
        "none of the keys can be used: RSA from 2048 bits, P-256, P-384 or Ed25519, for signatures"
    )]
    NoneUsable,
}

/// The keys that can be used: none, where the issuer has withdrawn them all.
async fn get(http: &Client, url: &Url) -> Result<Vec<Arc<Key>>, FetchFailed> {
    let body = timeout(FETCH, body(http, url));
    let body = body.await.map_err(|_| FetchFailed::Slow)??;
    let document = strict::object(&body).ok_or(FetchFailed::NotKeys)?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or(FetchFailed::NotKeys)?.iter();
    let keys = listed.filter_map(Value::as_object);
    Ok(keys.filter_map(Key::of_jwk).map(Arc::new).collect())
}

async fn body(http: &Client, url: &Url) -> Result<BytesMut, FetchFailed> {
    let request = http
        .get(url.clone())
        .header(header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(FetchFailed::Broken)?;
    if response.status() != StatusCode::OK {
        return Err(FetchFailed::Status(response.status()));
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchFailed::Broken)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(FetchFailed::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// For one fetch, everything included.
const FETCH: Duration = Duration::from_secs(5);
/// How long a request waits for keys, whoever fetches them.
const PATIENCE: Duration = FETCH.saturating_add(Duration::from_millis(100));
/// Requests that wait at once for the keys of one issuer. Each of them has a place among those that
/// are answered at once, which nobody may fill by making up tokens.
const MAX_WAITING: usize = 32;
/// Between fetches while all is well.
const REFRESH: Duration = Duration::from_secs(600);
/// Between fetches for key ids that nobody knows, and while the issuer does not answer.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Between fetches while there is no key at all.
const RETRY: Duration = Duration::from_secs(2);
/// How long keys may be used after the last fetch that succeeded.
const STALE: Duration = Duration::from_secs(24 * 3600);
const MAX_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;

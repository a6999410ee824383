//! An issuer's key set: fetched in the background, held for as long as it may be, and looked at
//! again within a request when a token names a key that is not in it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::BytesMut;
use http::{StatusCode, header};
use jsonwebtoken::Algorithm;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Notify, OwnedMutexGuard},
    time::{Instant, timeout},
};

use super::{BadToken, key::Key, strict};
use crate::audit::{Audit, Event, Kind};

/// The keys behind one address.
pub(super) struct Jwks {
    pub(super) url: Url,
    issuer: Arc<str>,
    http: Client,
    audit: Audit,
    held: ArcSwapOption<Held>,
    /// Whoever has the turn may fetch; so there is one fetch in flight.
    turn: Arc<Mutex<Turn>>,
    /// Fetches that have ended: who waited for one shares what came of it.
    ended: AtomicU64,
    wake: Notify,
}

/// Keys as they were fetched.
struct Held {
    keys: Vec<Arc<Key>>,
    fetched: Instant,
    generation: u64,
}

/// What was tried, and when.
#[derive(Default)]
struct Turn {
    /// When the last fetch ended that a request asked for.
    asked: Option<Instant>,
    failing: bool,
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
            ended: AtomicU64::default(),
            wake: Notify::new(),
        })
    }

    /// The key for a token, and the generation that it belongs to.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Arc<Key>, u64), BadToken> {
        if let Some(found) = self.held_key(id, algorithm) {
            return Ok(found);
        }
        let asking = timeout(PATIENCE, self.ask(id, algorithm));
        asking.await.unwrap_or(Err(BadToken::KeysUnavailable))
    }

    /// Waits for the turn, and has the keys fetched unless somebody just did in vain.
    async fn ask(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Arc<Key>, u64), BadToken> {
        let before = self.ended.load(Ordering::Acquire);
        let mut turn = self.turn.clone().lock_owned().await;
        // Whoever had the turn before may have fetched what is missing.
        if let Some(found) = self.held_key(id, algorithm) {
            return Ok(found);
        }
        let shared = turn.failing && self.ended.load(Ordering::Acquire) != before;
        let have_keys = self.current().is_some();
        if !shared && turn.may_ask(Instant::now(), have_keys) {
            // On its own, so that a caller who leaves cannot use up the question without its answer.
            let jwks = self.clone();
            let fetching = tokio::spawn(async move {
                jwks.fetch(&mut turn).await;
                turn.asked = Some(Instant::now());
            });
            let _ = fetching.await;
        }
        self.held_key(id, algorithm).ok_or(match self.current() {
            Some(_) => BadToken::UnknownKey,
            None => BadToken::KeysUnavailable,
        })
    }

    /// Whether the key is in the set now.
    pub(super) fn holds(&self, print: &[u8; 32]) -> bool {
        let held = self.current();
        held.is_some_and(|held| held.keys.iter().any(|key| key.print == *print))
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
            let pause = match (turn.failing, self.current()) {
                (false, _) => REFRESH,
                (true, Some(_)) => COOLDOWN,
                (true, None) => RETRY,
            };
            drop(turn);
            let _ = timeout(pause, self.wake.notified()).await;
        }
    }

    /// Has the keys fetched soon.
    pub(super) fn refresh(&self) {
        self.wake.notify_one();
    }

    /// Fetches once, for `zoho-mcp check`.
    pub(super) async fn reach(&self) -> Result<usize, FetchFailed> {
        get(&self.http, &self.url).await.map(|keys| keys.len())
    }

    fn current(&self) -> Option<Arc<Held>> {
        let held = self.held.load_full();
        held.filter(|held| held.fetched.elapsed() < STALE)
    }

    fn held_key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<(Arc<Key>, u64)> {
        let held = self.current()?;
        let key = choose(&held.keys, id, algorithm)?.clone();
        Some((key, held.generation))
    }

    async fn fetch(&self, turn: &mut OwnedMutexGuard<Turn>) {
        let told = match get(&self.http, &self.url).await {
            Ok(keys) => self.take(keys, std::mem::take(&mut turn.failing)),
            Err(error) => {
                let first = !std::mem::replace(&mut turn.failing, true);
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
        self.ended.fetch_add(1, Ordering::Release);
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
        let generation = before.as_ref().map_or(0, |held| held.generation);
        self.held.store(Some(Arc::new(Held {
            keys,
            fetched: Instant::now(),
            generation: generation + u64::from(changed),
        })));
        match (changed, was_failing) {
            (true, _) => Some("jwks_changed"),
            (false, true) => Some("jwks_available"),
            (false, false) => None,
        }
    }
}

/// The first key of that id which fits; without an id, the only key that fits.
fn choose<'a>(
    keys: &'a [Arc<Key>],
    id: Option<&str>,
    algorithm: Algorithm,
) -> Option<&'a Arc<Key>> {
    let mut fitting = keys.iter().filter(|key| key.fits(algorithm));
    match id {
        Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
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

async fn get(http: &Client, url: &Url) -> Result<Vec<Arc<Key>>, FetchFailed> {
    let body = timeout(FETCH, body(http, url));
    let body = body.await.map_err(|_| FetchFailed::Slow)??;
    let document = strict::object(&body).ok_or(FetchFailed::NotKeys)?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or(FetchFailed::NotKeys)?.iter();
    let keys: Vec<Arc<Key>> = listed
        .filter_map(Value::as_object)
        .filter_map(Key::of_jwk)
        .map(Arc::new)
        .collect();
    match keys.is_empty() {
        true => Err(FetchFailed::NoneUsable),
        false => Ok(keys),
    }
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
mod tests {
    use super::*;
    use serde_json::json;

    fn key(id: Option<&str>, byte: u8) -> Arc<Key> {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let x = URL_SAFE_NO_PAD.encode([byte; 32]);
        let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        if let Some(id) = id {
            jwk["kid"] = id.into();
        }
        Arc::new(Key::of_jwk(jwk.as_object().unwrap()).unwrap())
    }

    #[test]
    fn a_key_is_found_by_its_id_or_as_the_only_one() {
        let keys = [key(Some("a"), 1), key(Some("a"), 2), key(Some("b"), 3)];
        let print = |id| choose(&keys, id, Algorithm::EdDSA).map(|key| key.print);
        assert_eq!(print(Some("a")), Some(keys[0].print));
        assert_eq!(print(Some("b")), Some(keys[2].print));
        assert_eq!((print(Some("c")), print(None)), (None, None));
        let only = [key(None, 1)];
        assert!(choose(&only, None, Algorithm::EdDSA).is_some());
        assert!(choose(&only, None, Algorithm::ES256).is_none());
        assert!(choose(&only, Some("a"), Algorithm::EdDSA).is_none());
    }

    #[test]
    fn an_unknown_key_id_is_looked_for_twice_a_minute() {
        let (start, mut turn) = (Instant::now(), Turn::default());
        let asks = (0..60_000).filter(|ms| {
            let now = start + Duration::from_millis(*ms);
            let may = turn.may_ask(now, true);
            if may {
                turn.asked = Some(now);
            }
            may
        });
        assert_eq!(asks.count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_held_for_a_day_after_the_last_good_fetch() {
        let url = Url::parse("http://127.0.0.1:9/").unwrap();
        let audit = Audit::discarding(crate::audit::OnFailure::Continue);
        let http = Client::builder().build().unwrap();
        let jwks = Jwks::new(url, "issuer".into(), http, audit, None);
        assert_eq!(jwks.generation(), None);
        assert_eq!(jwks.take(vec![key(Some("a"), 1)], false), None);
        assert_eq!(
            jwks.take(vec![key(Some("a"), 1)], true),
            Some("jwks_available")
        );
        assert_eq!(jwks.generation(), Some(0));
        assert_eq!(
            jwks.take(vec![key(Some("a"), 2)], false),
            Some("jwks_changed")
        );
        assert_eq!(jwks.generation(), Some(1));
        tokio::time::advance(STALE - Duration::from_secs(1)).await;
        assert!(jwks.held_key(Some("a"), Algorithm::EdDSA).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(jwks.held_key(Some("a"), Algorithm::EdDSA).is_none());
        assert!(!jwks.holds(&key(Some("a"), 2).print));
    }
}

//! Whether the accounts server is there, looked at while it is the reason that there is no token. A
//! `GET` without credentials is no attempt: it decides nothing but when the next one is made.

use std::{
    collections::HashMap,
    mem::{replace, take},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::{
    super::{data_center::Servers, http::is_there, lock},
    Mint, Tokens,
    stop::Why,
};

/// The accounts server, as whoever shows no credentials sees it.
pub(super) struct Door {
    http: Client,
    servers: Arc<Servers>,
    timeout: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Who waits for it, by address.
    waiting: HashMap<usize, Waits>,
    /// When the last of them tries again by itself.
    until: Option<Instant>,
    /// Somebody looks.
    looked_at: bool,
    /// It did not answer last, or with a server error.
    away: bool,
}

struct Waits {
    mint: Weak<Mint>,
    /// Another instance met the trouble, maybe long ago: it is over if the server is there at all.
    told: bool,
}

impl Mint {
    /// Has the accounts server looked at, if it is why there is no token.
    pub(super) fn attend(self: &Arc<Self>) {
        let waits = |why: &Why| matches!(why, Why::Trouble(_)) && !why.is_unheard();
        let mut state = lock(&self.state);
        let stop = state.stop.as_ref().filter(|stop| waits(&stop.why));
        if let Some(until) = stop.and_then(|stop| stop.until) {
            let told = !replace(&mut state.tried, true);
            drop(state);
            self.door.wait(self, until, told);
        }
    }
}

impl Tokens {
    /// The API was away and answers again. Whoever has no token because of Zoho asks for one at
    /// once, unless the accounts server is seen to be away still. Where none was asked of this instance
    /// meanwhile, others may have had it noted in Redis.
    pub(in crate::zoho) async fn api_is_back(&self) {
        let door = &self.0.door;
        let answers = door.answers().await;
        if answers || !lock(&door.seen).away {
            door.open(true).await;
        }
        if let Some(place) = self.0.place.as_ref().filter(|_| answers) {
            place.retry().await;
        }
    }
}

impl Door {
    pub(super) fn new(http: Client, servers: Arc<Servers>, timeout: Duration) -> Self {
        Self {
            http,
            servers,
            timeout,
            seen: Mutex::default(),
        }
    }

    fn wait(self: &Arc<Self>, mint: &Arc<Mint>, until: Instant, told: bool) {
        let mut seen = lock(&self.seen);
        let who = Arc::as_ptr(mint).addr();
        let mint = Arc::downgrade(mint);
        seen.waiting.insert(who, Waits { mint, told });
        seen.until = seen.until.max(Some(until));
        if !replace(&mut seen.looked_at, true) {
            let door = Arc::clone(self);
            // It ends by itself, a while after nobody waits any more.
            tokio::spawn(async move { door.watch().await });
        }
    }

    /// Who waits need not wait any longer when the server is seen to be back. Where it comes and
    /// goes that is less and less often, so that attempts are left for when it stays.
    async fn watch(&self) {
        let (mut quiet, mut gap) = (Instant::now(), FIRST_GAP);
        while let Some(is_waited_for) = self.goes_on(Instant::now()) {
            if is_waited_for && self.look().await {
                let is_back = lock(&self.seen).away && Instant::now() >= quiet;
                if is_back {
                    (quiet, gap) = (Instant::now() + gap, (gap * GROWTH).min(LONGEST_GAP));
                }
                self.open(is_back).await;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether anybody waits; nothing once nobody has for long.
    fn goes_on(&self, now: Instant) -> Option<bool> {
        let mut seen = lock(&self.seen);
        let until = seen.until.filter(|until| now < *until + LONGEST_GAP);
        if until.is_none() {
            *seen = Seen::default();
        }
        until.map(|until| now < until)
    }

    /// Whether it is there now.
    async fn look(&self) -> bool {
        let answers = self.answers().await;
        lock(&self.seen).away |= !answers;
        answers
    }

    async fn answers(&self) -> bool {
        match self.servers.accounts.join("oauth/v2/token") {
            Ok(url) => is_there(&self.http, &url, self.timeout).await.is_some(),
            Err(_) => false,
        }
    }

    /// Lets all try again, or those that were only told of the trouble.
    async fn open(&self, all: bool) {
        let going: HashMap<_, _> = {
            let mut seen = lock(&self.seen);
            seen.away &= !all;
            let waiting = take(&mut seen.waiting).into_iter();
            let (going, staying) = waiting.partition(|(_, waits)| all || waits.told);
            seen.waiting = staying;
            if seen.waiting.is_empty() {
                seen.until = seen.until.map(|until| until.min(Instant::now()));
            }
            going
        };
        let mints = going.into_values().filter_map(|waits| waits.mint.upgrade());
        let retry = |mint| async move { Tokens(mint).retry().await };
        stream::iter(mints)
            .for_each_concurrent(AT_ONCE, retry)
            .await;
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two times that it is seen to be back. Redis keeps the same for all instances.
const FIRST_GAP: Duration = Duration::from_secs(4);
const LONGEST_GAP: Duration = Duration::from_secs(256);
const GROWTH: u32 = 4;
/// People whose tokens may be asked for again, told to Redis at a time.
const AT_ONCE: usize = 16;

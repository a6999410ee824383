//! The token that all instances use, in Redis: one of them mints it, the others wait for it. Redis
//! also knows how often it may be asked for, and why nobody asks at the moment.

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{BadConfig, Credentials, Sharing, data_center::Servers, lock},
    Mint, Token,
    accounts::{Minted, header},
    meeting::REST,
    outcome::FORGIVEN_EVERY,
    seal::{Content, Name, Sealer},
    stop::{RETURNED, Why},
};
use crate::store::{Script, Store, Unavailable};

/// Where tokens of all credentials are kept.
pub(super) struct Shelf {
    store: Store,
    sealer: Sealer,
    mint: Script,
    minted: Script,
    throttled: Script,
    denied: Script,
}

/// Where the token of one credential is kept.
pub(super) struct Place {
    shelf: Arc<Shelf>,
    /// What the refresh token is called there.
    name: String,
    /// What all of the credentials are: others may be taken where these are refused.
    all: Vec<u8>,
    /// The token, the state of minting, the slots of attempts, who is denied tokens, and since when
    /// that is kept.
    keys: [String; 5],
    /// No attempt takes longer.
    lease: Duration,
}

/// What Redis says to whoever wants a token.
pub(super) enum Turn {
    /// There is one, and this is the time by the clock of Redis.
    There(Box<[u8]>, u64),
    /// Nobody else mints now.
    Mint(Right),
    /// Somebody mints, and will have ended by then.
    Wait(Duration),
    /// Nobody asks for so long.
    Stop(Why, Duration),
}

/// What Redis says, where it may also speak of the slots.
pub(super) enum Said {
    Turn(Turn),
    /// They are these now.
    Slots(Slots),
    /// They were changed.
    Told,
}

/// The slots as Redis has them.
pub(super) struct Slots {
    pub(super) found: Vec<u8>,
    /// In milliseconds, by its clock.
    pub(super) now: u64,
    /// Redis keeps nothing for longer than a moment: the others may not have told it yet what it lost.
    pub(super) is_fresh: bool,
}

/// Other slots, in the place of those that were found.
pub(super) struct Offer {
    pub(super) found: Vec<u8>,
    pub(super) put: Vec<u8>,
}

/// The right to ask Zoho once.
pub(super) struct Right {
    attempt: Uuid,
    /// Earlier ones in a row, of all instances.
    pub(super) failures: u32,
    /// By the clock of Redis, in milliseconds, and by ours.
    given: (u64, Instant),
    /// Whether the one that is of no use lies there still.
    pub(super) replaces: bool,
}

impl Shelf {
    /// Nothing where tokens are not shared.
    pub(super) fn new(sharing: &Sharing) -> Result<Option<Arc<Self>>, BadConfig> {
        let Some(key) = &sharing.token_key else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Self {
            store: sharing.store.clone(),
            sealer: Sealer::new(key)?,
            mint: Script::new(concat!(
                include_str!("script/denials.lua"),
                include_str!("script/mint.lua")
            )),
            minted: Script::new(concat!(
                include_str!("script/denials.lua"),
                include_str!("script/minted.lua")
            )),
            throttled: Script::new(concat!(
                include_str!("script/denials.lua"),
                include_str!("script/throttled.lua")
            )),
            denied: Script::new(concat!(
                include_str!("script/denials.lua"),
                include_str!("script/denied.lua")
            )),
        })))
    }

    pub(super) fn place(
        self: &Arc<Self>,
        servers: &Servers,
        credentials: &Credentials,
        timeout: Duration,
    ) -> Place {
        let name = Name::new(servers.accounts.as_str(), credentials);
        let (name, all) = (name.token.text(), name.all.text().into_bytes());
        Place {
            keys: [
                format!("{TOKEN}:{name}"),
                format!("{TOKEN}:mint:{name}"),
                format!("{TOKEN}:slots:{name}"),
                format!("{TOKEN}:denied"),
                format!("{TOKEN}:since"),
            ],
            shelf: Arc::clone(self),
            name,
            all,
            lease: timeout + MARGIN,
        }
    }
}

impl Place {
    /// Asks for a token that is not `stale`, or for the right to mint one for the attempt `want`; without
    /// one, only to have the slots changed.
    pub(super) async fn ask_turn(
        &self,
        want: Option<Uuid>,
        stale: &[u8],
        offer: Option<&Offer>,
    ) -> Result<Said, Unavailable> {
        let mut arguments = vec![
            stale.to_vec(),
            want.map_or_else(Vec::new, |attempt| attempt.as_bytes().to_vec()),
            millis(self.lease),
            millis(REST),
            self.all.clone(),
        ];
        if let Some(offer) = offer {
            arguments.extend([offer.found.clone(), offer.put.clone()]);
        }
        let asked = Instant::now();
        let (what, which, number): (String, Vec<u8>, u64) =
            self.ask(&self.shelf.mint, &arguments).await?;
        let span = Duration::from_millis(number);
        let text = || String::from_utf8_lossy(&which).into_owned();
        Ok(Said::Turn(match what.as_str() {
            "slots" | "fresh" => {
                return Ok(Said::Slots(Slots {
                    found: which,
                    now: number,
                    is_fresh: what == "fresh",
                }));
            }
            "told" => return Ok(Said::Told),
            "token" => Turn::There(which.into(), number),
            "mint" | "replace" => Turn::Mint(Right {
                attempt: want.unwrap_or_default(),
                failures: text().parse().unwrap_or(0),
                given: (number, asked),
                replaces: what == "replace",
            }),
            "wait" => Turn::Wait(span),
            _ => Turn::Stop(Why::from_text(&text()), span),
        }))
    }

    /// Gives a token to the others; what it is called there.
    pub(super) async fn share(&self, right: &Right, minted: &Minted) -> Option<Box<[u8]>> {
        let (then, at) = right.given;
        let life = whole(minted.life);
        let content = Content {
            token: minted.secret.expose_secret().to_owned(),
            api: minted.api.to_string(),
            // Zoho counts from when it minted, which was after this.
            expires: then + life,
            life,
        };
        let sealed = self.shelf.sealer.seal(&self.name, &content)?;
        let left = minted.life.saturating_sub(at.elapsed());
        let left = left.max(Duration::from_millis(1));
        let told = [b"token".to_vec(), sealed.clone(), millis(left)];
        self.settle(right, told).await;
        Some(sealed.into())
    }

    /// Tells the others not to ask for a while.
    pub(super) async fn stop(&self, right: &Right, why: &Why, pause: Option<Duration>) {
        let pause = pause.unwrap_or(REFUSED_FOR);
        let told = [b"stop".to_vec(), why.to_text().into_bytes(), millis(pause)];
        self.settle(right, told).await;
    }

    /// Tells the others that Zoho does not take the token that was minted last.
    pub(super) async fn unaccepted(&self, sealed: &[u8], pause: Duration) {
        let told = [
            Vec::new(),
            b"unaccepted".to_vec(),
            sealed.to_vec(),
            millis(pause),
        ];
        let asked: Result<i64, _> = self.ask(&self.shelf.minted, &told).await;
        // Where Redis is gone, each instance finds out by itself.
        let _ = asked;
    }

    /// Tells the others that Zoho takes that token after all: when it is taken back another one helps.
    pub(super) async fn taken(&self, sealed: &[u8]) {
        let told = [Vec::new(), b"taken".to_vec(), sealed.to_vec(), Vec::new()];
        let asked: Result<i64, _> = self.ask(&self.shelf.minted, &told).await;
        // Where Redis is gone it holds nobody back.
        let _ = asked;
    }

    /// Tells Redis for how long too many tokens were asked for, should it have lost that.
    async fn remind(&self, left: Duration) {
        let told: Result<i64, _> = self.ask(&self.shelf.throttled, &[millis(left)]).await;
        // Where Redis is gone, each instance keeps to what it knows.
        let _ = told;
    }

    /// Since when Redis keeps that, and who is denied tokens, by name, and for how many milliseconds still.
    pub(super) async fn denials(&self) -> Result<(Vec<u8>, HashMap<Vec<u8>, u64>), Unavailable> {
        self.ask(&self.shelf.denied, &[]).await
    }

    /// What these credentials are called there.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Zoho has not heard of it: it counts as no attempt.
    pub(super) async fn give_back(&self, right: &Right) {
        self.settle(right, [b"unsent".to_vec(), Vec::new(), Vec::new()])
            .await;
    }

    /// Lets everybody try again, because an operator has said so; not if that was only just now.
    pub(super) async fn forgive(&self) -> Result<bool, Unavailable> {
        let told = [Vec::new(), b"forgive".to_vec(), millis(FORGIVEN_EVERY)];
        let asked: i64 = self.ask(&self.shelf.minted, &told).await?;
        Ok(asked != 0)
    }

    /// Zoho was away and answers again: nobody waits any longer for that alone.
    pub(super) async fn retry(&self) {
        let failures = RETURNED.to_string().into_bytes();
        let told = [Vec::new(), b"retry".to_vec(), failures, Vec::new()];
        let asked: Result<i64, _> = self.ask(&self.shelf.minted, &told).await;
        // Where Redis is gone it holds nobody back.
        let _ = asked;
    }

    /// Reads what lies in Redis; `now` is by its clock. What was altered there, or is not of these
    /// credentials, is no token.
    pub(super) fn open(&self, sealed: Box<[u8]>, now: u64, servers: &Servers) -> Option<Token> {
        let content = self.shelf.sealer.open(&self.name, &sealed)?;
        let life = Duration::from_millis(content.life).min(LONGEST);
        let left = content.expires.saturating_sub(now).min(content.life);
        let used = life.saturating_sub(Duration::from_millis(left));
        let header = header(&content.token)?;
        let began = Instant::now().checked_sub(used)?;
        Some(Token {
            sealed: Some(sealed),
            ..Token::new(header, servers.api_for(Some(&content.api)), began, life)
        })
    }

    pub(super) fn store(&self) -> &Store {
        &self.shelf.store
    }

    async fn settle(&self, right: &Right, told: [Vec<u8>; 3]) {
        let [what, which, span] = told;
        let attempt = right.attempt.as_bytes().to_vec();
        let arguments = [attempt, what, which, span, self.all.clone()];
        let told: Result<i64, _> = self.ask(&self.shelf.minted, &arguments).await;
        if told.is_err() {
            tracing::warn!("what came of minting an access token could not be shared over Redis");
        }
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        arguments: &[Vec<u8>],
    ) -> Result<T, Unavailable> {
        let keys = self.keys.each_ref().map(String::as_str);
        self.shelf.store.run_script(script, &keys, arguments).await
    }
}

impl Mint {
    /// Puts back in Redis what holds all instances back.
    pub(super) async fn remind(&self) {
        let now = Instant::now();
        let left = lock(&self.state).denied(now);
        if let (Some(place), Some(left)) = (&self.place, left) {
            place.remind(left).await;
        }
    }

    /// A token that Zoho gave to this instance.
    pub(super) fn token(
        minted: &Minted,
        began: Instant,
        sealed: Option<Box<[u8]>>,
    ) -> Option<Token> {
        let header = header(minted.secret.expose_secret())?;
        Some(Token {
            sealed,
            own: true,
            ..Token::new(header, minted.api.clone(), began, minted.life)
        })
    }
}

fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn millis(span: Duration) -> Vec<u8> {
    whole(span).to_string().into_bytes()
}

const TOKEN: &str = "zm:{zoho}:token";
/// For what happens around the exchange with Zoho.
const MARGIN: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(3600);
/// Others are not held back by it, so that nothing has to be forgotten for them.
const REFUSED_FOR: Duration = Duration::from_secs(24 * 3600);

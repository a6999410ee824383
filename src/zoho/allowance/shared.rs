//! Places and ledgers that all instances share, in Redis. A place that nobody gives back, because its
//! instance has crashed, is free again when no request can take any longer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use super::{Want, ledger::Ledger};
use crate::store::{Lease, Script, Store, Unavailable};

/// Asks Redis.
pub(super) struct Shared {
    pub(super) store: Store,
    instance: Uuid,
    lease: Duration,
    /// Held while what Redis has lost is told again.
    pub(super) telling: Mutex<()>,
    /// One request of each kind looks for a place when there was none; the others wait for it.
    pub(super) looking: [Mutex<()>; 2],
    /// Places are there to be given back.
    pub(super) freed: Notify,
    /// Others may wait for them.
    pub(super) is_crowded: AtomicBool,
    pub(super) is_alone: AtomicBool,
    /// When Redis last heard of this instance, in milliseconds by its clock; 0 for never.
    heard: AtomicU64,
    enter: Script,
    tell: Script,
    pause: Script,
}

/// A request's name in Redis.
pub(super) type Id = Lease;

/// What goes with a request.
pub(super) struct Question<'a> {
    pub(super) id: &'a Id,
    pub(super) want: &'a Want,
    /// Places for all requests, and for queries.
    pub(super) places: (u32, u32),
    /// What the organisation and the client may have spent, and what has to remain.
    pub(super) bounds: (u32, u32, u32),
    /// What Zoho said last that remains, where it is news.
    pub(super) remaining: Option<u32>,
    pub(super) has_spent: bool,
    pub(super) free: &'a [Id],
}

/// What Redis says to it.
#[derive(Debug)]
pub(super) enum Answer {
    Go,
    Busy,
    OrganisationSpent(Duration),
    ClientSpent(Duration),
    NothingRemains(Duration),
    /// What remains is kept for writes.
    ReserveRemains(Duration),
    /// Zoho has refused somebody for want of credits.
    Paused(Duration),
    /// It has lost what it was told in that time.
    Forgotten(Duration),
}

/// What Redis knows of the organisation.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) spent: u32,
    /// For how long Zoho has no credits.
    pub(super) paused: Option<Duration>,
    /// In what time it has lost what the instance told it; only as it is told something.
    pub(super) lost: Option<Duration>,
}

/// What it is told of a time without credits: until when nobody asks, and when they are back; or how
/// long ago was asked what Zoho has done since.
pub(super) enum Credits {
    Spent(Duration, Duration),
    Kept(Duration, Duration),
    Over(Duration),
    /// Zoho no longer says how few are left, asked so long ago.
    More(Duration),
}

/// What an instance tells of itself.
#[derive(Default)]
pub(super) struct Told<'a> {
    pub(super) free: &'a [Id],
    pub(super) taken: &'a [(Id, bool)],
    pub(super) what: What,
}

/// How much it tells of what it has spent.
#[derive(Clone, Copy, Default)]
pub(super) enum What {
    /// What Redis does not know yet, provided that it knows the rest.
    #[default]
    Since,
    /// One ledger of all, and more to come.
    Part,
    /// All, with this.
    All,
}

impl What {
    const fn word(self) -> &'static str {
        match self {
            Self::Since => "since",
            Self::Part => "part",
            Self::All => "all",
        }
    }
}

impl Shared {
    pub(super) fn new(store: Store, lease: Duration) -> Self {
        Self {
            store,
            instance: Uuid::new_v4(),
            lease,
            telling: Mutex::default(),
            looking: [Mutex::default(), Mutex::default()],
            freed: Notify::new(),
            is_crowded: AtomicBool::new(false),
            is_alone: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            enter: Script::new(concat!(
                include_str!("script/ledger.lua"),
                include_str!("script/enter.lua")
            )),
            tell: Script::new(concat!(
                include_str!("script/ledger.lua"),
                include_str!("script/tell.lua")
            )),
            pause: Script::new(concat!(
                include_str!("script/ledger.lua"),
                include_str!("script/pause.lua")
            )),
        }
    }

    /// How many instances there are, as far as is known.
    pub(super) fn replicas(&self) -> u32 {
        self.store.replicas()
    }

    /// One round trip: a place and the credits, or what is in the way.
    pub(super) async fn enter(
        &self,
        question: &Question<'_>,
    ) -> Result<(Answer, Known), Unavailable> {
        let (org, client, floor) = question.bounds;
        let (places, queries) = question.places;
        let queries = if question.want.query { queries } else { 0 };
        let arguments = [
            question.id.to_vec(),
            self.instance.as_bytes().to_vec(),
            match question.has_spent {
                true => number(self.heard.load(Ordering::Relaxed)),
                false => Vec::new(),
            },
            millis(self.lease),
            number(u64::from(places)),
            number(u64::from(queries)),
            number(u64::from(question.want.credits)),
            number(u64::from(org)),
            number(u64::from(client)),
            number(u64::from(floor)),
            question
                .remaining
                .map_or_else(Vec::new, |left| number(u64::from(left))),
            question.free.concat(),
        ];
        let ledger = client_ledger(&question.want.client);
        let keys = [PLACES, QUERIES, INSTANCES, ORGANISATION, &ledger];
        let asked = self.store.run_script(&self.enter, &keys, &arguments);
        let (verdict, seconds, spent, taken, paused, now): (i64, u64, u32, u32, u64, u64) =
            asked.await?;
        self.is_crowded
            .store(taken.saturating_mul(2) >= places, Ordering::Relaxed);
        let wait = Duration::from_secs(seconds.max(1));
        let answer = match verdict {
            1 => Answer::Go,
            0 => Answer::Busy,
            2 => Answer::OrganisationSpent(wait),
            3 => Answer::ClientSpent(wait),
            4 => Answer::NothingRemains(wait),
            5 => Answer::ReserveRemains(wait),
            6 => Answer::Paused(wait),
            _ => Answer::Forgotten(lost(seconds)),
        };
        if verdict >= 0 {
            self.heard.store(now, Ordering::Relaxed);
        }
        let known = Known {
            spent,
            paused: span(paused),
            lost: None,
        };
        Ok((answer, known))
    }

    /// Tells what an instance did by itself; `ledger` is a client's, or the organisation's. Answers
    /// what is in it.
    pub(super) async fn tell(
        &self,
        told: &Told<'_>,
        client: Option<&Arc<str>>,
        ledger: &Ledger,
        now: Duration,
    ) -> Result<Known, Unavailable> {
        let ids = |queries_only: bool| -> Vec<u8> {
            let taken = told.taken.iter();
            let wanted = taken.filter(|(_, query)| *query || !queries_only);
            wanted.flat_map(|(id, _)| *id).collect()
        };
        let mut arguments = vec![
            self.instance.as_bytes().to_vec(),
            millis(self.lease),
            told.free.concat(),
            ids(false),
            ids(true),
            told.what.word().into(),
            number(self.heard.load(Ordering::Relaxed)),
        ];
        for (age, credits) in ledger.ages(now) {
            arguments.push(number(age));
            arguments.push(number(u64::from(credits)));
        }
        let key = client.map_or_else(|| ORGANISATION.to_owned(), client_ledger);
        let keys = [PLACES, QUERIES, INSTANCES, &key];
        let told = self.store.run_script(&self.tell, &keys, &arguments);
        let (spent, is_known, paused, now, seconds): (u32, u8, u64, u64, u64) = told.await?;
        if is_known == 1 {
            self.heard.store(now, Ordering::Relaxed);
        }
        Ok(Known {
            spent,
            paused: span(paused),
            lost: (is_known == 0).then(|| lost(seconds)),
        })
    }

    /// Tells whether Zoho has credits.
    pub(super) async fn pause(&self, credits: &Credits) -> Result<Option<Duration>, Unavailable> {
        let (what, spans) = match *credits {
            Credits::Spent(ask, back) => ("spent", vec![ask, back]),
            Credits::Kept(ask, back) => ("kept", vec![ask, back]),
            Credits::Over(ago) => ("over", vec![ago]),
            Credits::More(ago) => ("more", vec![ago]),
        };
        let mut arguments = vec![what.into()];
        arguments.extend(spans.into_iter().map(millis));
        let keys = [ORGANISATION];
        let told = self.store.run_script(&self.pause, &keys, &arguments);
        Ok(span(told.await?))
    }

    /// Says in the log when the others can be asked, and when not.
    pub(super) fn notice(&self, is_alone: bool) {
        if self.is_alone.swap(is_alone, Ordering::Relaxed) == is_alone {
            return;
        }
        match is_alone {
            true => tracing::warn!(
                replicas = self.replicas(),
                "this instance keeps to its share of zoho's limits by itself"
            ),
            false => tracing::info!("zoho's limits are kept together over Redis"),
        }
    }
}

/// A digest: whatever a client is called, it is a good name.
fn client_ledger(client: &Arc<str>) -> String {
    let digest = Sha256::digest(client.as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default());
    format!("zm:{{zoho}}:credits:client:{digest}")
}

/// All, where it was never heard of.
fn lost(seconds: u64) -> Duration {
    match seconds {
        0 => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    }
}

fn span(millis: u64) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(millis))
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}

const PLACES: &str = "zm:{zoho}:inflight";
const QUERIES: &str = "zm:{zoho}:inflight:coql";
const INSTANCES: &str = "zm:{zoho}:instances";
const ORGANISATION: &str = "zm:{zoho}:credits:org";

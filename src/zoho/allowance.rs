//! What this daemon may ask of Zoho: so many requests in flight, and so many credits in a rolling day.
//! Both belong to the organisation, so that all instances keep them together over Redis; without it
//! each keeps to its share by itself.

mod alone;
mod ledger;
mod line;
mod pause;
mod shared;
mod together;
mod usage;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use metrics::counter;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{Config, Purse, Sharing, ZohoError, config::Shares, error::Full, lock, token::Kind};
use crate::store::Leases;
use ledger::{Ledgers, Recent};
use line::Line;
use pause::Pause;
use shared::{Id, Shared};
pub use usage::Usage;

/// The organisation's places and credits.
pub(super) struct Allowance {
    places: u32,
    queries: u32,
    shares: Shares,
    /// The same for this process, where requests wait in their order.
    seats: Semaphore,
    query_seats: Semaphore,
    line: Line,
    query_line: Line,
    book: Mutex<Book>,
    left: Notify,
    shared: Option<Shared>,
    started: Instant,
    /// What the organisation has spent, as far as was heard.
    spent: AtomicU32,
    /// That Zoho's limit is another one.
    has_warned: AtomicBool,
    pause: Pause,
}

/// What this instance did.
#[derive(Default)]
struct Book {
    /// All that it spent.
    own: Ledgers,
    recent: Recent,
    /// What of it Redis was not told.
    owed: Ledgers,
    in_flight: u32,
    queries: u32,
    /// Places in Redis, and whether each is a query's.
    places: Leases<bool>,
    remaining: Option<Remaining>,
    /// The kinds of requests to which Zoho has said what remains.
    says_in: HashSet<Kind>,
}

/// What Zoho said last that remains, less what was spent since.
#[derive(Clone, Copy)]
struct Remaining {
    /// None where it said nothing, which means that more than half is left.
    credits: Option<u32>,
    /// When it said so; what it did not say is as old as the request.
    heard: Instant,
    /// When a request was let through to ask again.
    asked: Instant,
    is_news: bool,
}

/// A request that wants to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Want {
    pub(super) client: Arc<str>,
    /// Whether it is part of a write.
    pub(super) write: bool,
    /// Whether it is a query, of which Zoho runs fewer at once.
    pub(super) query: bool,
    pub(super) credits: u32,
}

/// A request in flight; over when this is dropped.
pub(super) struct Place<'a> {
    allowance: &'a Allowance,
    query: bool,
    /// Where Redis may hold it too.
    id: Option<Id>,
    is_counted: bool,
    _seats: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl Allowance {
    /// Nothing spent; a request takes `longest` at most.
    pub(super) fn new(config: &Config, sharing: Option<&Sharing>, longest: Duration) -> Self {
        let places = config.concurrency.get().min(MOST_PLACES);
        let queries = places.min(10).saturating_sub(2).max(1);
        let shared = sharing.map(|sharing| {
            let store = sharing.store.clone();
            Shared::new(store, longest + MARGIN)
        });
        Self {
            places,
            queries,
            shares: Shares::of(config),
            seats: Semaphore::new(places as usize),
            query_seats: Semaphore::new(queries as usize),
            line: Line::before(places),
            query_line: Line::before(queries),
            book: Mutex::default(),
            left: Notify::new(),
            shared,
            started: Instant::now(),
            spent: AtomicU32::new(0),
            has_warned: AtomicBool::new(false),
            pause: Pause::default(),
        }
    }

    /// Waits for a place until `deadline`, if it seems that this takes no more than `patience`, and
    /// pays.
    ///
    /// # Errors
    /// There is no place, or there are no credits: nothing may be sent.
    pub(super) async fn enter<'a>(
        &'a self,
        want: &Want,
        patience: Duration,
        deadline: Instant,
    ) -> Result<Place<'a>, ZohoError> {
        let join = |line: &'a Line| line.join(patience, Instant::now()).map_err(overloaded);
        let query = match want.query {
            true => Some((
                join(&self.query_line)?,
                seat(&self.query_seats, deadline).await?,
            )),
            false => None,
        };
        let (in_query_line, query_seat) = query.unzip();
        let in_line = join(&self.line)?;
        let mut place = Place {
            allowance: self,
            query: want.query,
            id: None,
            is_counted: false,
            _seats: (seat(&self.seats, deadline).await?, query_seat),
        };
        let entered = match &self.shared {
            None => self.enter_alone(&mut place, want, 1, deadline).await,
            Some(shared) => {
                self.enter_together(shared, &mut place, want, deadline)
                    .await
            }
        };
        if entered.is_ok() {
            let now = Instant::now();
            in_line.served(now);
            if let Some(waiter) = in_query_line {
                waiter.served(now);
            }
        }
        if let Err(ZohoError::CreditsSpent { whose, .. }) = &entered {
            counter!("zoho_mcp_zoho_budget_refusals_total", "whose" => whose.name()).increment(1);
        }
        entered.map(|()| place)
    }

    /// Zoho said how much remains.
    pub(super) fn heard(&self, credits: u32, kind: Kind) {
        let now = Instant::now();
        let daily = self.shares.daily();
        let missing = daily.saturating_sub(self.spent()).saturating_sub(credits);
        if missing > daily / 4 && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                daily_credits = daily,
                remaining = credits,
                "far fewer credits remain at zoho than zoho.daily_credits leaves: it is above the \
                 organisation's limit, or others spend them too; set it to what this daemon may spend"
            );
        }
        let mut book = lock(&self.book);
        book.says_in.insert(kind);
        book.remaining = Some(Remaining {
            credits: Some(credits),
            heard: now,
            asked: now,
            is_news: true,
        });
    }

    /// Zoho answered such a request well and said nothing of what remains, asked after it last did: if
    /// it has said so before, more than half is left. Says whether the other instances are to be told,
    /// which is now and then, since they may have heard something else meanwhile.
    pub(super) fn heard_nothing(&self, asked: Instant, kind: Kind) -> bool {
        let mut book = lock(&self.book);
        if !book.says_in.contains(&kind) {
            return false;
        }
        let is_new = |said: &Remaining| match said.credits {
            Some(_) => said.heard < asked,
            None => said.heard + AGAIN < asked,
        };
        let is_new = book.remaining.as_ref().is_some_and(is_new);
        if is_new {
            book.remaining = Some(Remaining {
                credits: None,
                heard: asked,
                asked,
                is_news: false,
            });
        }
        is_new && self.shared.is_some()
    }

    /// What the organisation has spent within a day, as far as is known.
    pub(super) fn spent(&self) -> u32 {
        let own = lock(&self.book).own.org.spent(self.now());
        match &self.shared {
            Some(_) => own.max(self.spent.load(Ordering::Relaxed)),
            None => own,
        }
    }

    /// What is left for this daemon, or for the organisation if Zoho has said that this is less.
    pub(super) fn remaining(&self) -> u32 {
        if self.paused().is_some() {
            return 0;
        }
        let left = self.shares.daily().saturating_sub(self.spent());
        let said = lock(&self.book).remaining.and_then(|said| said.credits);
        said.map_or(left, |said| said.min(left))
    }

    /// For how long Zoho has no credits, as it says itself.
    pub(super) fn paused(&self) -> Option<Duration> {
        self.pause.left(Instant::now())
    }

    /// What the log is told of a refusal, once.
    pub(super) fn say(&self, error: &ZohoError) {
        self.pause.say(error);
    }

    /// There is nothing to complain of.
    pub(super) fn say_over(&self) {
        self.pause.say_over();
    }

    /// Whether reads are refused, whoever asks: because all is spent, or all but what is kept for
    /// writes.
    pub(super) fn is_spent(&self) -> bool {
        let (most, _, floor) = self.shares.bounds(&Want::default(), 1);
        let said = lock(&self.book).remaining;
        self.paused().is_some()
            || self.spent() >= most
            || said.is_some_and(|said| said.is_below(floor, Instant::now()))
    }

    /// How long a request that comes now waits for a place.
    pub(super) fn wait(&self) -> Duration {
        self.line.wait(Instant::now())
    }

    /// Requests of this instance that wait for a place.
    pub(super) fn waiting(&self) -> u32 {
        self.line.waiting() + self.query_line.waiting()
    }

    /// Requests of this instance in flight.
    pub(super) fn in_flight(&self) -> u32 {
        lock(&self.book).in_flight
    }

    fn took(&self, place: &mut Place<'_>, want: &Want, id: Option<Id>) {
        let now = self.now();
        let mut book = lock(&self.book);
        book.in_flight += 1;
        book.queries += u32::from(want.query);
        book.own.charge(&want.client, now, want.credits);
        book.recent.charge(&want.client, now, want.credits);
        match id {
            Some(id) => book.places.take(id, want.query),
            None if self.shared.is_some() => book.owed.charge(&want.client, now, want.credits),
            None => {}
        }
        let said = book.remaining.as_mut();
        if let Some(credits) = said.and_then(|said| said.credits.as_mut()) {
            *credits = credits.saturating_sub(want.credits);
        }
        place.is_counted = true;
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut book = lock(&self.allowance.book);
        if self.is_counted {
            book.in_flight = book.in_flight.saturating_sub(1);
            book.queries = book.queries.saturating_sub(u32::from(self.query));
        }
        if let Some(id) = self.id {
            book.places.end(id);
        }
        drop(book);
        self.allowance.left.notify_one();
        if let (Some(shared), Some(_)) = (&self.allowance.shared, self.id) {
            shared.freed.notify_one();
        }
    }
}

async fn seat(seats: &Semaphore, deadline: Instant) -> Result<SemaphorePermit<'_>, ZohoError> {
    match timeout_at(deadline, seats.acquire()).await {
        Ok(Ok(seat)) => Ok(seat),
        Ok(Err(_)) | Err(_) => Err(BUSY),
    }
}

fn spent_by(whose: Purse, retry_after: Duration) -> ZohoError {
    ZohoError::CreditsSpent { retry_after, whose }
}

fn overloaded(retry_after: Duration) -> ZohoError {
    ZohoError::Overloaded { retry_after }
}

const BUSY: ZohoError = ZohoError::Busy {
    retry_after: Duration::ZERO,
    full: Full::Ours,
};
/// More than any edition of Zoho allows.
const MOST_PLACES: u32 = 256;
/// For what happens around the exchange with Zoho.
const MARGIN: Duration = Duration::from_secs(2);
/// How often it is told that more than half is left.
const AGAIN: Duration = Duration::from_secs(30);
/// While there is no place.
const LOOK_EVERY: Duration = Duration::from_millis(40);

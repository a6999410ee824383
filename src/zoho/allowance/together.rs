//! With Redis: one question takes the place, pays, and gives back the places of those before.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    super::{Purse, ZohoError, lock},
    Allowance, BUSY, Book, LOOK_EVERY, Place, Want,
    shared::{Answer, Credits, Id, Known, Question, Shared, Told, What},
    spent_by,
};
use crate::store::Unavailable;

impl Allowance {
    /// Tells Redis what it has to know, until it is dropped. Without Redis there is nothing to do.
    pub(in super::super) async fn keep(&self) {
        let Some(shared) = &self.shared else {
            return;
        };
        // What the others know, before the first call; should that fail, the next round asks again.
        let _ = self.catch_up(shared).await;
        loop {
            tokio::select! {
                () = sleep(HEARTBEAT) => {}
                () = shared.store.changed() => {}
                () = shared.freed.notified() => {
                    // The next request may give it back on its way; the rest go together.
                    let crowded = shared.is_crowded.load(Ordering::Relaxed);
                    sleep(if crowded { GATHER } else { GATHER_AT_EASE }).await;
                    if lock(&self.book).places.free().is_empty() {
                        continue;
                    }
                }
            }
            if shared.store.down().is_none() {
                shared.notice(self.catch_up(shared).await.is_err());
            }
        }
    }

    async fn catch_up(&self, shared: &Shared) -> Result<(), Unavailable> {
        // A request may be telling everything, what is not told yet included.
        let _telling = shared.telling.lock().await;
        match self.tell(shared, News::Owed).await?.lost {
            None => Ok(()),
            Some(time) => self.tell(shared, News::Lost(time)).await.map(drop),
        }
    }

    /// Waits for a place among those of all instances, and pays.
    pub(super) async fn enter_together(
        &self,
        shared: &Shared,
        place: &mut Place<'_>,
        want: &Want,
        deadline: Instant,
    ) -> Result<(), ZohoError> {
        let id = uuid::Uuid::new_v4().as_u64_pair().1.to_be_bytes();
        // Before asking: if the answer is lost, the place may be taken all the same.
        place.id = Some(id);
        let (mut looking, mut telling) = (None, None);
        loop {
            let (free, remaining, has_spent) = {
                let book = lock(&self.book);
                let news = book.remaining.filter(|it| it.is_news);
                let news = news.and_then(|it| it.credits);
                (book.places.free().to_vec(), news, self.has_told(&book))
            };
            let question = Question {
                id: &id,
                want,
                places: (self.places, self.queries),
                bounds: self.shares.bounds(want, 1),
                remaining,
                has_spent,
                free: &free,
            };
            let asked = shared.enter(&question).await;
            let Ok((answer, known)) = asked else {
                shared.notice(true);
                return self
                    .enter_alone(place, want, shared.replicas(), deadline)
                    .await;
            };
            if !matches!(answer, Answer::Forgotten(_)) {
                shared.notice(false);
                self.learn(&known);
                self.told(&free, remaining);
            }
            match answer {
                Answer::Go => {
                    self.took(place, want, Some(id));
                    return Ok(());
                }
                Answer::Forgotten(_) if telling.is_none() => {
                    // Who was first may have told all by then.
                    telling = Some(shared.telling.lock().await);
                }
                Answer::Forgotten(time) => {
                    // Should that fail, so does the next question.
                    let _ = self.tell(shared, News::Lost(time)).await;
                }
                Answer::Busy => {
                    if looking.is_none() {
                        let [all, queries] = &shared.looking;
                        let turn = if want.query { queries } else { all }.lock();
                        looking = Some(timeout_at(deadline, turn).await.map_err(|_| BUSY)?);
                    }
                    let pause = timeout_at(deadline, sleep(LOOK_EVERY)).await;
                    pause.map_err(|_| BUSY)?;
                }
                no => {
                    // What was refused holds nothing.
                    place.id = None;
                    return Err(self.refusal(&no, want, known.spent));
                }
            }
        }
    }

    fn refusal(&self, answer: &Answer, want: &Want, spent: u32) -> ZohoError {
        match answer {
            Answer::OrganisationSpent(wait) => self.of_org(want, spent, *wait),
            Answer::ClientSpent(wait) => spent_by(Purse::Client, *wait),
            Answer::NothingRemains(wait) | Answer::Paused(wait) => spent_by(Purse::Zoho, *wait),
            Answer::ReserveRemains(wait) => spent_by(Purse::Reserve, *wait),
            Answer::Go | Answer::Busy | Answer::Forgotten(_) => BUSY,
        }
    }

    /// Zoho said that there are no credits.
    pub(in super::super) async fn credits_spent(&self, retry_after: Duration, asked: Instant) {
        self.pause.begin(retry_after, Instant::now());
        self.tell_credits(asked).await;
    }

    /// Zoho did what was asked of it at `asked`: then there are credits. Says whether the other
    /// instances are to be told of that.
    pub(in super::super) fn credits_are_back(&self, asked: Instant) -> bool {
        self.pause.end(asked) && self.shared.is_some()
    }

    /// Tells the other instances that Zoho said nothing of what remains, asked at `asked`. Should that
    /// fail, the next answer tells.
    pub(in super::super) async fn tell_more(&self, asked: Instant) {
        if let Some(shared) = &self.shared {
            let _ = shared.pause(&Credits::More(asked.elapsed())).await;
        }
    }

    /// Tells the other instances whether there are credits.
    pub(in super::super) async fn tell_credits(&self, asked: Instant) {
        let now = Instant::now();
        let Some(shared) = &self.shared else {
            return;
        };
        let told = match self.pause.news(false, now) {
            Some((ask, back)) => shared.pause(&Credits::Spent(ask, back)).await,
            None => shared.pause(&Credits::Over(asked.elapsed())).await,
        };
        // Otherwise it is told with the next things.
        if told.is_ok() {
            self.pause.told();
        }
    }

    /// What Redis says of all instances.
    fn learn(&self, known: &Known) {
        self.spent.store(known.spent, Ordering::Relaxed);
        self.pause.learn(known.paused, Instant::now());
    }

    /// Whether Redis was told anything that it may lose.
    fn has_told(&self, book: &Book) -> bool {
        !book.own.is_empty() || self.pause.left(Instant::now()).is_some()
    }

    /// Redis has heard of these.
    fn told(&self, free: &[Id], remaining: Option<u32>) {
        let mut book = lock(&self.book);
        book.places.given_back(free);
        if let Some(told) = &mut book.remaining
            && remaining.is_some()
            && remaining == told.credits
        {
            told.is_news = false;
        }
    }

    async fn tell(&self, shared: &Shared, news: News) -> Result<Known, Unavailable> {
        let (now, everything) = (self.now(), matches!(news, News::Lost(_)));
        if let Some((ask, back)) = self.pause.news(everything, Instant::now()) {
            shared.pause(&Credits::Kept(ask, back)).await?;
            self.pause.told();
        }
        let (ledgers, free, taken, is_new) = {
            let mut book = lock(&self.book);
            let owed = std::mem::take(&mut book.owed);
            let is_new = everything || !self.has_told(&book);
            let taken = match everything {
                true => (book.places.taken())
                    .map(|(id, query)| (*id, *query))
                    .collect(),
                // Those it knows, and none takes longer than it keeps them.
                false => Vec::new(),
            };
            let ledgers = match news {
                News::Lost(time) => {
                    let then = now.saturating_sub(time.saturating_add(UNDER_WAY));
                    let recent = book.recent.since(then);
                    recent.unwrap_or_else(|| book.own.since(then))
                }
                News::Owed => owed,
            };
            (ledgers, book.places.free().to_vec(), taken, is_new)
        };
        let mut told = Ok(Known::default());
        for (client, ledger) in &ledgers.clients {
            let part = Told {
                what: if everything { What::Part } else { What::Since },
                ..Told::default()
            };
            told = told.and(shared.tell(&part, Some(client), ledger, now).await);
        }
        let last = Told {
            free: &free,
            taken: &taken,
            what: if is_new { What::All } else { What::Since },
        };
        if told.is_ok() {
            told = shared.tell(&last, None, &ledgers.org, now).await;
        }
        match told {
            Ok(known) => {
                self.learn(&known);
                self.told(&free, None);
            }
            // Told again in full, it is all told once more: too much is counted rather than too little.
            Err(_) if !everything => lock(&self.book).owed.add(&ledgers),
            Err(_) => {}
        }
        told
    }
}

/// What Redis is told of what this instance has spent.
enum News {
    /// What it was not told yet.
    Owed,
    /// What it has lost: all of that time, and rather too much than too little.
    Lost(Duration),
}

/// Others spend what Redis has lost until it is told.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// An answer of Redis takes less.
const UNDER_WAY: Duration = Duration::from_secs(1);
const GATHER: Duration = Duration::from_millis(10);
const GATHER_AT_EASE: Duration = Duration::from_millis(200);

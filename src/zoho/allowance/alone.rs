//! Without Redis: this instance's share, by what it has done itself.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

use super::{
    super::{Purse, ZohoError, lock},
    Allowance, BUSY, Book, LOOK_EVERY, Place, Remaining, Want, spent_by,
};

impl Allowance {
    /// Waits for a place among this instance's share of them, and pays.
    pub(super) async fn enter_alone(
        &self,
        place: &mut Place<'_>,
        want: &Want,
        replicas: u32,
        deadline: Instant,
    ) -> Result<(), ZohoError> {
        let share = |places: u32| (places / replicas.max(1)).max(1);
        let bounds = self.shares.bounds(want, replicas);
        loop {
            {
                let (mut book, now) = (lock(&self.book), Instant::now());
                if let Some(error) = self.pause.refuses(now) {
                    return Err(error);
                }
                let (all, queries) = (share(self.places), share(self.queries));
                let is_room = book.in_flight < all && (!want.query || book.queries < queries);
                self.can_pay(&mut book, want, bounds, replicas)?;
                if is_room {
                    self.pause.ask(now);
                    drop(book);
                    self.took(place, want, None);
                    return Ok(());
                }
            }
            let turn = async {
                tokio::select! {
                    () = self.left.notified() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
            };
            timeout_at(deadline, turn).await.map_err(|_| BUSY)?;
        }
    }

    fn can_pay(
        &self,
        book: &mut Book,
        want: &Want,
        (org, client, floor): (u32, u32, u32),
        replicas: u32,
    ) -> Result<(), ZohoError> {
        let now = self.now();
        let spent = book.own.org.spent(now);
        let over = (spent + want.credits).saturating_sub(org);
        if over > 0 {
            let wait = book.own.org.wait(now, over);
            return Err(self.of_org(want, spent, wait));
        }
        // What all have spent that Redis has heard of, and what this one has since.
        let known = self.spent.load(Ordering::Relaxed);
        let (most, ..) = self.shares.bounds(want, 1);
        let share = most.saturating_sub(known) / replicas.max(1);
        if book.owed.org.spent(now) + want.credits > share && replicas > 1 {
            let wait = book.own.org.wait(now, want.credits).min(LOOK_AGAIN);
            return Err(self.of_org(want, known, wait));
        }
        if let Some(ledger) = book.own.clients.get_mut(&want.client) {
            let over = (ledger.spent(now) + want.credits).saturating_sub(client);
            if over > 0 {
                return Err(spent_by(Purse::Client, ledger.wait(now, over)));
            }
        }
        let Some(remaining) = &mut book.remaining else {
            return Ok(());
        };
        let now = Instant::now();
        if remaining.is_below(floor.saturating_add(want.credits).saturating_sub(1), now) {
            // Once a minute one may ask all the same, since Zoho alone knows what came back.
            let again = remaining.asked + ASK_EVERY;
            if now < again {
                let purse = match remaining.credits < Some(want.credits) {
                    true => Purse::Zoho,
                    false => Purse::Reserve,
                };
                return Err(spent_by(purse, again - now));
            }
            remaining.asked = now;
        }
        Ok(())
    }

    /// Whether all is spent, or what is left is kept for writes.
    pub(super) fn of_org(&self, want: &Want, spent: u32, wait: Duration) -> ZohoError {
        let purse = match !want.write && spent < self.shares.daily() {
            true => Purse::Reserve,
            false => Purse::Organisation,
        };
        spent_by(purse, wait)
    }
}

impl Remaining {
    /// Whether no more than `floor` remain. Zoho says nothing while more than half is left, and not in
    /// all answers otherwise, so that an old word proves nothing.
    pub(super) fn is_below(&self, floor: u32, now: Instant) -> bool {
        let is_below = self.credits.is_some_and(|credits| credits <= floor);
        is_below && now < self.heard + HOLDS_FOR
    }
}

/// Redis may be there again, and what was spent back.
const LOOK_AGAIN: Duration = Duration::from_secs(900);
const ASK_EVERY: Duration = Duration::from_secs(60);
const HOLDS_FOR: Duration = Duration::from_secs(900);

//! Credits that were spent within a rolling day, by quarters of an hour; pure.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// What one of those who spend has spent. The oldest quarter leaves when all of it is a day old, so
/// that never too little is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// From the oldest quarter to the newest, without empty ones: at most [`SLOTS`].
    quarters: Vec<(u64, u32)>,
}

/// What was spent last, charge by charge.
#[derive(Debug, Default)]
pub(super) struct Recent {
    charges: VecDeque<(Duration, Arc<str>, u32)>,
    /// When the last one was that is no longer here.
    forgotten: Option<Duration>,
}

/// The organisation's ledger, and those of the clients.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledgers {
    pub(super) org: Ledger,
    pub(super) clients: HashMap<Arc<str>, Ledger>,
}

impl Ledger {
    /// Pays at `now`, which is how long ago everything began.
    pub(super) fn charge(&mut self, now: Duration, credits: u32) {
        self.put(quarter(now), credits);
        if self.quarters.len() as u64 > SLOTS {
            self.forget(quarter(now));
        }
    }

    /// What was spent within a day.
    pub(super) fn spent(&mut self, now: Duration) -> u32 {
        self.forget(quarter(now));
        let spent = self.quarters.iter().map(|(_, credits)| credits);
        spent.fold(0, |sum, credits| sum.saturating_add(*credits))
    }

    /// How long until so many credits are back; a day where there are not as many.
    pub(super) fn wait(&self, now: Duration, credits: u32) -> Duration {
        let mut back = 0_u32;
        let enough = self.quarters.iter().find(|(_, spent)| {
            back = back.saturating_add(*spent);
            back >= credits
        });
        let leaves = |(at, _): &(u64, u32)| Duration::from_secs((at + SLOTS) * QUARTER);
        enough.map_or(DAY, |quarter| leaves(quarter).saturating_sub(now))
    }

    /// Each quarter with how many quarters ago it was.
    pub(super) fn ages(&self, now: Duration) -> impl Iterator<Item = (u64, u32)> {
        let now = quarter(now);
        let ages = self.quarters.iter();
        ages.map(move |(at, credits)| (now.saturating_sub(*at), *credits))
    }

    /// What was spent from then on, and in the whole quarter of then.
    fn since(&self, then: Duration) -> Self {
        let recent = self.quarters.iter();
        Self {
            quarters: recent
                .filter(|(at, _)| *at >= quarter(then))
                .copied()
                .collect(),
        }
    }

    fn forget(&mut self, now: u64) {
        self.quarters.retain(|(at, _)| at + SLOTS > now);
    }

    fn put(&mut self, at: u64, credits: u32) {
        let place = self.quarters.binary_search_by_key(&at, |(at, _)| *at);
        match place {
            Ok(place) => {
                if let Some((_, spent)) = self.quarters.get_mut(place) {
                    *spent = spent.saturating_add(credits);
                }
            }
            Err(place) => self.quarters.insert(place, (at, credits)),
        }
    }

    fn add(&mut self, other: &Self) {
        for (at, credits) in &other.quarters {
            self.put(*at, *credits);
        }
    }
}

impl Recent {
    pub(super) fn charge(&mut self, client: &Arc<str>, now: Duration, credits: u32) {
        if self.charges.len() >= MOST_RECENT {
            let oldest = self.charges.pop_front();
            self.forgotten = oldest.map(|(at, ..)| at);
        }
        self.charges.push_back((now, Arc::clone(client), credits));
    }

    /// What was spent from then on, where that is known.
    pub(super) fn since(&self, then: Duration) -> Option<Ledgers> {
        let is_known = self.forgotten.is_none_or(|forgotten| forgotten < then);
        is_known.then(|| {
            let mut spent = Ledgers::default();
            let later = self.charges.iter().filter(|(at, ..)| *at >= then);
            later.for_each(|(at, client, credits)| spent.charge(client, *at, *credits));
            spent
        })
    }
}

impl Ledgers {
    pub(super) fn charge(&mut self, client: &Arc<str>, now: Duration, credits: u32) {
        self.org.charge(now, credits);
        let client = self.clients.entry(Arc::clone(client)).or_default();
        client.charge(now, credits);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.org.quarters.is_empty()
    }

    /// Of each what was spent from then on.
    pub(super) fn since(&self, then: Duration) -> Self {
        let clients = self.clients.iter();
        let clients = clients.map(|(client, ledger)| (Arc::clone(client), ledger.since(then)));
        Self {
            org: self.org.since(then),
            clients: clients
                .filter(|(_, ledger)| !ledger.quarters.is_empty())
                .collect(),
        }
    }

    /// Adds what another one holds.
    pub(super) fn add(&mut self, other: &Self) {
        self.org.add(&other.org);
        for (client, ledger) in &other.clients {
            let own = self.clients.entry(Arc::clone(client)).or_default();
            own.add(ledger);
        }
    }
}

fn quarter(now: Duration) -> u64 {
    now.as_secs() / QUARTER
}

/// For a minute or two at the rate that Zoho bears.
const MOST_RECENT: usize = 1024;
/// In seconds.
const QUARTER: u64 = 900;
/// A day, and the quarter that is under way.
const SLOTS: u64 = 97;
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_a_day_old_is_back_and_it_is_known_when() {
        let mut ledger = Ledger::default();
        ledger.charge(MINUTE, 5);
        ledger.charge(MINUTE * 20, 7);
        assert_eq!(ledger.spent(MINUTE * 60), 12);
        assert_eq!(ledger.wait(MINUTE * 60, 5), DAY - MINUTE * 45);
        assert_eq!(ledger.wait(MINUTE * 60, 6), DAY - MINUTE * 30);
        assert_eq!(ledger.wait(MINUTE * 60, 13), DAY);
        let first = MINUTE * 60 + ledger.wait(MINUTE * 60, 5);
        assert_eq!(ledger.spent(first - Duration::from_millis(1)), 12);
        assert_eq!(ledger.spent(first), 7);
        assert_eq!(ledger.spent(DAY * 2), 0);
    }

    #[test]
    fn what_was_spent_last_is_known_charge_by_charge_as_far_as_it_is_kept() {
        let (mut recent, client) = (Recent::default(), Arc::from("one"));
        let second = Duration::from_secs;
        for n in 1..=10 {
            recent.charge(&client, second(n), 1);
        }
        let spent = |recent: &Recent, then| {
            let spent = recent.since(then);
            spent.map(|mut spent| spent.org.spent(second(10)))
        };
        assert_eq!(spent(&recent, second(8)), Some(3));
        assert_eq!(spent(&recent, Duration::ZERO), Some(10));
        for _ in 0..MOST_RECENT {
            recent.charge(&client, second(10), 1);
        }
        assert_eq!(spent(&recent, second(10)), None);
        assert_eq!(spent(&recent, second(11)), Some(0));
    }

    proptest! {
        #[test]
        fn never_less_than_a_day_and_never_more_than_a_day_and_a_quarter(
            steps in prop::collection::vec((0..20_000_u64, 1..9_u32), 1..200)
        ) {
            let (mut ledger, mut now) = (Ledger::default(), Duration::ZERO);
            let mut all: Vec<(Duration, u32)> = Vec::new();
            for (pause, credits) in steps {
                now += Duration::from_secs(pause);
                ledger.charge(now, credits);
                all.push((now, credits));
                let within = |span: Duration| {
                    let recent = all.iter().filter(|(at, _)| *at + span > now);
                    recent.map(|(_, credits)| credits).sum::<u32>()
                };
                let spent = ledger.spent(now);
                prop_assert!(spent >= within(DAY));
                prop_assert!(spent <= within(DAY + Duration::from_secs(QUARTER)));
                prop_assert!(ledger.quarters.len() as u64 <= SLOTS);
                if spent > 0 {
                    let later = now + ledger.wait(now, spent);
                    prop_assert_eq!(ledger.clone().spent(later), 0);
                }
            }
        }
    }
}

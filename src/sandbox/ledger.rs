//! What the org may still ask for: credits in a rolling day, and requests at the same time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::problem::Problem;

/// The limits of the org's edition.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    credits: u64,
    concurrency: usize,
}

/// The counters, and what they may reach.
#[derive(Default)]
pub(super) struct Ledger {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    limits: Limits,
    /// Credits by the minute in which they were spent: a day has no more than 1441 entries.
    spent: VecDeque<(i64, u64)>,
    used: u64,
    requests: u64,
    running: Running,
    most: Running,
    refused: u64,
}

#[derive(Clone, Copy, Default)]
struct Running {
    all: usize,
    heavy: usize,
}

/// A request that is being answered, until this is dropped.
pub(super) struct InFlight {
    ledger: Arc<Ledger>,
    heavy: AtomicBool,
}

impl Ledger {
    /// Sets the limits; what is running goes on.
    pub(super) fn limit(&self, credits: u64, concurrency: usize) {
        self.counts().limits = Limits {
            credits,
            concurrency,
        };
    }

    /// Lets a request in, unless too many are being answered; `heavy` ones have a limit of their own.
    pub(super) fn enter(
        self: &Arc<Self>,
        heavy: bool,
        now: Timestamp,
    ) -> Result<InFlight, Problem> {
        let mut counts = self.counts();
        counts.requests += 1;
        counts.forget(now);
        let crowded = counts.running.all >= counts.limits.concurrency
            || (heavy && counts.running.heavy >= MOST_HEAVY);
        if crowded || counts.used >= counts.limits.credits {
            counts.refused += 1;
            return Err(if crowded {
                Problem::too_many_at_once()
            } else {
                Problem::no_credits()
            });
        }
        counts.running.all += 1;
        counts.running.heavy += usize::from(heavy);
        counts.most.all = counts.most.all.max(counts.running.all);
        counts.most.heavy = counts.most.heavy.max(counts.running.heavy);
        drop(counts);
        Ok(InFlight {
            ledger: Arc::clone(self),
            heavy: heavy.into(),
        })
    }

    /// Charges for a request; says what remains once half is used.
    pub(super) fn spend(&self, credits: u32, now: Timestamp) -> Option<u64> {
        let mut counts = self.counts();
        let minute = now.as_second().div_euclid(60);
        match counts.spent.back_mut() {
            Some((last, spent)) if *last == minute => *spent += u64::from(credits),
            _ => counts.spent.push_back((minute, u64::from(credits))),
        }
        counts.used += u64::from(credits);
        (counts.used >= counts.limits.credits / 2)
            .then(|| counts.limits.credits.saturating_sub(counts.used))
    }

    /// Nothing spent; what is running goes on.
    pub(super) fn reset(&self) {
        let mut counts = self.counts();
        let (limits, running) = (counts.limits, counts.running);
        *counts = Counts {
            limits,
            running,
            most: running,
            ..Counts::default()
        };
    }

    /// The figures.
    pub(super) fn credits(&self, now: Timestamp) -> Value {
        let mut counts = self.counts();
        counts.forget(now);
        let limit = counts.limits.credits;
        let remaining = limit.saturating_sub(counts.used);
        json!({"used": counts.used, "limit": limit, "remaining": remaining})
    }

    /// The requests: all, refused, and those in flight with their maximum.
    pub(super) fn requests(&self) -> Value {
        let counts = self.counts();
        json!({
            "total": counts.requests,
            "refused": counts.refused,
            "in_flight": counts.running.all,
            "max_in_flight": counts.most.all,
            "heavy_in_flight": counts.running.heavy,
            "max_heavy_in_flight": counts.most.heavy,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Drops what was spent more than a day ago.
    fn forget(&mut self, now: Timestamp) {
        let oldest = now.as_second().div_euclid(60) - MINUTES_A_DAY;
        while let Some((minute, spent)) = self.spent.front().copied()
            && minute < oldest
        {
            self.used = self.used.saturating_sub(spent);
            self.spent.pop_front();
        }
    }
}

impl InFlight {
    /// Becomes one of the heavy ones, if there is room among them.
    pub(super) fn weigh(&self) -> Result<(), Problem> {
        let mut counts = self.ledger.counts();
        if counts.running.heavy >= MOST_HEAVY {
            counts.refused += 1;
            return Err(Problem::too_many_at_once());
        }
        if !self.heavy.swap(true, Ordering::Relaxed) {
            counts.running.heavy += 1;
            counts.most.heavy = counts.most.heavy.max(counts.running.heavy);
        }
        Ok(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut counts = self.ledger.counts();
        let heavy = usize::from(*self.heavy.get_mut());
        counts.running.all = counts.running.all.saturating_sub(1);
        counts.running.heavy = counts.running.heavy.saturating_sub(heavy);
    }
}

/// The sub-concurrency of COQL and its like, the same in every edition.
const MOST_HEAVY: usize = 10;
const MINUTES_A_DAY: i64 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    #[test]
    fn credits_come_back_after_a_day() {
        let ledger = Arc::new(Ledger::default());
        ledger.limit(10, 5);
        assert_eq!(ledger.spend(4, at(0)), None);
        assert_eq!(
            ledger.spend(1, at(60)),
            Some(5),
            "the header shows from one half on"
        );
        assert_eq!(ledger.spend(5, at(120)), Some(0));
        assert_eq!(
            ledger.enter(false, at(180)).err().unwrap(),
            Problem::no_credits()
        );
        assert!(ledger.enter(false, at(86_400 + 30)).is_ok());
        assert_eq!(ledger.credits(at(86_400 + 30))["used"], 6);
    }

    #[test]
    fn too_many_at_once_are_refused_and_the_maximum_is_kept() {
        let ledger = Arc::new(Ledger::default());
        ledger.limit(1_000, 12);
        let heavy: Vec<_> = (0..10)
            .map(|_| ledger.enter(true, at(0)).unwrap())
            .collect();
        assert!(ledger.enter(true, at(0)).is_err());
        let light = (
            ledger.enter(false, at(0)).unwrap(),
            ledger.enter(false, at(0)).unwrap(),
        );
        assert_eq!(
            ledger.enter(false, at(0)).err().unwrap(),
            Problem::too_many_at_once()
        );
        drop((heavy, light));
        let requests = ledger.requests();
        assert_eq!(
            (&requests["in_flight"], &requests["max_in_flight"]),
            (&json!(0), &json!(12))
        );
    }
}

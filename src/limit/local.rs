//! The limiter in this process's memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use super::{
    dimension::{DIMENSIONS, Dimension, Subject, Whose},
    in_flight::{Calls, InFlight},
    rules::Rules,
    verdict::{Standing, Verdict},
    window::{Outlook, Window},
};
use crate::setting::Quota;

/// Admits calls within the rules, all dimensions or none: a refused call is counted nowhere.
pub struct Limiter {
    rules: ArcSwap<Rules>,
    windows: Mutex<Windows>,
    calls: Calls,
    started: Instant,
}

impl Limiter {
    /// Starts with empty windows.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            windows: Mutex::new(Windows::new(MAX_KEYS)),
            calls: Calls::default(),
            started: Instant::now(),
        }
    }

    /// Takes other rules from now on. What was counted stays counted.
    pub fn reload(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// Counts a call, or says when to come back.
    pub async fn admit(&self, subject: &Subject<'_>) -> Verdict {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.admit_at(now, subject)
    }

    /// Lets a call of the client begin, unless as many as may are in flight.
    pub fn enter(&self, client: &Arc<str>) -> Option<InFlight> {
        self.calls.enter(client, self.rules.load().in_flight)
    }

    /// Calls that one client may have in flight.
    pub fn in_flight_limit(&self) -> u32 {
        self.rules.load().in_flight
    }

    fn admit_at(&self, now: u64, subject: &Subject<'_>) -> Verdict {
        let claims = claims(&self.rules.load(), subject);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.admit(now, claims, subject.request_id)
    }
}

/// A place in one window that a call has to have.
struct Claim {
    dimension: &'static Dimension,
    quota: Quota,
    key: Key,
}

type Key = (&'static str, Whose);

fn claims(rules: &Rules, subject: &Subject<'_>) -> Vec<Claim> {
    let claim = |dimension: &'static Dimension| {
        Some(Claim {
            dimension,
            quota: (dimension.quota)(rules, subject)?,
            key: (dimension.name, (dimension.whose)(subject)),
        })
    };
    DIMENSIONS.iter().filter_map(claim).collect()
}

impl Claim {
    fn limit(&self) -> u32 {
        self.quota.requests.get()
    }

    fn span(&self) -> u64 {
        millis(self.quota.per.duration())
    }

    fn standing(&self, outlook: Outlook, admitted: bool) -> Standing {
        let taken = u32::from(admitted && !outlook.counted);
        let reset = match outlook.reset {
            0 if admitted => self.span(),
            reset => reset,
        };
        Standing {
            name: self.dimension.name,
            quota: self.quota,
            remaining: outlook.free.saturating_sub(taken),
            reset: Duration::from_millis(reset),
            violated: outlook.wait > 0,
        }
    }
}

struct Windows {
    by_key: HashMap<Key, Window>,
    capacity: usize,
    now: u64,
    swept: u64,
}

impl Windows {
    fn new(capacity: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            capacity,
            now: 0,
            swept: 0,
        }
    }

    fn admit(&mut self, now: u64, mut claims: Vec<Claim>, id: uuid::Uuid) -> Verdict {
        // Two threads may read the clock in one order and take the lock in the other.
        self.now = self.now.max(now);
        let now = self.now;
        self.find_places(&mut claims);
        let outlooks: Vec<Outlook> = claims
            .iter()
            .map(|claim| match self.by_key.get_mut(&claim.key) {
                Some(window) => window.look(now, claim.limit(), claim.span(), &id),
                None => Window::empty(claim.limit()),
            })
            .collect();
        let wait = outlooks.iter().map(|outlook| outlook.wait).max();
        let retry_after = wait.filter(|&wait| wait > 0).map(Duration::from_millis);
        let admitted = retry_after.is_none();
        let standings = claims
            .iter()
            .zip(outlooks)
            .map(|(claim, outlook)| claim.standing(outlook, admitted))
            .collect();
        if admitted {
            for claim in claims {
                let span = claim.span();
                let window = self.by_key.entry(claim.key).or_default();
                window.record(now, span, id);
            }
        }
        Verdict::new(standings, retry_after)
    }

    /// Names of clients and tools come from the configuration, but a token may name any user:
    /// those for whom there is no place share one window.
    fn find_places(&mut self, claims: &mut [Claim]) {
        self.sweep();
        if !self.is_full() {
            return;
        }
        for claim in claims {
            if matches!(claim.key.1, Whose::Users(_)) && !self.by_key.contains_key(&claim.key) {
                claim.key.1 = Whose::Everybodys;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.by_key.len() >= self.capacity
    }

    fn sweep(&mut self) {
        let every = match self.is_full() {
            false => SWEEP_EVERY,
            true => SWEEP_EVERY_WHEN_FULL,
        };
        let now = self.now;
        if now >= self.swept + every {
            self.swept = now;
            self.by_key.retain(|_, window| !window.is_idle(now));
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

const MAX_KEYS: usize = 100_000;
/// In milliseconds.
const SWEEP_EVERY: u64 = 60_000;
const SWEEP_EVERY_WHEN_FULL: u64 = 1_000;

#[cfg(test)]
mod tests;

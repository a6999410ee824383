//! The windows in this process's memory: all there is without Redis, and with it what this
//! instance has admitted itself.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    claim::{Claim, Key, verdict},
    dimension::Whose,
    rules::share,
    verdict::Verdict,
    window::{Outlook, Window},
};
use crate::setting::OnStoreError;

/// How much this instance may admit by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alone {
    /// There is no other instance.
    Whole,
    /// There are others, and no way to ask what they admit.
    Share {
        replicas: u32,
        /// For limits that do not say it themselves.
        on_store_error: OnStoreError,
    },
}

impl Alone {
    /// A verdict that was reached so.
    pub(super) fn decides(self, verdict: Verdict) -> Verdict {
        match self {
            Self::Share { replicas, .. } if replicas > 1 => verdict.by_share(),
            Self::Share { .. } | Self::Whole => verdict,
        }
    }

    /// What a limit does. One that only watches never closes: it tells of too many calls, and a
    /// call that cannot be counted is not one too many.
    fn then(self, claim: &Claim) -> OnStoreError {
        let Self::Share { on_store_error, .. } = self else {
            return OnStoreError::Local;
        };
        match claim.limit.on_store_error.unwrap_or(on_store_error) {
            OnStoreError::Closed if claim.is_shadow() => OnStoreError::Local,
            then => then,
        }
    }
}

/// All windows.
pub(super) struct Windows {
    by_key: HashMap<Key, Window>,
    capacity: usize,
    now: u64,
    swept: u64,
}

impl Windows {
    pub(super) fn new() -> Self {
        Self {
            by_key: HashMap::new(),
            capacity: MAX_KEYS,
            now: 0,
            swept: 0,
        }
    }

    /// Counts a call in all windows or in none: a refused call is counted nowhere.
    pub(super) fn admit(
        &mut self,
        now: u64,
        mut claims: Vec<Claim>,
        id: Uuid,
        alone: Alone,
    ) -> Verdict {
        let now = self.advance(now);
        self.find_places(&mut claims);
        let outlooks: Vec<Outlook> = claims
            .iter()
            .map(|claim| self.look(now, claim, &id, alone))
            .collect();
        let verdict = alone.decides(verdict(&claims, &outlooks));
        if verdict.is_admitted() {
            self.take(now, claims, &outlooks, id);
            return verdict;
        }
        let is_closed = |claim: &Claim| alone.then(claim) == OnStoreError::Closed;
        match claims.iter().any(is_closed) {
            true => verdict.uncounted(),
            false => verdict,
        }
    }

    /// Counts a call that was admitted elsewhere.
    pub(super) fn record(
        &mut self,
        now: u64,
        mut claims: Vec<Claim>,
        outlooks: &[Outlook],
        id: Uuid,
    ) {
        let now = self.advance(now);
        self.find_places(&mut claims);
        self.take(now, claims, outlooks, id);
    }

    /// The windows that counted a call at `since` or later, and when that is known of: what is
    /// counted from here on is counted then or later.
    pub(super) fn newer(&mut self, now: u64, since: u64) -> (Vec<Key>, u64) {
        let newer = |(key, window): (&Key, &Window)| window.is_newer(since).then(|| key.clone());
        (
            self.by_key.iter().filter_map(newer).collect(),
            self.advance(now),
        )
    }

    /// A window's span, and its calls of `since` and later with the milliseconds since each was
    /// admitted.
    pub(super) fn calls(&self, now: u64, key: &Key, since: u64) -> Option<(u64, Vec<(u64, Uuid)>)> {
        let window = self.by_key.get(key)?;
        Some((window.span(), window.ages(now.max(self.now), since)))
    }

    /// Two threads may read the clock in one order and take the lock in the other.
    fn advance(&mut self, now: u64) -> u64 {
        self.now = self.now.max(now);
        self.now
    }

    fn look(&mut self, now: u64, claim: &Claim, id: &Uuid, alone: Alone) -> Outlook {
        let limit = match alone {
            Alone::Whole => claim.requests(),
            Alone::Share { replicas, .. } => share(claim.requests(), replicas),
        };
        let outlook = match self.by_key.get_mut(&claim.key) {
            Some(window) => window.look(now, limit, claim.span(), id),
            None => Window::empty(limit),
        };
        match alone.then(claim) {
            OnStoreError::Local => outlook,
            OnStoreError::Open => Outlook { wait: 0, ..outlook },
            OnStoreError::Closed => Outlook {
                free: 0,
                wait: CLOSED_WAIT,
                ..outlook
            },
        }
    }

    fn take(&mut self, now: u64, claims: Vec<Claim>, outlooks: &[Outlook], id: Uuid) {
        for (claim, outlook) in claims.into_iter().zip(outlooks) {
            if Claim::is_taken(outlook) {
                let (limit, span) = (claim.requests(), claim.span());
                let window = self.by_key.entry(claim.key).or_default();
                window.record(now, limit, span, id);
            }
        }
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

    #[cfg(test)]
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::new()
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

const MAX_KEYS: usize = 100_000;
/// In milliseconds.
pub(super) const SWEEP_EVERY: u64 = 60_000;
const SWEEP_EVERY_WHEN_FULL: u64 = 1_000;
/// When to ask again while nothing is admitted, in milliseconds.
const CLOSED_WAIT: u64 = 1_000;

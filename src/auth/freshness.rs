//! How old keys are that should be read again and again, and cannot be.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When keys were last read, and how often in vain since.
#[derive(Debug)]
pub struct Freshness(Mutex<Reads>);

#[derive(Debug)]
struct Reads {
    last: Instant,
    missed: u32,
}

impl Default for Freshness {
    fn default() -> Self {
        Self(Mutex::new(Reads {
            last: Instant::now(),
            missed: 0,
        }))
    }
}

impl Freshness {
    /// They were read, whether or not they had changed.
    pub fn succeeded(&self) {
        *self.lock() = Reads {
            last: Instant::now(),
            missed: 0,
        };
    }

    /// They could not be read, or not be used.
    pub fn failed(&self) {
        let mut reads = self.lock();
        reads.missed = reads.missed.saturating_add(1);
    }

    /// How long ago they were read.
    pub fn age(&self) -> Duration {
        self.lock().last.elapsed()
    }

    /// The same, once several looks in a row found nothing: one may fail on any day.
    pub fn stale(&self) -> Option<Duration> {
        let reads = self.lock();
        (reads.missed >= MISSED).then(|| reads.last.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Reads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MISSED: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_are_stale_after_the_third_look_in_vain_and_not_after_the_next_good_one() {
        let freshness = Freshness::default();
        tokio::time::advance(Duration::from_secs(7)).await;
        for _ in 0..2 {
            freshness.failed();
            assert_eq!(freshness.stale(), None);
        }
        freshness.failed();
        assert_eq!(freshness.stale(), Some(Duration::from_secs(7)));
        freshness.succeeded();
        assert_eq!(freshness.stale(), None);
    }
}

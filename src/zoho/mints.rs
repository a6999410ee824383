//! How often access tokens may be asked for.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;
use uuid::Uuid;

/// When this instance asked for tokens: Zoho mints ten in ten minutes, and asking for more locks us
/// out.
#[derive(Default)]
pub(super) struct Mints(VecDeque<(Instant, Uuid)>);

impl Mints {
    pub(super) const WINDOW: Duration = Duration::from_secs(600);
    pub(super) const IN_WINDOW: usize = 10;

    /// Counts one, or says how long to wait, where `most` may be.
    pub(super) fn take(
        &mut self,
        attempt: Uuid,
        most: usize,
        now: Instant,
    ) -> Result<(), Duration> {
        self.forget(now);
        match self.0.front() {
            Some(&(first, _)) if self.0.len() >= most => {
                Err((first + Self::WINDOW).saturating_duration_since(now))
            }
            _ => {
                self.0.push_back((now, attempt));
                Ok(())
            }
        }
    }

    /// Counts one that was allowed elsewhere.
    pub(super) fn note(&mut self, attempt: Uuid, now: Instant) {
        self.forget(now);
        self.0.push_back((now, attempt));
    }

    /// The last one never reached Zoho.
    pub(super) fn give_back(&mut self) {
        self.0.pop_back();
    }

    /// How long ago each was, and its id.
    pub(super) fn ages(&self, now: Instant) -> Vec<(Duration, Uuid)> {
        let ages = self.0.iter();
        ages.map(|(at, id)| (now.saturating_duration_since(*at), *id))
            .filter(|(age, _)| *age < Self::WINDOW)
            .collect()
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |(at, _): &(Instant, Uuid)| now >= *at + Self::WINDOW;
        while self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tokens_in_ten_minutes_and_no_more() {
        let (mut mints, start) = (Mints::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let mut take = |at| mints.take(Uuid::new_v4(), Mints::IN_WINDOW, at);
        for n in 0..10 {
            assert_eq!(take(start + minute * n / 2), Ok(()));
        }
        assert_eq!(take(start + minute * 5), Err(minute * 5));
        assert_eq!(take(start + minute * 10), Ok(()));
        assert!(take(start + minute * 10).is_err());
    }

    #[test]
    fn what_was_allowed_elsewhere_counts_here() {
        let (mut mints, now) = (Mints::default(), Instant::now());
        mints.note(Uuid::new_v4(), now);
        assert_eq!(mints.take(Uuid::new_v4(), 1, now), Err(Mints::WINDOW));
        assert_eq!(mints.ages(now + Mints::WINDOW / 2).len(), 1);
        assert!(mints.ages(now + Mints::WINDOW).is_empty());
    }
}

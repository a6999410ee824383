//! How often access tokens may be asked for.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// When tokens were asked for: Zoho mints ten in ten minutes, and asking for more locks us out.
#[derive(Default)]
pub(super) struct Mints(VecDeque<Instant>);

impl Mints {
    /// Counts one, or says how long to wait.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        while self.0.front().is_some_and(|&first| now >= first + WINDOW) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(&first) if self.0.len() >= IN_WINDOW => {
                Err((first + WINDOW).saturating_duration_since(now))
            }
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }

    /// The last one never reached Zoho.
    pub(super) fn give_back(&mut self) {
        self.0.pop_back();
    }
}

const WINDOW: Duration = Duration::from_secs(600);
const IN_WINDOW: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tokens_in_ten_minutes_and_no_more() {
        let (mut mints, start) = (Mints::default(), Instant::now());
        let minute = Duration::from_secs(60);
        for n in 0..10 {
            assert_eq!(mints.take(start + minute * n / 2), Ok(()));
        }
        assert_eq!(mints.take(start + minute * 5), Err(minute * 5));
        assert_eq!(mints.take(start + minute * 10), Ok(()));
        assert!(mints.take(start + minute * 10).is_err());
    }
}

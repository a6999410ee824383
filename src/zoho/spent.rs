//! Remembers that the organisation's credits are spent: asking again would bring nothing back.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Purse, ZohoError, lock, until};

/// Until when nobody asks, and when Zoho said to come back.
#[derive(Default)]
pub(super) struct Spent {
    pause: Mutex<Option<Pause>>,
    /// Whether the log says that credits are spent.
    said: AtomicBool,
}

#[derive(Clone, Copy)]
struct Pause {
    ask: Instant,
    back: Instant,
}

impl Spent {
    /// Whether nobody may ask now; takes no one's turn.
    pub(super) fn holds(&self, now: Instant) -> bool {
        lock(&self.pause).is_some_and(|held| now < held.ask)
    }

    /// Whether Zoho's last word is that they are spent, and they are not back yet.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        lock(&self.pause).is_some_and(|held| now < held.back)
    }

    /// Tells the log once of credits that no client is the only one to miss, and until when.
    pub(super) fn say(&self, error: &ZohoError) {
        let ZohoError::CreditsSpent { retry_after, whose } = error else {
            return;
        };
        if *whose != Purse::Client && !self.said.swap(true, Ordering::Relaxed) {
            let (whose, until) = (whose.name(), until(*retry_after));
            tracing::warn!(
                whose,
                until,
                "zoho's credits are spent: requests are refused"
            );
        }
    }

    /// Tells the log that there are some again, where it says otherwise.
    pub(super) fn say_over(&self) {
        if self.said.load(Ordering::Relaxed) && self.said.swap(false, Ordering::Relaxed) {
            tracing::info!("there are zoho credits again");
        }
    }

    /// Why a request may not be sent now. Once a minute one may, since credits of a rolling day
    /// come back bit by bit.
    pub(super) fn refuses(&self, now: Instant) -> Option<ZohoError> {
        let mut pause = lock(&self.pause);
        let held = pause.as_mut()?;
        if now >= held.ask {
            held.ask = now + PAUSE;
            return None;
        }
        let retry_after = held.back.saturating_duration_since(now);
        Some(ZohoError::CreditsSpent {
            retry_after: retry_after.max(held.ask - now),
            whose: Purse::Zoho,
        })
    }

    /// What Zoho answered: that credits are spent, or anything else, which shows that some are left.
    pub(super) fn heard(&self, error: Option<&ZohoError>, now: Instant) {
        let mut pause = lock(&self.pause);
        match error {
            Some(ZohoError::CreditsSpent { retry_after, .. }) => {
                *pause = Some(Pause {
                    ask: now + PAUSE.min(*retry_after),
                    back: now + *retry_after,
                });
            }
            None => *pause = None,
            Some(_) => {}
        }
    }
}

const PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn spent_for(retry_after: Duration) -> ZohoError {
        let whose = Purse::Zoho;
        ZohoError::CreditsSpent { retry_after, whose }
    }

    fn waits(spent: &Spent, now: Instant) -> Option<Duration> {
        match spent.refuses(now) {
            Some(ZohoError::CreditsSpent { retry_after, .. }) => Some(retry_after),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    #[test]
    fn spent_credits_hold_everybody_back_but_one_a_minute() {
        let (spent, now) = (Spent::default(), Instant::now());
        assert_eq!(waits(&spent, now), None);
        let error = spent_for(HOUR);
        spent.heard(Some(&error), now);
        assert_eq!(waits(&spent, now), Some(HOUR));
        assert_eq!(waits(&spent, now + PAUSE / 2), Some(HOUR - PAUSE / 2));
        assert_eq!(waits(&spent, now + PAUSE), None);
        assert!(waits(&spent, now + PAUSE).is_some());
        spent.heard(Some(&ZohoError::NotFound), now + PAUSE);
        assert!(waits(&spent, now + PAUSE).is_some());
        assert!(spent.is_over(now + PAUSE) && !spent.is_over(now + HOUR));
        spent.heard(None, now + PAUSE);
        assert_eq!(waits(&spent, now + PAUSE), None);
        assert!(!spent.is_over(now + PAUSE));
    }

    #[test]
    fn what_zoho_says_itself_is_honoured() {
        let (spent, now) = (Spent::default(), Instant::now());
        let soon = Duration::from_secs(5);
        let error = spent_for(soon);
        spent.heard(Some(&error), now);
        assert_eq!(waits(&spent, now), Some(soon));
        assert_eq!(waits(&spent, now + soon), None);
    }
}

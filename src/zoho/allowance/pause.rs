//! Remembers that Zoho itself says that the organisation's credits are spent: asking again would
//! bring nothing back. All instances keep it together over Redis; this is what one of them knows.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::super::{Purse, ZohoError, lock, until};

/// Until when nobody asks, and when Zoho said to come back.
#[derive(Default)]
pub(super) struct Pause {
    held: Mutex<Option<Held>>,
    /// Whether the log says that credits are spent.
    said: AtomicBool,
}

#[derive(Clone, Copy)]
struct Held {
    /// When one request may ask all the same.
    ask: Instant,
    back: Instant,
    /// Since when it is known: an answer to what was asked before proves nothing.
    since: Instant,
    /// Redis was not told yet.
    is_news: bool,
}

impl Pause {
    /// How long it still takes.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let left = lock(&self.held).map(|held| held.back.saturating_duration_since(now));
        left.filter(|left| !left.is_zero())
    }

    /// Zoho says that credits are spent.
    pub(super) fn begin(&self, retry_after: Duration, now: Instant) {
        *lock(&self.held) = Some(Held {
            ask: now + ASK_EVERY.min(retry_after),
            back: now + retry_after,
            since: now,
            is_news: true,
        });
    }

    /// Zoho did what was asked of it at `asked`, which shows that some are left. Says whether that
    /// ends a pause.
    pub(super) fn end(&self, asked: Instant) -> bool {
        let mut held = lock(&self.held);
        let ends = held.is_some_and(|held| asked >= held.since);
        if ends {
            *held = None;
        }
        ends
    }

    /// Redis says how long it still takes.
    pub(super) fn learn(&self, left: Option<Duration>, now: Instant) {
        let mut held = lock(&self.held);
        if held.is_some_and(|held| held.is_news) {
            return;
        }
        let known = held.filter(|held| now < held.back);
        *held = left.map(|left| Held {
            ask: known.map_or(now + ASK_EVERY.min(left), |held| held.ask),
            back: now + left,
            since: known.map_or(now, |held| held.since),
            is_news: false,
        });
    }

    /// How long until one may ask all the same, and until they are back; where Redis does not know
    /// it, or with `everything` also where it has lost it.
    pub(super) fn news(&self, everything: bool, now: Instant) -> Option<(Duration, Duration)> {
        let held = lock(&self.held).filter(|held| now < held.back)?;
        let span = |at: Instant| at.saturating_duration_since(now);
        (held.is_news || everything).then(|| (span(held.ask), span(held.back)))
    }

    /// Redis knows it.
    pub(super) fn told(&self) {
        if let Some(held) = lock(&self.held).as_mut() {
            held.is_news = false;
        }
    }

    /// Why this instance by itself may not ask now; takes no one's turn.
    pub(super) fn refuses(&self, now: Instant) -> Option<ZohoError> {
        let held = lock(&self.held).filter(|held| now < held.back && now < held.ask)?;
        Some(spent(held.back - now))
    }

    /// A request asks. Once a minute one may, since credits of a rolling day come back bit by bit.
    pub(super) fn ask(&self, now: Instant) {
        if let Some(held) = lock(&self.held).as_mut() {
            held.ask = now + ASK_EVERY;
        }
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
}

fn spent(retry_after: Duration) -> ZohoError {
    ZohoError::CreditsSpent {
        retry_after,
        whose: Purse::Zoho,
    }
}

/// As long as in the script.
const ASK_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn waits(pause: &Pause, now: Instant) -> Option<Duration> {
        match pause.refuses(now) {
            Some(ZohoError::CreditsSpent { retry_after, .. }) => Some(retry_after),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    #[test]
    fn spent_credits_hold_everybody_back_but_one_a_minute() {
        let (pause, now) = (Pause::default(), Instant::now());
        assert_eq!(waits(&pause, now), None);
        pause.begin(HOUR, now);
        assert_eq!(waits(&pause, now), Some(HOUR));
        assert_eq!(
            waits(&pause, now + ASK_EVERY / 2),
            Some(HOUR - ASK_EVERY / 2)
        );
        assert_eq!(waits(&pause, now + ASK_EVERY), None);
        pause.ask(now + ASK_EVERY);
        assert!(waits(&pause, now + ASK_EVERY).is_some());
        assert_eq!(waits(&pause, now + ASK_EVERY * 2), None);
        assert_eq!(waits(&pause, now + HOUR), None);
        assert!(pause.left(now + ASK_EVERY).is_some() && pause.left(now + HOUR).is_none());
    }

    #[test]
    fn what_zoho_says_itself_is_honoured() {
        let (pause, now) = (Pause::default(), Instant::now());
        let soon = Duration::from_secs(5);
        pause.begin(soon, now);
        assert_eq!(waits(&pause, now), Some(soon));
        assert_eq!(waits(&pause, now + soon), None);
    }

    #[test]
    fn only_what_was_asked_after_it_ends_a_pause() {
        let (pause, before) = (Pause::default(), Instant::now());
        let now = before + Duration::from_secs(1);
        pause.begin(HOUR, now);
        assert!(!pause.end(before) && pause.left(now).is_some());
        assert!(pause.end(now + ASK_EVERY) && pause.left(now).is_none());
        assert!(!pause.end(now + ASK_EVERY), "there is none");
    }

    #[test]
    fn redis_knows_better_but_what_it_was_not_told() {
        let (pause, now) = (Pause::default(), Instant::now());
        pause.begin(HOUR, now);
        pause.learn(None, now);
        assert_eq!(pause.left(now), Some(HOUR), "redis does not know yet");
        assert!(pause.news(false, now).is_some());
        pause.told();
        assert_eq!(pause.news(false, now), None);
        assert_eq!(pause.news(true, now), Some((ASK_EVERY, HOUR)));
        pause.learn(Some(HOUR * 2), now);
        assert_eq!(pause.left(now), Some(HOUR * 2));
        pause.learn(None, now);
        assert_eq!(pause.left(now), None);
    }
}

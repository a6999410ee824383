//! The sandbox's clock: real time, moved by whoever tests with it.

use std::sync::atomic::{AtomicI64, Ordering};

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822, tz::TimeZone};

/// Real time plus an offset.
#[derive(Default)]
pub(super) struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// A clock that reads `now` at this moment and runs on from there.
    pub(super) fn reading(now: Option<Timestamp>) -> Self {
        let offset = now.map_or(0, |now| {
            now.as_millisecond() - Timestamp::now().as_millisecond()
        });
        Self {
            offset_ms: AtomicI64::new(offset),
        }
    }

    /// What time it is in the sandbox.
    pub(super) fn now(&self) -> Timestamp {
        let real = Timestamp::now();
        real.checked_add(SignedDuration::from_millis(self.offset_ms()))
            .unwrap_or(real)
    }

    /// How far the sandbox is ahead of the world.
    pub(super) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves the clock forward; `false` when that would leave [`FURTHEST_MS`].
    pub(super) fn advance(&self, by: std::time::Duration) -> bool {
        let Ok(by) = i64::try_from(by.as_millis()) else {
            return false;
        };
        let moved = |offset: i64| offset.checked_add(by).filter(|at| *at <= FURTHEST_MS);
        let order = Ordering::Relaxed;
        self.offset_ms.fetch_update(order, order, moved).is_ok()
    }

    /// Back to what it was at the start.
    pub(super) fn set_offset_ms(&self, offset: i64) {
        self.offset_ms.store(offset, Ordering::Relaxed);
    }
}

/// A moment as the `Date` of an answer has it.
pub(super) fn date(at: Timestamp) -> Option<HeaderValue> {
    let printer = rfc2822::DateTimePrinter::new();
    let date = printer.timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::try_from(date).ok()
}

/// A moment as Zoho writes it: the reader's offset, whole seconds, never `Z`.
pub(super) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

/// Ten years, far inside what a timestamp can hold.
const FURTHEST_MS: i64 = 10 * 366 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_carries_the_readers_offset() {
        let at: Timestamp = "2026-05-14T09:52:27.9Z".parse().unwrap();
        assert_eq!(
            moment(at, &TimeZone::get("Europe/Bucharest").unwrap()),
            "2026-05-14T12:52:27+03:00"
        );
        assert_eq!(moment(at, &TimeZone::UTC), "2026-05-14T09:52:27+00:00");
    }

    #[test]
    fn the_clock_advances_and_refuses_absurd_jumps() {
        let clock = Clock::default();
        let before = clock.now();
        assert!(clock.advance(std::time::Duration::from_secs(7200)));
        assert!(clock.now().as_second() - before.as_second() >= 7200);
        assert!(!clock.advance(std::time::Duration::from_secs(u64::MAX / 1000)));
    }
}

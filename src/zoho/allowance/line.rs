//! Those who wait for a place, and how long one more would. Whoever would wait for too long is told
//! at once: its answer would come late or never, and would hold up everybody behind it.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::lock;

/// A line before places, first come, first served.
pub(super) struct Line {
    places: u32,
    waiting: AtomicU32,
    pace: Mutex<Pace>,
}

struct Pace {
    /// From one who gets a place to the next, smoothed, as measured while others wait.
    between: Duration,
    /// When somebody got a place last, if others were left waiting.
    last: Option<Instant>,
    /// Since when somebody waits and nobody gets a place.
    stands: Option<Instant>,
}

/// One in the line; leaves it when dropped.
pub(super) struct Waiter<'a>(&'a Line);

impl Line {
    pub(super) fn before(places: u32) -> Self {
        let places = places.max(1);
        Self {
            places,
            waiting: AtomicU32::new(0),
            pace: Mutex::new(Pace {
                between: USUAL / places,
                last: None,
                stands: None,
            }),
        }
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long one who comes now has to wait. While nobody gets a place any more, it grows.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        match self.waiting() {
            0 => Duration::ZERO,
            waiting => lock(&self.pace)
                .at(now, self.places)
                .saturating_mul(waiting),
        }
    }

    /// Joins the line, unless that means to wait for longer than `patience`.
    ///
    /// # Errors
    /// How long it would be.
    pub(super) fn join(&self, patience: Duration, now: Instant) -> Result<Waiter<'_>, Duration> {
        let wait = self.wait(now);
        if wait > patience {
            return Err(wait);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            lock(&self.pace).stands = Some(now);
        }
        Ok(Waiter(self))
    }
}

impl Pace {
    fn at(&self, now: Instant, places: u32) -> Duration {
        let since =
            |at: Option<Instant>| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        // What holds the places takes longer than the line has stood, so they get free no faster.
        let stood = since(self.stands) / places;
        since(self.last).max(stood).max(self.between)
    }
}

impl Waiter<'_> {
    /// It has got its place.
    pub(super) fn served(self, now: Instant) {
        let others = self.0.waiting() > 1;
        let mut pace = lock(&self.0.pace);
        if let Some(last) = pace.last {
            let measured = now.saturating_duration_since(last);
            pace.between = (pace.between * (SMOOTHED_OVER - 1) + measured) / SMOOTHED_OVER;
        }
        pace.last = others.then_some(now);
        pace.stands = pace.last;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            // What comes after a pause says nothing of the pace.
            let mut pace = lock(&self.0.pace);
            (pace.last, pace.stands) = (None, None);
        }
    }
}

/// What a request to Zoho takes, until it was measured.
const USUAL: Duration = Duration::from_millis(200);
/// Places come free in bursts.
const SMOOTHED_OVER: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A line of so many, and its first.
    fn line_of(line: &Line, waiting: u32, now: Instant) -> Vec<Waiter<'_>> {
        let join = |_| line.join(Duration::MAX, now).unwrap();
        (0..waiting).map(join).collect()
    }

    #[test]
    fn nobody_waits_for_a_free_place() {
        let (line, now) = (Line::before(8), Instant::now());
        assert!(line.join(Duration::ZERO, now).is_ok());
        assert_eq!(line.waiting(), 0);
    }

    #[test]
    fn the_wait_is_as_long_as_the_line_and_as_slow_as_its_pace() {
        let (line, mut now) = (Line::before(2), Instant::now());
        let mut waiters = line_of(&line, 400, now);
        assert_eq!(line.wait(now), 400 * USUAL / 2, "as is usual");
        for waiter in waiters.drain(..200) {
            waiter.served(now);
            now += SECOND;
        }
        now -= SECOND;
        let wait = line.wait(now).as_secs_f64();
        assert!((wait - 200.0).abs() < 2.0, "one a second: {wait}");
        assert!(line.join(100 * SECOND, now).is_err(), "too long");
        assert!(line.join(300 * SECOND, now).is_ok());
    }

    #[test]
    fn a_line_that_stands_still_gets_longer() {
        let (line, now) = (Line::before(2), Instant::now());
        let mut waiters = line_of(&line, 5, now);
        waiters.pop().unwrap().served(now);
        assert!(line.wait(now) < SECOND);
        assert_eq!(line.wait(now + 10 * SECOND), 40 * SECOND);
        drop(waiters);
        assert_eq!(line.wait(now + 10 * SECOND), Duration::ZERO);
    }

    #[test]
    fn a_line_that_nobody_has_left_yet_gets_longer_too() {
        let (line, now) = (Line::before(2), Instant::now());
        let _waiters = line_of(&line, 5, now);
        assert!(line.wait(now) < SECOND);
        assert_eq!(line.wait(now + 4 * SECOND), 10 * SECOND, "two at a time");
    }

    #[test]
    fn who_gives_up_leaves_the_line_and_no_trace() {
        let (line, now) = (Line::before(1), Instant::now());
        drop(line_of(&line, 3, now));
        assert_eq!(line.waiting(), 0);
        let later = now + 100 * SECOND;
        line.join(Duration::ZERO, later).unwrap().served(later);
        let _one = line.join(Duration::ZERO, later).unwrap();
        assert_eq!(line.wait(later), USUAL, "a pause is no pace");
    }
}

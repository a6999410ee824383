//! Stops asking a Zoho that does not answer, and asks again after a few seconds.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::lock;

/// Counts failures in a row; one breaker for each organisation.
#[derive(Default)]
pub(super) struct Breaker(Mutex<Circuit>);

#[derive(Default)]
struct Circuit {
    failures: u32,
    /// While open: when the next request may try its luck.
    next_try: Option<Instant>,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    /// Whether a request may be sent now. While open, one request in each pause may: it proves
    /// whether Zoho is back, and if it is dropped half-way the next pause has another.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut circuit = lock(&self.0);
        match circuit.next_try {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                circuit.next_try = Some(now + PAUSE);
                true
            }
        }
    }

    /// Whether no request may be sent now; takes no one's turn.
    pub(super) fn holds(&self, now: Instant) -> bool {
        lock(&self.0).next_try.is_some_and(|at| now < at)
    }

    /// Zoho answered.
    pub(super) fn success(&self) -> Change {
        let mut circuit = lock(&self.0);
        circuit.failures = 0;
        match circuit.next_try.take() {
            Some(_) => Change::Closed,
            None => Change::None,
        }
    }

    /// Zoho did not answer, or with a server error.
    pub(super) fn failure(&self, now: Instant) -> Change {
        let mut circuit = lock(&self.0);
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.failures < FAILURES {
            return Change::None;
        }
        // While open the probes alone set the pace: one that fails late, out of a long silence, must
        // not put off the one that would find Zoho back.
        if circuit.next_try.is_some() {
            return Change::None;
        }
        circuit.next_try = Some(now + PAUSE);
        Change::Opened
    }

    /// Zoho answers nobody: no request tries its luck before `until`, since others find out when it is
    /// back.
    pub(super) fn hold(&self, until: Instant) -> Change {
        match lock(&self.0).next_try.replace(until) {
            Some(_) => Change::None,
            None => Change::Opened,
        }
    }
}

const FAILURES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_ten_failures_in_a_row_and_lets_one_through_in_each_pause() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..9 {
            assert_eq!(breaker.failure(now), Change::None);
        }
        assert!(breaker.admits(now));
        assert_eq!(breaker.failure(now), Change::Opened);
        assert!(!breaker.admits(now));
        assert!(breaker.admits(now + PAUSE));
        assert!(!breaker.admits(now + PAUSE));
        assert_eq!(breaker.failure(now + PAUSE), Change::None);
        assert!(!breaker.admits(now + PAUSE + PAUSE / 2));
        assert!(breaker.admits(now + PAUSE * 2));
        assert_eq!(breaker.success(), Change::Closed);
        assert!(breaker.admits(now));
    }

    #[test]
    fn a_probe_that_fails_late_puts_off_no_other() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            breaker.failure(now);
        }
        let next = now + PAUSE;
        assert!(breaker.admits(next));
        assert_eq!(breaker.failure(next + PAUSE - PAUSE / 10), Change::None);
        assert!(breaker.admits(next + PAUSE));
    }

    #[test]
    fn while_it_is_held_nobody_tries_and_an_answer_ends_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.hold(now + PAUSE * 5), Change::Opened);
        assert_eq!(breaker.hold(now + PAUSE * 9), Change::None);
        assert!(!breaker.admits(now + PAUSE * 8));
        assert_eq!(breaker.success(), Change::Closed);
        assert!(breaker.admits(now));
        assert_eq!(breaker.failure(now), Change::None);
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..30 {
            for _ in 0..9 {
                assert_eq!(breaker.failure(now), Change::None);
            }
            assert_eq!(breaker.success(), Change::None);
        }
    }
}

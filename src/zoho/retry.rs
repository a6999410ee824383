//! Which failures are tried again, and when.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::{Problem, ZohoError, lock};

/// Whether a request may change the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
}

/// How long to wait before trying a failed request again; `None` where it is not tried again.
/// `random` spreads the callers: full jitter.
pub(super) fn pause(
    effect: Effect,
    error: &ZohoError,
    retries: u32,
    random: u32,
) -> Option<Duration> {
    if effect == Effect::Write || retries >= MAX_RETRIES {
        return None;
    }
    match error {
        ZohoError::Busy { retry_after, .. } | ZohoError::TokenThrottled { retry_after } => {
            Some(jitter(retries, random).max(*retry_after))
        }
        ZohoError::Unavailable { problem } | ZohoError::NoToken { problem } if passes(*problem) => {
            Some(jitter(retries, random))
        }
        _ => None,
    }
}

/// Whether a problem is likely gone after a moment.
pub(super) fn passes(problem: Problem) -> bool {
    match problem {
        Problem::Connect | Problem::Timeout | Problem::Broken | Problem::Unreadable => true,
        Problem::Status(status) => status >= 500,
        Problem::TooLarge | Problem::CircuitOpen => false,
    }
}

fn jitter(retries: u32, random: u32) -> Duration {
    let top = (FIRST_TOP * 2_u32.saturating_pow(retries)).min(LONGEST);
    SHORTEST + (top - SHORTEST).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Retries that the whole process may still spend: a tenth of its requests, and a few a second so
/// that a quiet system is tried again too.
pub(super) struct Budget(Mutex<Purse>);

struct Purse {
    retries: f64,
    filled: Instant,
}

impl Budget {
    /// A full budget.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Purse {
            retries: PURSE,
            filled: now,
        }))
    }

    /// A first try was sent.
    pub(super) fn earn(&self) {
        let mut purse = lock(&self.0);
        purse.retries = (purse.retries + SHARE).min(PURSE);
    }

    /// Takes one retry, if there is one.
    pub(super) fn spend(&self, now: Instant) -> bool {
        let mut purse = lock(&self.0);
        let idle = now.saturating_duration_since(purse.filled).as_secs_f64();
        purse.filled = now;
        purse.retries = (purse.retries + idle * EACH_SECOND).min(PURSE);
        let enough = purse.retries >= 1.0;
        if enough {
            purse.retries -= 1.0;
        }
        enough
    }
}

const MAX_RETRIES: u32 = 2;
const SHORTEST: Duration = Duration::from_millis(100);
const FIRST_TOP: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(2);
const SHARE: f64 = 0.1;
const EACH_SECOND: f64 = 2.0;
const PURSE: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DOWN: ZohoError = ZohoError::Unavailable {
        problem: Problem::Status(503),
    };

    #[test]
    fn a_write_is_never_tried_again() {
        for random in [0, u32::MAX] {
            assert_eq!(pause(Effect::Write, &DOWN, 0, random), None);
        }
    }

    #[test]
    fn only_what_passes_is_tried_again_and_only_twice() {
        assert!(pause(Effect::Read, &DOWN, 1, 7).is_some());
        assert_eq!(pause(Effect::Read, &DOWN, 2, 7), None);
        for problem in [
            Problem::TooLarge,
            Problem::CircuitOpen,
            Problem::Status(404),
        ] {
            assert_eq!(
                pause(Effect::Read, &ZohoError::Unavailable { problem }, 0, 7),
                None
            );
        }
        for error in [ZohoError::NotFound, ZohoError::DeadlineExceeded] {
            assert_eq!(pause(Effect::Read, &error, 0, 7), None);
        }
        let spent = ZohoError::CreditsSpent {
            retry_after: Duration::from_secs(3600),
            whose: super::super::Purse::Zoho,
        };
        assert_eq!(pause(Effect::Read, &spent, 0, 7), None);
    }

    #[test]
    fn zohos_own_wish_is_honoured() {
        let retry_after = Duration::from_secs(9);
        let full = super::super::error::Full::Zoho;
        let busy = ZohoError::Busy { retry_after, full };
        let wait = pause(Effect::Read, &busy, 0, 7).unwrap();
        assert_eq!(wait, retry_after);
    }

    #[test]
    fn a_dead_upstream_costs_a_tenth_more_and_a_quiet_one_is_tried_again() {
        let start = Instant::now();
        let budget = Budget::new(start);
        let spent = (0..1_000)
            .filter(|_| {
                budget.earn();
                budget.spend(start)
            })
            .count();
        assert!((100..=111).contains(&spent), "{spent}");
        assert!(!budget.spend(start));
        assert!(budget.spend(start + Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn every_pause_is_between_its_bounds(retries in 0..2_u32, random: u32) {
            let wait = pause(Effect::Read, &DOWN, retries, random).unwrap();
            prop_assert!((SHORTEST..=LONGEST).contains(&wait));
        }
    }
}

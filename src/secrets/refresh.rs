//! When a secret is looked at again.

use std::time::Duration;

/// The rhythm in which one secret is read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    longest: Duration,
}

impl Pace {
    /// At least once in `longest`.
    pub const fn at_least_every(longest: Duration) -> Self {
        Self { longest }
    }

    /// Until the next look, after so many failures in a row.
    pub fn pause(self, failures: u32) -> Duration {
        let random = getrandom::u32().unwrap_or(u32::MAX);
        match failures {
            0 => self.after_success(random),
            failures => self.after_failure(failures, random),
        }
    }

    /// After it was read: a fifth earlier or later than the mean, so that instances that started
    /// together drift apart, and never later than asked for, so that a revocation is in time.
    fn after_success(self, random: u32) -> Duration {
        spread(self.longest.mul_f64(1.0 / 1.2), random)
    }

    /// After the `failures`-th failure in a row: soon at first, so that a short outage stays short.
    fn after_failure(self, failures: u32, random: u32) -> Duration {
        let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        spread(doubled.min(SLOWEST), random).min(self.longest)
    }
}

/// 80 to 120 % of `mean`.
fn spread(mean: Duration, random: u32) -> Duration {
    mean.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX))
}

const FIRST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_look_is_never_later_than_asked_for(millis in 1_u64..3_600_000, random: u32, failures: u32) {
            let longest = Duration::from_millis(millis);
            let pace = Pace::at_least_every(longest);
            let within = pace.after_success(random);
            proptest::prop_assert!(within <= longest + Duration::from_millis(1));
            proptest::prop_assert!(within >= longest.mul_f64(0.66));
            proptest::prop_assert!(pace.after_failure(failures, random) <= longest);
            proptest::prop_assert!(pace.after_failure(failures, random) <= Duration::from_secs(5));
        }
    }

    #[test]
    fn failures_are_waited_out_longer_and_longer() {
        let pace = Pace::at_least_every(Duration::from_secs(30));
        let waits = [1, 2, 3, 4, 99].map(|n| pace.after_failure(n, u32::MAX / 2).as_secs_f64());
        for (wait, expected) in waits.iter().zip([0.5, 1.0, 2.0, 4.0, 4.0]) {
            assert!((wait - expected).abs() < 0.01, "{waits:?}");
        }
    }
}

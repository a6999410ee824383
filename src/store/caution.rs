//! How long to look before trusting again: the longer, the more often trust did not last.

use std::time::Duration;

/// Bounds how often something changes to and fro. What has lasted is trusted again after the
/// shortest look; what fails again and again is looked at twice as long each time.
#[derive(Clone, Debug)]
pub struct Caution {
    shortest: Duration,
    longest: Duration,
    look: Duration,
    has_ended: bool,
}

impl Caution {
    /// Looks for `shortest` at first, and never for longer than `longest`.
    pub const fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest,
            look: shortest,
            has_ended: false,
        }
    }

    /// How long to look before trusting.
    pub const fn look(&self) -> Duration {
        self.look
    }

    /// Trust has ended after so long. The first time says nothing: it may be an outage like any other.
    pub fn ended(&mut self, lasted: Duration) {
        self.look = match lasted >= LASTS || !self.has_ended {
            true => self.shortest,
            false => (self.look * 2).min(self.longest),
        };
        self.has_ended = true;
    }
}

/// What is trusted for this long has lasted.
const LASTS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHORTEST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(3);

    #[test]
    fn one_outage_is_followed_by_a_short_look_and_a_row_of_them_by_long_ones() {
        let mut caution = Caution::new(SHORTEST, LONGEST);
        caution.ended(Duration::ZERO);
        assert_eq!(caution.look(), SHORTEST);
        let looks: Vec<u128> = (0..6)
            .map(|_| {
                caution.ended(Duration::ZERO);
                caution.look().as_millis()
            })
            .collect();
        assert_eq!(looks, [1_000, 2_000, 3_000, 3_000, 3_000, 3_000]);
        caution.ended(LASTS);
        assert_eq!(caution.look(), SHORTEST);
    }

    proptest! {
        #[test]
        fn a_minute_never_sees_more_than_two_dozen_outages(
            lasts in proptest::collection::vec(0_u64..30_000, 100)
        ) {
            let mut caution = Caution::new(SHORTEST, LONGEST);
            let (mut now, mut ends) = (Duration::ZERO, Vec::new());
            for lasted in lasts.into_iter().map(Duration::from_millis) {
                now += lasted;
                ends.push(now);
                caution.ended(lasted);
                now += caution.look();
            }
            for (n, end) in ends.iter().enumerate() {
                let within = ends[n..].iter().filter(|it| **it < *end + Duration::from_secs(60));
                prop_assert!(within.count() <= 24);
            }
        }
    }
}

//! Why there is no token, and until when none is asked for.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Problem, ZohoError, error::Code};

/// What failures in a row are counted from when Zoho is seen back for the first time: more than there are
/// otherwise.
pub(super) const RETURNED: u32 = 1_000_000;
const RETURNED_AND_FAILED: u32 = RETURNED + 1;

/// The last failure, until a token comes.
pub(super) struct Stop {
    pub(super) why: Why,
    /// Without an end only other credentials help.
    pub(super) until: Option<Instant>,
    /// When it is looked again, although it is not over: another instance may have a token, or the one
    /// that was refused may be good.
    pub(super) again: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Why {
    /// The credentials are wrong or revoked.
    Refused(Code),
    /// Tokens that were just minted are not taken.
    Unaccepted,
    /// Too many tokens were asked for; asking again makes it longer.
    Throttled,
    /// All attempts that this instance may make are made. It is told to nobody: each has its own.
    Spent,
    Trouble(Problem),
}

impl Why {
    /// What an answer without a token says. Zoho is judged by its word, not by its status.
    pub(super) fn of(error: &str, status: u16) -> Self {
        let permanent = error.starts_with("invalid_") || error == "unauthorized_client";
        match error {
            _ if permanent => Self::Refused(Code::new(error)),
            "Access Denied" => Self::Throttled,
            _ if status == 429 => Self::Throttled,
            _ if (200..300).contains(&status) => Self::Trouble(Problem::Unreadable),
            _ => Self::Trouble(Problem::Status(status)),
        }
    }

    /// How long nobody asks again after `failures` earlier failures in a row; `None` for ever.
    pub(super) fn pause(&self, failures: u32, random: u32) -> Option<Duration> {
        let growth = 4_u32.saturating_pow(failures.min(8));
        match self {
            Self::Refused(_) | Self::Spent => None,
            Self::Unaccepted => {
                Some((Duration::from_secs(2) * growth).min(Duration::from_secs(120)))
            }
            Self::Throttled => {
                let spread = f64::from(random) / f64::from(u32::MAX);
                Some(Duration::from_secs(300) + Duration::from_secs(600).mul_f64(spread))
            }
            // Nothing was asked for, so trying again soon costs nothing.
            Self::Trouble(Problem::Connect) => Some(Duration::from_millis(500)),
            // Zoho may have minted. Soon at first, and then so that ten tries take longer than Zoho
            // counts. That it is well again is found out by looking, not by trying.
            Self::Trouble(_) => Some(match failures {
                0 => Duration::from_millis(500),
                1 => Duration::from_secs(1),
                2 => Duration::from_secs(75),
                // The accounts server may come back before it gives tokens again.
                RETURNED => Duration::from_secs(1),
                RETURNED_AND_FAILED => Duration::from_secs(3),
                _ => Duration::from_secs(90),
            }),
        }
    }

    /// Whether Zoho heard nothing of the attempt.
    pub(super) const fn is_unheard(&self) -> bool {
        matches!(self, Self::Trouble(Problem::Connect))
    }

    /// For a span.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "credentials_refused",
            Self::Unaccepted => "unaccepted",
            Self::Throttled => "throttled",
            Self::Spent => "spent",
            Self::Trouble(problem) => problem.name(),
        }
    }

    /// For the other instances.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Refused(code) => format!("refused:{code}"),
            Self::Unaccepted => "unaccepted".into(),
            Self::Throttled => "throttled".into(),
            Self::Spent => "spent".into(),
            Self::Trouble(Problem::Status(status)) => status.to_string(),
            Self::Trouble(problem) => problem.name().into(),
        }
    }

    /// What another instance said. Whatever it is, something is in the way.
    pub(super) fn from_text(text: &str) -> Self {
        let problems = [Problem::Timeout, Problem::Broken, Problem::TooLarge];
        let problem = problems.into_iter().find(|it| it.name() == text);
        match (text.strip_prefix("refused:"), text, text.parse()) {
            (Some(code), ..) => Self::Refused(Code::new(code)),
            (_, "unaccepted", _) => Self::Unaccepted,
            (_, "throttled", _) => Self::Throttled,
            (.., Ok(status)) => Self::Trouble(Problem::Status(status)),
            _ => Self::Trouble(problem.unwrap_or(Problem::Unreadable)),
        }
    }
}

impl Stop {
    /// Whether nobody even looks.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.lasts(now) && self.again.is_none_or(|again| now < again)
    }

    /// Whether Zoho is not asked.
    pub(super) fn lasts(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// For how long still too many tokens were asked for.
    pub(super) fn throttles(&self, now: Instant) -> Option<Duration> {
        let until = self.until.filter(|_| self.why == Why::Throttled)?;
        let left = until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Whether Zoho is not asked by this instance, even if Redis does not know of it.
    pub(super) fn bars(&self, now: Instant) -> bool {
        matches!(self.why, Why::Throttled | Why::Unaccepted) && self.lasts(now)
    }

    /// Whether it stays in spite of a newer one: that Zoho was asked too often is kept in mind until its end.
    pub(super) fn outweighs(&self, newer: &Self, now: Instant) -> bool {
        let until = self.until.map(|until| until + SAME);
        self.throttles(now).is_some()
            && match newer.why {
                Why::Throttled => until >= newer.until,
                Why::Refused(_) => false,
                Why::Unaccepted | Why::Spent | Why::Trouble(_) => true,
            }
    }

    /// Whether none is asked for, because too many were, by Zoho's word or by our own count.
    pub(super) fn is_too_many(&self, now: Instant) -> bool {
        matches!(self.why, Why::Throttled | Why::Spent) && self.lasts(now)
    }

    pub(super) fn error(&self, now: Instant) -> ZohoError {
        let left = || {
            let until = self.until;
            until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
        };
        match &self.why {
            Why::Refused(code) => ZohoError::Credentials { code: code.clone() },
            Why::Unaccepted => ZohoError::TokenRefused {
                retry_after: left(),
            },
            Why::Throttled | Why::Spent => ZohoError::TokenThrottled {
                retry_after: left(),
            },
            Why::Trouble(problem) => ZohoError::NoToken { problem: *problem },
        }
    }
}

/// What is heard again seems to end so much later.
const SAME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoho::mints::Mints;

    #[test]
    fn failures_are_told_apart_by_their_name_alone() {
        for status in [200, 400] {
            for error in ["invalid_code", "invalid_client_secret"] {
                assert_eq!(Why::of(error, status), Why::Refused(Code::new(error)));
            }
            assert_eq!(Why::of("Access Denied", status), Why::Throttled);
        }
        assert_eq!(
            Why::of("general_error", 500),
            Why::Trouble(Problem::Status(500))
        );
    }

    #[test]
    fn a_throttled_refresh_waits_five_to_fifteen_minutes_and_a_refused_one_for_ever() {
        for random in [0, u32::MAX / 2, u32::MAX] {
            let pause = Why::Throttled.pause(0, random).unwrap().as_secs();
            assert!((300..=900).contains(&pause), "{pause}");
        }
        assert_eq!(Why::Refused(Code::new("invalid_code")).pause(0, 0), None);
        let trouble = Why::Trouble(Problem::Timeout);
        assert!(trouble.pause(0, 0).unwrap() < Duration::from_secs(1));
        assert_eq!(trouble.pause(u32::MAX, 0), Some(Duration::from_secs(90)));
    }

    #[test]
    fn ten_tries_take_longer_than_zoho_counts_and_none_comes_late() {
        let trouble = Why::Trouble(Problem::Status(503));
        let mut tries = vec![Duration::ZERO];
        for failures in 0..30 {
            let pause = trouble.pause(failures, 0).unwrap();
            assert!(pause <= Duration::from_secs(90));
            tries.push(*tries.last().unwrap() + pause);
        }
        let slow = |ten: &[Duration]| ten[9] - ten[0] > Mints::REST;
        assert!(tries.windows(10).all(slow), "{tries:?}");
        assert!(tries[2] < Duration::from_secs(2));
    }

    #[test]
    fn who_is_back_for_the_first_time_is_asked_three_times_and_then_seldom() {
        let trouble = Why::Trouble(Problem::Status(503));
        let pauses: Vec<_> = (RETURNED..RETURNED + 4)
            .map(|failures| trouble.pause(failures, 0).unwrap().as_secs())
            .collect();
        assert_eq!(pauses, [1, 3, 90, 90]);
    }

    #[test]
    fn what_zoho_never_heard_of_is_tried_again_at_once_for_ever() {
        let refused = Why::Trouble(Problem::Connect);
        assert!(refused.is_unheard());
        assert!(refused.pause(u32::MAX, 0) < Some(Duration::from_secs(4)));
    }

    #[test]
    fn other_instances_hear_the_same() {
        for why in [
            Why::Refused(Code::new("invalid_code")),
            Why::Unaccepted,
            Why::Throttled,
            Why::Trouble(Problem::Status(503)),
            Why::Trouble(Problem::Timeout),
            Why::Trouble(Problem::Unreadable),
        ] {
            assert_eq!(Why::from_text(&why.to_text()), why);
        }
        assert_eq!(
            Why::from_text("refused:\u{1b}[31m"),
            Why::Refused(Code::new("unknown"))
        );
        assert!(matches!(Why::from_text("?"), Why::Trouble(_)));
    }

    #[test]
    fn nothing_less_than_refused_credentials_takes_the_place_of_too_many_tokens() {
        let now = Instant::now();
        let stop = |why, seconds| Stop {
            why,
            until: Some(now + Duration::from_secs(seconds)),
            again: None,
        };
        let denied = stop(Why::Throttled, 600);
        let lesser = [
            stop(Why::Throttled, 300),
            stop(Why::Throttled, 601),
            stop(Why::Trouble(Problem::Status(503)), 900),
            stop(Why::Unaccepted, 900),
            stop(Why::Spent, 900),
        ];
        for other in &lesser {
            assert!(denied.outweighs(other, now));
            assert!(!denied.outweighs(other, now + Duration::from_secs(600)));
        }
        for other in &lesser[2..] {
            assert!(!other.outweighs(&denied, now));
        }
        let refused = stop(Why::Refused(Code::new("invalid_code")), 60);
        for other in [refused, stop(Why::Throttled, 900)] {
            assert!(!denied.outweighs(&other, now));
        }
    }
}

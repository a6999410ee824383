//! What Zoho takes a token for: what it has shown lately, so that it is not asked again and again.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::super::{ZohoError, lock};

/// A kind of request: its method, and its path without ids. There are as many as the code has.
pub(in crate::zoho) type Kind = (&'static str, &'static str);

/// What is known of one token.
#[derive(Default)]
pub(super) struct Verdicts {
    refused: Mutex<Vec<Refused>>,
    /// When it was taken for what everybody may ask for. Held by whoever finds that out.
    pub(super) proof: tokio::sync::Mutex<Option<Instant>>,
}

struct Refused {
    kind: Kind,
    first: Instant,
    last: Instant,
    /// When one goes through that finds out whether it is so still.
    next: Instant,
}

impl Verdicts {
    /// Requests of this kind were refused, while others were not.
    pub(super) fn refuse(&self, kind: Kind, now: Instant) {
        let mut refused = lock(&self.refused);
        refused.retain(|it| it.left(now).is_some());
        let before = refused.iter().find(|it| it.kind == kind);
        let first = before.map_or(now, |it| it.first);
        refused.retain(|it| it.kind != kind);
        refused.push(Refused {
            kind,
            first,
            last: now,
            next: now + TRY_EVERY,
        });
    }

    /// Whether one of this kind was refused lately, and none taken since.
    pub(super) fn has_refused(&self, kind: Kind, now: Instant) -> bool {
        let refused = lock(&self.refused);
        refused
            .iter()
            .any(|it| it.kind == kind && it.left(now).is_some())
    }

    /// A request of this kind was not refused.
    pub(super) fn take(&self, kind: Kind) {
        lock(&self.refused).retain(|it| it.kind != kind);
    }

    /// Why such a request is not sent. From time to time one is.
    pub(super) fn refusal(&self, kind: Kind, now: Instant) -> Option<ZohoError> {
        let mut refused = lock(&self.refused);
        let sure = |it: &&mut Refused| it.is_sure() && it.kind == kind;
        let sure = refused.iter_mut().find(sure)?;
        let retry_after = sure.left(now)?;
        if now >= sure.next {
            sure.next = now + TRY_EVERY;
            return None;
        }
        Some(ZohoError::TokenRefused { retry_after })
    }
}

impl Refused {
    /// Calls of one moment may be refused together, and the next is not.
    fn is_sure(&self) -> bool {
        self.last.saturating_duration_since(self.first) >= MOMENT
    }

    fn left(&self, now: Instant) -> Option<Duration> {
        let left = (self.last + REFUSED_HERE).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }
}

/// Longer than a proof that Zoho takes the token holds, so that a revoked one is found out first.
const MOMENT: Duration = Duration::from_secs(5);
/// Until somebody may have mended it.
pub(super) const REFUSED_HERE: Duration = Duration::from_secs(60);

/// How often one is sent all the same.
const TRY_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_for_longer_than_a_moment_is_not_asked_for_a_minute() {
        let (verdicts, now) = (Verdicts::default(), Instant::now());
        let (accounts, deals) = (("GET", "Accounts"), ("GET", "Deals"));
        for _ in 0..9 {
            verdicts.refuse(accounts, now);
        }
        assert!(verdicts.refusal(accounts, now).is_none(), "a moment's");
        let now = now + MOMENT;
        verdicts.refuse(deals, now);
        verdicts.refuse(accounts, now);
        assert!(verdicts.refusal(accounts, now).is_some());
        assert!(verdicts.refusal(deals, now).is_none());
        assert!(verdicts.refusal(("POST", "Accounts"), now).is_none());
        let later = now + REFUSED_HERE;
        assert!(verdicts.refusal(accounts, later).is_none());
        verdicts.refuse(accounts, later);
        assert!(verdicts.refusal(accounts, later).is_none());
    }

    #[test]
    fn one_of_a_refused_kind_goes_through_from_time_to_time_and_may_heal_it() {
        let (verdicts, now) = (Verdicts::default(), Instant::now());
        let deals = ("GET", "Deals");
        verdicts.refuse(deals, now);
        let mut now = now + MOMENT;
        for _ in 0..30 {
            verdicts.refuse(deals, now);
            assert!(verdicts.refusal(deals, now).is_some());
            now += TRY_EVERY;
            assert!(verdicts.refusal(deals, now).is_none(), "it is tried");
            assert!(verdicts.refusal(deals, now).is_some(), "by one");
        }
        verdicts.take(deals);
        assert!(verdicts.refusal(deals, now).is_none());
    }
}

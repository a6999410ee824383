//! A place in one window that a call has to have, and the verdict over all of them.

use std::time::Duration;

use super::{
    dimension::{DIMENSIONS, Dimension, Subject, Whose},
    rules::Rules,
    verdict::{Standing, Verdict},
    window::Outlook,
};
use crate::setting::{Limit, LimitMode};

/// One place in one window.
pub(super) struct Claim {
    pub(super) limit: Limit,
    pub(super) key: Key,
}

/// The dimension's name, and whose window it is.
pub(super) type Key = (&'static str, Whose);

/// The places that a call has to have, in the order of the table.
pub(super) fn claims(rules: &Rules, subject: &Subject<'_>) -> Vec<Claim> {
    let claim = |dimension: &'static Dimension| {
        Some(Claim {
            limit: (dimension.limit)(rules, subject)?,
            key: (dimension.name, (dimension.whose)(subject)),
        })
    };
    DIMENSIONS.iter().filter_map(claim).collect()
}

impl Claim {
    pub(super) fn requests(&self) -> u32 {
        self.limit.requests.get()
    }

    /// In milliseconds.
    pub(super) fn span(&self) -> u64 {
        millis(self.limit.per.duration())
    }

    pub(super) fn is_shadow(&self) -> bool {
        self.limit.mode == LimitMode::Shadow
    }

    /// Whether a call that is admitted takes a place here. Where it would have been refused it
    /// does not, so that a shadow counts what the limit itself would count.
    pub(super) fn is_taken(outlook: &Outlook) -> bool {
        outlook.wait == 0
    }

    fn standing(&self, outlook: &Outlook, admitted: bool) -> Standing {
        let taken = u32::from(admitted && !outlook.counted);
        let reset = match outlook.reset {
            0 if admitted => self.span(),
            reset => reset,
        };
        Standing {
            name: self.key.0,
            quota: self.limit.quota(),
            remaining: outlook.free.saturating_sub(taken),
            reset: Duration::from_millis(reset),
            violated: outlook.wait > 0,
            shadow: self.is_shadow(),
        }
    }
}

/// The verdict over a call whose claims stand as the outlooks say.
pub(super) fn verdict(claims: &[Claim], outlooks: &[Outlook]) -> Verdict {
    let both = || claims.iter().zip(outlooks);
    let wait = both()
        .filter(|(claim, _)| !claim.is_shadow())
        .map(|(_, outlook)| outlook.wait)
        .max()
        .filter(|&wait| wait > 0);
    let admitted = wait.is_none();
    let standings = both()
        .map(|(claim, outlook)| claim.standing(outlook, admitted))
        .collect();
    Verdict::new(standings, wait.map(Duration::from_millis))
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

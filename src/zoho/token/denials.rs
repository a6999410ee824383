//! Who was denied tokens, as Redis has it. Each instance hears of it, whether it asks for a token or not, so
//! that it keeps to that when Redis goes.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{
    super::lock,
    Mint, Tokens,
    shared::Place,
    stop::{Stop, Why},
};

/// What Redis says.
pub(super) struct Denials {
    /// Another one when it has lost its data.
    pub(super) since: Vec<u8>,
    /// For how many milliseconds still, by the name that credentials have there.
    left: HashMap<Vec<u8>, u64>,
}

impl Tokens {
    /// Nothing where Redis is gone, or no token is shared.
    pub(super) async fn denials(&self) -> Option<Denials> {
        let place = self.0.place.as_ref()?;
        let (since, left) = place.denials().await.ok()?;
        Some(Denials { since, left })
    }

    /// Keeps to what others were told, and says whether Redis has lost what this instance knows.
    pub(super) fn hear_denials(&self, denials: &Denials) -> bool {
        let (mint, now) = (&self.0, Instant::now());
        let Some(place) = &mint.place else {
            return false;
        };
        let said = denials.of(place);
        mint.hear_denial(said, now);
        let left = lock(&mint.state).denied(now);
        left.is_some_and(|left| left > said + LATE)
    }

    /// Has Redis know what holds all instances back.
    pub(super) async fn remind(&self) {
        self.0.remind().await;
    }
}

impl Denials {
    fn of(&self, place: &Place) -> Duration {
        let left = self.left.get(place.name().as_bytes());
        Duration::from_millis(left.copied().unwrap_or_default())
    }
}

impl Mint {
    /// What is known already changes nothing, nor what is weightier.
    fn hear_denial(&self, left: Duration, now: Instant) {
        let heard = Stop {
            why: Why::Throttled,
            until: Some(now + left),
            again: None,
        };
        let is_weightier = |stop: &Stop| {
            let is_refused = matches!(stop.why, Why::Refused(_)) && stop.lasts(now);
            is_refused || stop.outweighs(&heard, now)
        };
        let is_news = heard.lasts(now) && {
            let state = lock(&self.state);
            !state.stop.as_ref().is_some_and(is_weightier)
        };
        if is_news {
            self.fail(Why::Throttled, Some(left));
        }
    }
}

/// So much later may end what was heard from there.
const LATE: Duration = Duration::from_secs(2);

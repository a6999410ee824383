//! What became of a refresh: a token, or a reason to ask for none for a while.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    super::{Problem, lock, until},
    HEARD_FOR, Mint, Token,
    accounts::Minted,
    stop::{Stop, Why},
};

impl Mint {
    pub(super) fn adopt(&self, minted: &Minted, began: Instant, sealed: Option<Box<[u8]>>) {
        metrics::counter!("zoho_mcp_zoho_tokens_minted_total").increment(1);
        match Self::token(minted, began, sealed) {
            Some(token) => self.take(token),
            None => {
                let why = Why::Trouble(Problem::Unreadable);
                let pause = why.pause(0, 0);
                self.fail(why, pause);
            }
        }
    }

    pub(super) fn take(&self, token: Token) {
        let mut state = lock(&self.state);
        if token.sealed.is_some() && token.sealed != state.stale {
            state.stale = None;
        }
        state.token = Some(Arc::new(token));
        if state.stop.take().is_some() {
            tracing::info!("zoho gives access tokens again");
        }
        state.failures = 0;
        state.trouble = None;
    }

    /// Another instance was told. That no one asks any more is only taken from Zoho itself.
    pub(super) fn hear(&self, why: Why, pause: Duration) {
        let pause = match why {
            Why::Refused(_) => pause.min(HEARD_FOR),
            _ => pause,
        };
        self.fail(why, Some(pause));
    }

    pub(super) fn fail(&self, why: Why, pause: Option<Duration>) {
        let now = Instant::now();
        let stop = Stop {
            until: pause.map(|pause| now + pause),
            again: match (&self.place, &why) {
                (Some(_), Why::Throttled) => Some(now + HEARD_FOR),
                // The others may have given up a slot meanwhile, or minted.
                (Some(_), Why::Spent) => Some(now + SPENT_FOR),
                _ => None,
            },
            why,
        };
        let mut state = lock(&self.state);
        let heard = !stop.why.is_unheard() && stop.why != Why::Spent;
        state.failures = state.failures.saturating_add(u32::from(heard));
        state.trouble = match &stop.why {
            Why::Trouble(_) => state.trouble.or(Some(now)),
            _ => None,
        };
        let known = state.stop.as_ref().is_some_and(|it| it.why == stop.why);
        match &stop.why {
            Why::Refused(code) if !known => tracing::error!(
                %code,
                "zoho refuses the credentials: nothing works until others are in their place"
            ),
            Why::Refused(_) => {}
            Why::Spent if known => {}
            _ => {
                let until = pause.map_or_else(String::new, until);
                tracing::warn!(error = %stop.error(now), until, "no access token from zoho");
            }
        }
        state.stop = Some(stop);
    }
}

/// Until it is looked again whether there is a slot.
const SPENT_FOR: Duration = Duration::from_secs(1);

//! What became of a refresh: a token, or a reason to ask for none for a while.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{Problem, lock, until},
    HEARD_FOR, Mint, State, Token,
    accounts::Minted,
    stop::{Stop, Why},
    trial::{Stale, TRIED_EVERY},
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
        let is_tried = state.tries(&token);
        if token.sealed.is_some() && !is_tried {
            state.stale = None;
        }
        state.token = Some(Arc::new(token));
        // What was in the way of another one is, until Zoho takes this one.
        if !is_tried {
            state.recover(Instant::now());
        }
    }

    /// Another instance was told. That no one asks any more is only taken from Zoho itself.
    pub(super) fn hear(&self, why: Why, pause: Duration) {
        let pause = match why {
            Why::Refused(_) => pause.min(HEARD_FOR),
            _ => pause,
        };
        if why == Why::Unaccepted {
            lock(&self.state).hear_unaccepted(pause, Instant::now());
        }
        self.fail(why, Some(pause));
    }

    pub(super) fn fail(&self, why: Why, pause: Option<Duration>) {
        let now = Instant::now();
        let mut stop = Stop {
            until: pause.map(|pause| now + pause),
            again: Self::again(&why, now),
            why,
        };
        if let (Why::Throttled, Some(until)) = (&stop.why, stop.until) {
            lock(&self.mints).deny(until);
        }
        let mut state = lock(&self.state);
        if let Some(before) = state.stop.as_mut().filter(|it| it.outweighs(&stop, now)) {
            before.again = Self::again(&before.why, now);
            return;
        }
        let heard = !stop.why.is_unheard() && stop.why != Why::Spent;
        state.failures = state.failures.saturating_add(u32::from(heard));
        state.trouble = match &stop.why {
            Why::Trouble(_) => state.trouble.or(Some(now)),
            _ => None,
        };
        state.recall(&mut stop.why);
        let known = state.stop.as_ref().is_some_and(|it| it.why == stop.why);
        match &stop.why {
            Why::Refused(code) if !known && self.is_own.load(Ordering::Relaxed) => tracing::error!(
                %code,
                "zoho refuses the credentials: nothing works until others are in their place"
            ),
            Why::Refused(code) if !known => tracing::error!(
                %code,
                "zoho refuses a person's credentials: nothing works for that person until others are \
                 in their place in [zoho] user_credentials. The audit log has who was told so"
            ),
            Why::Refused(_) => {}
            Why::Spent | Why::Unaccepted if known => {}
            _ => {
                let until = pause.map_or_else(String::new, until);
                tracing::warn!(error = %stop.error(now), until, "no access token from zoho");
            }
        }
        state.stop = Some(stop);
    }

    /// Why this instance does not ask Zoho now, whatever Redis says or if it says nothing: that may have
    /// lost what Zoho said. Redis is asked again in a while. That tokens are not taken was said of one that
    /// lies there, or never has; if it `is_lost`, nobody can try it again.
    pub(super) fn barred(&self, is_lost: bool) -> Option<Why> {
        let now = Instant::now();
        self.hear_kin(now);
        let mut state = lock(&self.state);
        let is_lost = is_lost && !state.stale.as_ref().is_some_and(Stale::is_ours_alone);
        let bars = |stop: &&mut Stop| stop.bars(now) && !(is_lost && stop.why == Why::Unaccepted);
        let stop = state.stop.as_mut().filter(bars)?;
        stop.again = Self::again(&stop.why, now);
        Some(stop.why.clone())
    }

    /// Other credentials with the same refresh token may have been denied tokens.
    pub(super) fn hear_kin(&self, now: Instant) {
        let left = lock(&self.mints).denied(now);
        if left.is_some() && lock(&self.state).denied(now).is_none() {
            self.fail(Why::Throttled, left);
        }
    }

    /// When it is looked again although that is not over.
    fn again(why: &Why, now: Instant) -> Option<Instant> {
        match why {
            // The others may have given up a slot meanwhile, or minted.
            Why::Spent => Some(now + SPENT_FOR),
            Why::Throttled | Why::Unaccepted => Some(now + TRIED_EVERY),
            Why::Refused(_) | Why::Trouble(_) => None,
        }
    }
}

impl State {
    /// Another instance had a token that is not taken: the next that is not takes this one longer too.
    /// What is nearly over was heard before.
    fn hear_unaccepted(&mut self, pause: Duration, now: Instant) {
        let stop = self.stop.as_ref();
        let known = stop.is_some_and(|stop| stop.why == Why::Unaccepted && stop.lasts(now));
        if !known && pause > HEARD_BEFORE {
            self.unaccepted = self.unaccepted.saturating_add(1);
        }
    }

    /// For how long no other token may be asked for, whether there is one or not: Zoho was asked too often.
    pub(super) fn denied(&self, now: Instant) -> Option<Duration> {
        self.stop.as_ref().and_then(|stop| stop.throttles(now))
    }

    /// Keeps in mind that credentials were refused, and says that instead of that no slot is left to try them
    /// once more.
    fn recall(&mut self, why: &mut Why) {
        match (&*why, &self.refused) {
            (Why::Refused(code), _) => self.refused = Some(code.clone()),
            (Why::Spent, Some(code)) => *why = Why::Refused(code.clone()),
            _ => {}
        }
    }

    /// Whether an operator had refused credentials tried again only just now, and they were refused again.
    pub(super) fn is_forgiven_lately(&self, now: Instant) -> bool {
        self.forgiven
            .is_some_and(|then| now < then + FORGIVEN_EVERY)
    }

    /// Credentials that were refused may be shown once more. Whatever else is in the way stays there.
    pub(super) fn forgive(&mut self) {
        self.stop
            .take_if(|stop| matches!(stop.why, Why::Refused(_)));
    }

    /// There is a token again. What was in the way of another one is, if too many were asked for.
    pub(super) fn recover(&mut self, now: Instant) {
        if self.denied(now).is_none() && self.stop.take().is_some() {
            tracing::info!("zoho gives access tokens again");
        }
        self.failures = 0;
        self.returned = false;
        self.tried = false;
        self.trouble = None;
        self.refused = None;
        self.forgiven = None;
    }
}

/// Until it is looked again whether there is a slot.
const SPENT_FOR: Duration = Duration::from_secs(1);
/// How often an operator may have refused credentials tried again, so that slots are left for when they are good.
pub(super) const FORGIVEN_EVERY: Duration = Duration::from_secs(120);
/// So much of a pause may be left when it is asked for again.
const HEARD_BEFORE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_comes_ends_all_trouble_but_not_a_denial() {
        let now = Instant::now();
        let mut state = State {
            stop: Some(Stop {
                why: Why::Throttled,
                until: Some(now + Duration::from_secs(300)),
                again: None,
            }),
            failures: 5,
            returned: true,
            tried: true,
            trouble: Some(now),
            ..State::default()
        };
        state.recover(now);
        assert!(state.denied(now).is_some());
        assert_eq!(state.failures, 0);
        assert!(!state.returned && !state.tried && state.trouble.is_none());
        let later = now + Duration::from_secs(301);
        state.recover(later);
        assert!(state.stop.is_none());
    }
}

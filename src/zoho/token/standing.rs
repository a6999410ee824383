//! How the daemon stands with whoever gives tokens: refused, held back, or let in again.

use std::{
    mem::replace,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use reqwest::Url;
use tokio::{sync::MutexGuard, time::Instant};

use super::{
    super::{ZohoError, lock},
    Kind, LASTING, PATIENCE, Token, Tokens,
    stop::{RETURNED, Stop, Why},
    trial::TRIED_EVERY,
    verdict::REFUSED_HERE,
};

impl Tokens {
    /// Zoho refused a token that it had just minted, so another one would not help: nobody mints for
    /// a while, longer each time. Of the calls that it was refused to, one counts.
    pub(in crate::zoho) async fn refuse(&self, fresh: &Arc<Token>) -> ZohoError {
        let (is_first, now) = (self.forget(fresh), Instant::now());
        let (error, pause) = {
            let mut state = lock(&self.0.state);
            let stop = state.stop.as_ref().filter(|stop| stop.lasts(now));
            if !is_first || state.denied(now).is_some() {
                return stop.map_or_else(Self::refused_again, |stop| stop.error(now));
            }
            let pause = Why::Unaccepted.pause(state.unaccepted, 0);
            state.unaccepted = state.unaccepted.saturating_add(1);
            let stop = Stop {
                why: Why::Unaccepted,
                until: pause.map(|pause| now + pause),
                again: Some(now + TRIED_EVERY),
            };
            let error = stop.error(now);
            state.stop = Some(stop);
            (error, pause)
        };
        if let (Some(place), Some(sealed), Some(pause)) = (&self.0.place, &fresh.sealed, pause) {
            place.unaccepted(sealed, pause).await;
        }
        error
    }

    /// Whether it was minted after one that was never taken, and is not taken either.
    pub(in crate::zoho) fn is_refused_as_the_last(&self, token: &Token) -> bool {
        let is_new = token.own && !token.taken.load(Ordering::Relaxed);
        is_new && lock(&self.0.state).unaccepted > 0
    }

    /// Each token that a call had was taken back, and none of them was minted for it.
    pub(in crate::zoho) fn refused_again() -> ZohoError {
        ZohoError::TokenRefused { retry_after: SOON }
    }

    /// Zoho does not take a token for one kind of request, but for others: that is the call's own
    /// trouble, and no other token would help.
    pub(in crate::zoho) fn refused_here(token: &Token, kind: Kind) -> ZohoError {
        tracing::warn!(
            "zoho refuses a request for its access token, which it takes for others: no other is \
             asked for. Check the scopes of the refresh token"
        );
        token.verdicts.refuse(kind, Instant::now());
        ZohoError::TokenRefused {
            retry_after: REFUSED_HERE,
        }
    }

    /// Whether Zoho took this token before, and it is still the one in use.
    pub(in crate::zoho) fn was_taken(&self, token: &Arc<Token>) -> bool {
        self.holds(token) && token.taken.load(Ordering::Relaxed)
    }

    /// Whether this token is still the one in use.
    pub(in crate::zoho) fn holds(&self, token: &Arc<Token>) -> bool {
        lock(&self.0.state).holds(token)
    }

    /// Zoho took a token.
    pub(in crate::zoho) fn accept(&self, token: &Arc<Token>) {
        token.taken.store(true, Ordering::Relaxed);
        let mut state = lock(&self.0.state);
        state.unaccepted = 0;
        if state.holds(token) && state.tries(token) {
            state.stale = None;
            state.recover(Instant::now());
            drop(state);
            let (mint, token) = (Arc::clone(&self.0), Arc::clone(token));
            // Who waits for the answer waits for nothing else.
            tokio::spawn(async move {
                if let (Some(place), Some(sealed)) = (&mint.place, &token.sealed) {
                    place.taken(sealed).await;
                }
            });
        }
    }

    /// The server that the current token is meant for.
    pub(in crate::zoho) fn api(&self) -> Url {
        let state = lock(&self.0.state);
        match &state.token {
            Some(token) => token.api.clone(),
            None => self.0.servers.api_for(None),
        }
    }

    /// Whether the last refresh was refused for its credentials, or its token.
    pub(in crate::zoho) fn refused(&self) -> bool {
        let (state, now) = (lock(&self.0.state), Instant::now());
        let stop = state.stop.as_ref();
        stop.is_some_and(|stop| match stop.why {
            Why::Refused(_) => true,
            // One that is tried again may be good by then.
            Why::Unaccepted => state.token.is_none() || stop.lasts(now),
            _ => false,
        })
    }

    /// Whether none is asked for, because too many were.
    pub(in crate::zoho) fn throttled(&self, now: Instant) -> bool {
        let state = lock(&self.0.state);
        let stop = state.stop.as_ref();
        stop.is_some_and(|stop| stop.is_too_many(now))
    }

    /// Since when there is none, because of trouble that is no longer a matter of moments.
    pub(in crate::zoho) fn missing_since(&self, now: Instant) -> Option<Instant> {
        let state = lock(&self.0.state);
        let serves = state.token.as_ref().is_some_and(|it| now < it.expires);
        let stop = state.stop.as_ref().filter(|_| !serves)?;
        let since = state.trouble?;
        let (until, flight) = (stop.until?, state.flight.as_ref());
        let is_tried = || flight.is_some_and(|it| it.has_changed().is_ok());
        // Who asks for one may not have come yet.
        let lasts = now >= since + LASTING && (now < until + PATIENCE || is_tried());
        let pauses = now + PATIENCE < until;
        (matches!(stop.why, Why::Trouble(_)) && (lasts || pauses)).then_some(since)
    }

    /// Whether they are refused for good.
    pub(in crate::zoho) fn refused_for_good(&self) -> bool {
        let state = lock(&self.0.state);
        let stop = state.stop.as_ref();
        stop.is_some_and(|stop| matches!(stop.why, Why::Refused(_)))
    }

    /// Lets credentials that were refused be tried once more, on all instances, unless they were just now.
    pub(in crate::zoho) async fn forgive(&self) {
        if !self.refused_for_good() {
            return;
        }
        let may = match &self.0.place {
            Some(place) => place.forgive().await.ok(),
            None => None,
        };
        let (mut state, now) = (lock(&self.0.state), Instant::now());
        if may.unwrap_or_else(|| !state.is_forgiven_lately(now)) {
            state.forgiven = Some(now);
            state.forgive();
        } else {
            tracing::warn!(
                "zoho is not asked again with the credentials that it refuses: that was done less than two \
                 minutes ago. Have them read again after that, or put others in their place"
            );
        }
    }

    /// Zoho was away and answers again: who waits for that alone waits no longer. That too many
    /// tokens are asked for is still seen to. The first time, failures in a row are counted anew.
    pub(super) async fn retry(&self) {
        let waits = |stop: &Stop| matches!(stop.why, Why::Trouble(_));
        if !lock(&self.0.state).stop.as_ref().is_some_and(waits) {
            return;
        }
        if let Some(place) = &self.0.place {
            place.retry().await;
        }
        let state = &mut *lock(&self.0.state);
        if let Some(stop) = state.stop.as_mut().filter(|stop| waits(stop)) {
            stop.until = Some(Instant::now());
            if !replace(&mut state.returned, true) {
                state.failures = RETURNED;
            }
        }
    }
}

impl Token {
    /// Why such a request is not sent with it.
    pub(in crate::zoho) fn refusal(&self, kind: Kind) -> Option<ZohoError> {
        self.verdicts.refusal(kind, Instant::now())
    }

    /// Whether such a request was refused lately.
    pub(in crate::zoho) fn has_refused(&self, kind: Kind) -> bool {
        self.verdicts.has_refused(kind, Instant::now())
    }

    /// Such a request was not refused.
    pub(in crate::zoho) fn takes(&self, kind: Kind) {
        self.verdicts.take(kind);
    }

    /// When Zoho was last seen to take it for what everybody may ask for. Who comes while another
    /// one finds out waits for that.
    pub(in crate::zoho) async fn proof(&self) -> MutexGuard<'_, Option<Instant>> {
        self.verdicts.proof.lock().await
    }

    /// Whether Zoho gave it to this instance after that.
    pub(in crate::zoho) fn is_minted_after(&self, then: Instant) -> bool {
        self.own && self.since > then
    }
}

const SOON: Duration = Duration::from_secs(2);

//! The token in Redis that Zoho refused last. Another one takes its place; while there is none to be
//! had, this one is tried again now and then: where Zoho refused all tokens for a while, it is good.

use std::{mem::replace, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{super::lock, Mint, State, Token, Tokens, stop::Why};

/// What was refused, as it lies in Redis.
pub(super) struct Stale {
    pub(super) sealed: Box<[u8]>,
    /// When it was refused, or was to be tried again.
    since: Instant,
    /// Another instance had just minted it, and is about to find out the same.
    young: bool,
}

impl State {
    /// Zoho refused the token in use, which lies in Redis.
    pub(super) fn shun(&mut self, token: &Token, sealed: Box<[u8]>, now: Instant) {
        let age = now.saturating_duration_since(token.since);
        self.stale = Some(Stale {
            sealed,
            since: now,
            young: !token.own && age < YOUNG,
        });
    }

    /// Whether it is the one that was refused last.
    pub(super) fn tries(&self, token: &Token) -> bool {
        let stale = self.stale.as_ref().map(|stale| &stale.sealed);
        stale.is_some() && stale == token.sealed.as_ref()
    }
}

impl Tokens {
    /// Whether it decides for everybody what becomes of this one: it is tried again after it was refused,
    /// or was minted after another that was never taken.
    pub(in crate::zoho) fn is_on_trial(&self, token: &Token) -> bool {
        let is_tried = lock(&self.0.state).tries(token);
        is_tried || self.is_refused_as_the_last(token)
    }
}

impl Mint {
    /// What Redis is asked to have another one than.
    pub(super) fn stale(&self) -> Box<[u8]> {
        let state = lock(&self.state);
        let stale = state.stale.as_ref().map(|stale| stale.sealed.clone());
        let held = || state.token.as_ref().and_then(|token| token.sealed.clone());
        stale.or_else(held).unwrap_or_default()
    }

    /// Who minted a token that is not taken tells that, so that not each finds it out with one more.
    pub(super) async fn let_others_speak(&self) {
        let since = {
            let mut state = lock(&self.state);
            let stale = state.stale.as_mut();
            stale.and_then(|stale| replace(&mut stale.young, false).then_some(stale.since))
        };
        if let Some(since) = since {
            sleep_until(since + SPEAK_WITHIN).await;
        }
    }

    /// Whether the one that was refused is tried again, since nobody asks for another for that reason. It
    /// costs no attempt.
    pub(super) fn tries_again(&self, why: &Why) -> bool {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let held = state.token.as_ref();
        let may_be_good = matches!(why, Why::Spent | Why::Unaccepted | Why::Throttled);
        if !may_be_good || held.is_some_and(|it| now < it.expires) {
            return false;
        }
        let due = |it: &&mut Stale| now.saturating_duration_since(it.since) >= TRIED_EVERY;
        let Some(stale) = state.stale.as_mut().filter(due) else {
            return false;
        };
        stale.since = now;
        true
    }
}

/// So young is a token whose minter may not have used it yet, and so long it has to say what came of that.
const YOUNG: Duration = Duration::from_secs(2);
const SPEAK_WITHIN: Duration = Duration::from_millis(300);
/// How often the one that was refused is tried again.
pub(super) const TRIED_EVERY: Duration = Duration::from_secs(5);

//! The token that Zoho refused last. Another one takes its place; while there is none to be had, this one
//! is tried again now and then: where Zoho refused all tokens for a while, it is good.

use std::{
    mem::replace,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{super::lock, Mint, State, Token, Tokens, stop::Why, verdict::Verdicts};

/// What was refused.
pub(super) struct Stale {
    token: Arc<Token>,
    /// What lies in Redis and was refused last: another one, if this one never lay there.
    sealed: Option<Box<[u8]>>,
    /// When it was refused, or was to be tried again.
    since: Instant,
    /// Another instance had just minted it, and is about to find out the same.
    young: bool,
}

impl State {
    /// Zoho refused the token in use.
    pub(super) fn shun(&mut self, token: &Arc<Token>, now: Instant) {
        let age = now.saturating_duration_since(token.since);
        let before = self.stale.take().and_then(|stale| stale.sealed);
        self.stale = Some(Stale {
            token: Arc::clone(token),
            sealed: token.sealed.clone().or(before),
            since: now,
            young: !token.own && age < YOUNG,
        });
    }

    /// Whether it is the one that was refused last.
    pub(super) fn tries(&self, token: &Token) -> bool {
        self.stale.as_ref().is_some_and(|stale| {
            let lies_there = token.sealed.is_some() && token.sealed == stale.sealed;
            lies_there || token.header == stale.token.header
        })
    }
}

impl Stale {
    /// Whether no other instance has it.
    pub(super) fn is_ours_alone(&self) -> bool {
        self.token.sealed.is_none()
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
        let stale = state.stale.as_ref().and_then(|stale| stale.sealed.clone());
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

    /// Has the one that was refused tried again, if nobody asks for another for that reason and it is time,
    /// and says whether. It costs no attempt.
    pub(super) fn try_again(&self, why: &Why) -> bool {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let held = state.token.as_ref();
        let may_be_good = matches!(why, Why::Spent | Why::Unaccepted | Why::Throttled);
        if !may_be_good || held.is_some_and(|it| now < it.expires) {
            return false;
        }
        let is_due = |it: &&mut Stale| {
            now.saturating_duration_since(it.since) >= TRIED_EVERY && now < it.token.expires
        };
        let Some(stale) = state.stale.as_mut().filter(is_due) else {
            return false;
        };
        stale.since = now;
        let token = stale.token.again(now);
        state.token = Some(Arc::new(token));
        true
    }
}

impl Token {
    /// The same, of which nothing is known.
    fn again(&self, now: Instant) -> Self {
        Self {
            header: self.header.clone(),
            api: self.api.clone(),
            sealed: self.sealed.clone(),
            renew: self.renew,
            expires: self.expires,
            taken: AtomicBool::new(false),
            since: now,
            own: false,
            verdicts: Verdicts::default(),
        }
    }
}

/// So young is a token whose minter may not have used it yet, and so long it has to say what came of that.
const YOUNG: Duration = Duration::from_secs(2);
const SPEAK_WITHIN: Duration = Duration::from_millis(300);
/// How often the one that was refused is tried again.
pub(super) const TRIED_EVERY: Duration = Duration::from_secs(5);

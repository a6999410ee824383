//! Whose credentials there are. What is known of credentials is theirs, whoever names them: they are the
//! same under two names, and the same as before when they are put back while Zoho still counts.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    mem::replace,
    sync::{Arc, Mutex, MutexGuard, atomic::Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::{
    super::{Credentials, lock},
    Mint, Tokens,
    seal::Name,
};

/// Everybody's tokens.
pub(in crate::zoho) struct Roster {
    /// The daemon's own.
    own: ArcSwap<Tokens>,
    /// All that somebody has, and those that nobody has any more and that are held back still.
    known: Mutex<BTreeMap<Name, Tokens>>,
    /// Since when Redis keeps what it was told, when it was last looked at; nothing while it is gone.
    since: Mutex<Option<Vec<u8>>>,
    /// Held by whoever changes who has which.
    change: Mutex<()>,
}

impl Roster {
    pub(in crate::zoho) fn new(own: Tokens) -> Self {
        let name = own.name(own.credentials());
        Self {
            known: Mutex::new(BTreeMap::from([(name, own.clone())])),
            since: Mutex::default(),
            own: ArcSwap::from_pointee(own),
            change: Mutex::default(),
        }
    }

    /// To be held while the daemon's own or people's are replaced: people may use the daemon's client.
    pub(in crate::zoho) fn change(&self) -> MutexGuard<'_, ()> {
        lock(&self.change)
    }

    /// The daemon's own.
    pub(in crate::zoho) fn own(&self) -> Tokens {
        Tokens::clone(&self.own.load())
    }

    /// The tokens of whoever was given these credentials just now. Zoho may be asked once more if it
    /// refused them before; whatever else is in the way stays there.
    pub(in crate::zoho) fn of(&self, credentials: Credentials) -> Tokens {
        let own = self.own();
        let name = own.name(&credentials);
        let mut known = lock(&self.known);
        // The same refresh token with other secrets: Zoho counts them together.
        let kin = Name::least(name.token)..=Name::most(name.token);
        let kin = known.range(kin).next().map(|(_, kin)| kin.clone());
        let tokens = known
            .entry(name)
            .or_insert_with(|| own.with(credentials, kin.as_ref()))
            .clone();
        drop(known);
        tokens.0.hear_kin(Instant::now());
        lock(&tokens.0.state).forgive();
        tokens
    }

    /// Takes other credentials for the daemon's own: of these alone Redis is told all the time.
    pub(in crate::zoho) fn replace_own(&self, credentials: Credentials) {
        let (before, own) = (self.own(), self.of(credentials));
        before.0.is_own.store(false, Ordering::Relaxed);
        own.0.is_own.store(true, Ordering::Relaxed);
        if !Arc::ptr_eq(&before.0.mints, &own.0.mints) {
            lock(&before.0.mints).keep(false);
            lock(&own.0.mints).keep(own.0.shelf.is_some());
        }
        self.own.store(Arc::new(own));
    }

    /// Tidies up now and then, until it is dropped.
    pub(in crate::zoho) async fn keep(&self) {
        loop {
            sleep(TIDY_EVERY).await;
            self.tidy(Instant::now());
        }
    }

    /// Hears who was denied tokens, and has Redis know what it does not: who else was and, where it was gone
    /// or has lost its data, what was asked for.
    pub(in crate::zoho) async fn look(&self) {
        let denials = self.own().denials().await;
        let since = denials.as_ref().map(|denials| denials.since.clone());
        let is_anew = since != replace(&mut *lock(&self.since), since.clone());
        let Some(denials) = denials else {
            return;
        };
        let known: Vec<_> = lock(&self.known).values().cloned().collect();
        let (now, denials) = (Instant::now(), &denials);
        let telling = known.iter().map(|tokens| async move {
            if tokens.hear_denials(denials) {
                tokens.remind().await;
            }
            if is_anew && lock(&tokens.0.mints).rest_until(now).is_some() {
                tokens.keep().await;
            }
        });
        stream::iter(telling)
            .for_each_concurrent(AT_ONCE, |told| told)
            .await;
    }

    /// Lets credentials that were refused be tried once more, on all instances.
    pub(in crate::zoho) async fn forgive(&self) {
        let known: Vec<_> = lock(&self.known).values().cloned().collect();
        let forgiving = known.iter().map(Tokens::forgive);
        stream::iter(forgiving)
            .for_each_concurrent(AT_ONCE, |forgiven| forgiven)
            .await;
    }

    /// Forgets credentials that nobody has any more, once they are held back by nothing. Where many
    /// were, those that Zoho denies tokens stay, and then those whose last attempt is the youngest.
    pub(in crate::zoho) fn tidy(&self, now: Instant) {
        let mut known = lock(&self.known);
        let mut away = Vec::new();
        known.retain(|name, tokens| {
            // Whoever has one has a clone.
            if Arc::strong_count(&tokens.0) > 1 {
                return true;
            }
            let held_back = tokens.0.held_back(now);
            away.extend(held_back.map(|how| (how, *name)));
            held_back.is_some()
        });
        let more = away.len().saturating_sub(MOST_AWAY);
        if more > 0 {
            away.sort_unstable();
            for (_, name) in away.into_iter().take(more) {
                known.remove(&name);
            }
        }
    }
}

impl Mint {
    /// Whether Zoho denies it tokens, and until when that is so or an attempt rests.
    fn held_back(&self, now: Instant) -> Option<(bool, Instant)> {
        let denied = lock(&self.state).denied(now);
        let rest = lock(&self.mints).rest_until(now);
        let until = rest.max(denied.map(|left| now + left))?;
        Some((denied.is_some(), until))
    }
}

impl Tokens {
    fn name(&self, credentials: &Credentials) -> Name {
        Name::new(self.0.servers.accounts.as_str(), credentials)
    }
}

/// Of whom Redis is told.
const AT_ONCE: usize = 16;
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// As many as there can be people.
const MOST_AWAY: usize = 10_000;

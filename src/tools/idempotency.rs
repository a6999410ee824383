//! What was written before under an idempotency key, so that it is written once.

mod memory;
mod restore;
mod shared;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use secrecy::SecretSlice;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use super::{ToolError, cursor::digest, input::inline_schema};
use crate::{store::Store, zoho::Scope};
use memory::{Known, LIFETIME, Memory, NO_KEY, Name, State, lock};
use shared::{Fate, Shared};

/// Remembers writes for 24 hours: in Redis, on all instances, where there is one, and in this
/// process. Cheap to clone; clones share the memory.
#[derive(Clone)]
pub struct Idempotency {
    memory: Arc<Mutex<Memory>>,
    shared: Option<Arc<Shared>>,
    most_keys: usize,
    /// For how long after an attempt Zoho may still make what it was sent.
    quiet: Duration,
    /// How long a call can take.
    longest_call: Duration,
}

/// A key that a caller made up: `[A-Za-z0-9_.:-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

/// What is known of a key when a write wants to begin.
#[derive(Debug)]
pub enum Begun {
    /// Nothing: write, and tell the claim how it went.
    New(Claim),
    /// A write was begun at that time, and nobody knows whether it happened: look first.
    Unknown(Claim, Timestamp),
    /// Nothing, but Redis has lost keys, and with them perhaps what was written under this one since
    /// that time: look first.
    Forgotten(Claim, Timestamp),
    /// It was written; this was the result.
    Done(Value),
}

/// The right to write under a key. Dropped without a word, the write's fate is unknown: that is
/// what a cancelled call leaves behind.
#[derive(Debug)]
pub struct Claim {
    memory: Arc<Mutex<Memory>>,
    shared: Option<Arc<Shared>>,
    client: Box<str>,
    name: Name,
    id: Uuid,
    now: Timestamp,
    quiet: Duration,
    /// When an earlier attempt has surely had its effect, if it had one. `None` while an attempt
    /// of this claim may be on its way.
    over: Option<Instant>,
    settled: bool,
}

impl Idempotency {
    /// Of this process alone. `request_timeout` is how long Zoho has for an answer: what it was
    /// sent it may still make for twice as long after an attempt has ended without one.
    /// `longest_call` is how long a call can take.
    pub fn new(request_timeout: Duration, longest_call: Duration) -> Self {
        Self {
            memory: Arc::default(),
            shared: None,
            most_keys: MAX_KEYS,
            quiet: request_timeout.saturating_mul(2).min(LONGEST_QUIET),
            longest_call,
        }
    }

    /// The same, shared by all instances over Redis.
    #[must_use]
    pub fn over(self, store: Store, key: Option<&SecretSlice<u8>>) -> Self {
        let shared = Shared::new(store, key, self.longest_call, self.quiet);
        Self {
            shared: Some(Arc::new(shared)),
            ..self
        }
    }

    /// Records the key, before anything is written.
    ///
    /// # Errors
    /// The key is another write's or still running, the client has used too many, or Redis, which
    /// may know of it, cannot be asked.
    pub async fn begin(
        &self,
        (client, scope): (&str, &Scope),
        tool: &str,
        key: &Key,
        arguments: [u8; 32],
        now: Timestamp,
    ) -> Result<Begun, ToolError> {
        // Two people behind one client do not share their keys.
        let name = digest(&(client, scope, tool, &key.0));
        let bounds = (self.most_keys, self.longest_call);
        let known = lock(&self.memory).begin(client, name, arguments, now, bounds)?;
        let claim = || Claim {
            memory: Arc::clone(&self.memory),
            shared: self.shared.clone(),
            client: client.into(),
            name,
            id: Uuid::new_v4(),
            now,
            quiet: self.quiet,
            over: None,
            settled: false,
        };
        let (claim, since) = match known {
            Known::Done(result) => return Ok(Begun::Done(result)),
            Known::Nothing | Known::Forgotten => (claim(), None),
            Known::Unknown { begun, over } => {
                let mut claim = claim();
                claim.over = Some(over);
                (claim, Some(begun))
            }
        };
        claim.agree(arguments, since).await
    }

    /// Puts back what Redis loses of what this instance knows, until it is dropped. Without Redis
    /// there is nothing to do.
    pub async fn keep(self) {
        if let Some(shared) = &self.shared {
            shared.keep(&self.memory).await;
        }
    }

    /// A record was written without a key: no key wrote it.
    pub async fn wrote(&self, record: &str, now: Timestamp) {
        lock(&self.memory).own(record, NO_KEY, now);
        if let Some(shared) = &self.shared {
            // Without Redis no key can take it either.
            let _ = shared.own(record, &NO_KEY).await;
        }
    }
}

impl Claim {
    /// Asks the other instances, where there are some, what they know of the key.
    async fn agree(
        mut self,
        arguments: [u8; 32],
        since: Option<Timestamp>,
    ) -> Result<Begun, ToolError> {
        let told = match &self.shared {
            None => Ok(Known::Nothing),
            Some(shared) => {
                let asked = shared.begin(&self, &arguments);
                asked.await
            }
        };
        if let Ok(Known::Nothing | Known::Unknown { .. } | Known::Forgotten) = &told {
            let running = State::Running(Some(self.id));
            lock(&self.memory).settle(&self.client, &self.name, running);
        }
        match told {
            Ok(Known::Done(result)) => {
                self.conclude(State::Done(result.clone()));
                Ok(Begun::Done(result))
            }
            Ok(nothing @ (Known::Nothing | Known::Forgotten)) => Ok(match (since, nothing) {
                (Some(since), _) => Begun::Unknown(self, since),
                (None, Known::Forgotten) => {
                    let since = self.now.checked_sub(LIFETIME).unwrap_or(Timestamp::MIN);
                    Begun::Forgotten(self, since)
                }
                (None, _) => Begun::New(self),
            }),
            Ok(Known::Unknown { begun, over }) => {
                self.over = self.over.max(Some(over));
                let since = since.map_or(begun, |since| since.min(begun));
                Ok(Begun::Unknown(self, since))
            }
            Err(error) => {
                match since {
                    // Redis may have heard, so that the key is given back there too.
                    None if matches!(error, ToolError::KeysUnavailable) => self.forget().await,
                    None => self.give_back(),
                    Some(_) => {
                        let over = self.over();
                        self.conclude(State::Unknown { over });
                    }
                }
                Err(error)
            }
        }
    }

    /// For how long an earlier attempt may still have an effect: a look now proves nothing yet.
    pub fn doubtful(&self) -> Option<Duration> {
        let left = self.over?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Another attempt is sent: what becomes of it is open from now on.
    ///
    /// # Errors
    /// Redis, which has to know before Zoho does, cannot be told.
    pub async fn resend(&mut self) -> Result<(), ToolError> {
        if let Some(shared) = &self.shared {
            shared.resend(&self.name, &self.id).await?;
        }
        self.over = None;
        Ok(())
    }

    /// It was written: the next call with the key gets this result, which holds no personal data.
    /// The record that it `made` is from then on this key's. What is known later is told again.
    pub async fn finish(&mut self, made: Option<&str>, result: Value) {
        self.settled = true;
        {
            let mut memory = lock(&self.memory);
            if let Some(record) = made {
                memory.own(record, self.name, self.now);
            }
            memory.settle(&self.client, &self.name, State::Done(result.clone()));
        }
        if let Some(shared) = &self.shared {
            // Whoever else finds the record meanwhile loses it by the next line at the latest.
            if let Some(record) = made {
                let _ = shared.own(record, &self.name).await;
            }
            let fate = Fate::Done(result);
            if !shared.settle(&self.name, &self.id, fate).await {
                shared.remind(self).await;
            }
        }
    }

    /// Nothing was written: the key is free again.
    pub async fn forget(mut self) {
        self.settled = true;
        lock(&self.memory).remove(&self.client, &self.name);
        if let Some(shared) = &self.shared {
            shared.settle(&self.name, &self.id, Fate::Free).await;
        }
    }

    /// Whether a record that looks like this write may be it: no other call is known to have
    /// written it. From then on it is this key's.
    ///
    /// # Errors
    /// Redis, which may know whose it is, cannot be asked.
    pub async fn take(&self, record: &str) -> Result<bool, ToolError> {
        if !lock(&self.memory).own(record, self.name, self.now) {
            return Ok(false);
        }
        match &self.shared {
            Some(shared) => shared.own(record, &self.name).await,
            None => Ok(true),
        }
    }

    /// An attempt that is cut off or ends now may have an effect for a while.
    fn over(&self) -> Instant {
        self.over.unwrap_or_else(|| Instant::now() + self.quiet)
    }

    fn conclude(mut self, state: State) {
        self.settled = true;
        lock(&self.memory).settle(&self.client, &self.name, state);
    }

    fn give_back(mut self) {
        self.settled = true;
        lock(&self.memory).remove(&self.client, &self.name);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let over = self.over();
        lock(&self.memory).settle(&self.client, &self.name, State::Unknown { over });
        let (Some(shared), Ok(runtime)) =
            (self.shared.clone(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        // So that another instance need not wait for the lease. It ends within the store's timeout.
        let (name, id) = (self.name, self.id);
        runtime.spawn(async move {
            shared.settle(&name, &id, Fate::Unknown).await;
        });
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(plain) {
            return Err(D::Error::custom("not a key"));
        }
        Ok(Self(text))
    }
}

inline_schema!([] Key, "Key", { "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" });

/// Longer than a server that has lost its client goes on with a request.
const LONGEST_QUIET: Duration = Duration::from_secs(300);
/// Of one client in 24 hours: more than its limit admits by default.
const MAX_KEYS: usize = 100_000;

#[cfg(test)]
mod tests;

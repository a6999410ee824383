//! What was written before under an idempotency key, so that it is written once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::{ToolError, cursor::digest, input::inline_schema};
use crate::zoho::Scope;

/// Remembers writes for 24 hours, in this process. Cheap to clone; clones share the memory.
#[derive(Clone, Default)]
pub struct Idempotency {
    memory: Arc<Mutex<Memory>>,
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
    /// It was written; this was the result.
    Done(Value),
}

/// The right to write under a key. Dropped without a word, the write's fate is unknown: that is
/// what a cancelled call leaves behind.
#[derive(Debug)]
pub struct Claim {
    memory: Arc<Mutex<Memory>>,
    name: Name,
    settled: bool,
}

impl Idempotency {
    /// Records the key, before anything is written.
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
        let mut memory = lock(&self.memory);
        memory.forget_old(now);
        let claim = || Claim {
            memory: Arc::clone(&self.memory),
            name,
            settled: false,
        };
        match memory.entries.get_mut(&name) {
            Some(entry) if entry.arguments != arguments => Err(ToolError::KeyReused),
            Some(entry) => match &entry.state {
                State::Running => Err(ToolError::KeyInUse),
                State::Done(result) => Ok(Begun::Done(result.clone())),
                State::Unknown => {
                    entry.state = State::Running;
                    Ok(Begun::Unknown(claim(), entry.begun))
                }
            },
            None => {
                memory.insert(name, arguments, now)?;
                Ok(Begun::New(claim()))
            }
        }
    }
}

impl Claim {
    /// It was written: the next call with the key gets this result.
    pub async fn finish(mut self, result: Value) {
        self.settled = true;
        lock(&self.memory).settle(&self.name, State::Done(result));
    }

    /// Nothing was written: the key is free again.
    pub async fn forget(mut self) {
        self.settled = true;
        lock(&self.memory).remove(&self.name);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            lock(&self.memory).settle(&self.name, State::Unknown);
        }
    }
}

/// A digest of client, scope, tool and key: of one size, whatever the key.
type Name = [u8; 32];

#[derive(Debug, Default)]
struct Memory {
    entries: HashMap<Name, Entry>,
    /// The same by age, oldest first.
    ages: BTreeMap<u64, Name>,
    next_age: u64,
}

#[derive(Debug)]
struct Entry {
    age: u64,
    begun: Timestamp,
    arguments: [u8; 32],
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    Unknown,
    Done(Value),
}

impl Memory {
    fn insert(&mut self, name: Name, arguments: [u8; 32], now: Timestamp) -> Result<(), ToolError> {
        if self.entries.len() >= MAX_KEYS {
            let oldest = self
                .ages
                .values()
                .find(|name| !self.is_running(name))
                .copied();
            self.remove(&oldest.ok_or(ToolError::KeysExhausted)?);
        }
        let age = self.next_age;
        self.next_age += 1;
        self.ages.insert(age, name);
        let state = State::Running;
        self.entries.insert(
            name,
            Entry {
                age,
                begun: now,
                arguments,
                state,
            },
        );
        Ok(())
    }

    fn forget_old(&mut self, now: Timestamp) {
        loop {
            let oldest = self.ages.values().next().copied();
            let Some(entry) = oldest.and_then(|name| self.entries.get(&name)) else {
                return;
            };
            if now.duration_since(entry.begun) < LIFETIME || matches!(entry.state, State::Running) {
                return;
            }
            oldest.iter().for_each(|name| self.remove(name));
        }
    }

    fn is_running(&self, name: &Name) -> bool {
        let entry = self.entries.get(name);
        entry.is_some_and(|entry| matches!(entry.state, State::Running))
    }

    fn settle(&mut self, name: &Name, state: State) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.state = state;
        }
    }

    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.ages.remove(&entry.age);
        }
    }
}

/// Nothing in here panics while it holds the lock, so that a poisoned memory is still whole.
fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
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

const MAX_KEYS: usize = 10_000;
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(text: &str) -> Key {
        serde_json::from_value(json!(text)).unwrap()
    }

    fn at(hours: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
    }

    async fn begin(
        memory: &Idempotency,
        name: &str,
        arguments: u8,
        hours: i64,
    ) -> Result<Begun, ToolError> {
        memory
            .begin(
                ("client", &Scope::Org),
                "create_note",
                &key(name),
                [arguments; 32],
                at(hours),
            )
            .await
    }

    async fn new(memory: &Idempotency, name: &str, hours: i64) -> Claim {
        match begin(memory, name, 1, hours).await.unwrap() {
            Begun::New(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_key_gets_the_first_result() {
        let memory = Idempotency::default();
        new(&memory, "k", 0)
            .await
            .finish(json!({"noteId": "1"}))
            .await;
        let again = begin(&memory, "k", 1, 1).await.unwrap();
        assert!(matches!(again, Begun::Done(result) if result["noteId"] == "1"));
        assert!(matches!(
            begin(&memory, "k", 2, 1).await,
            Err(ToolError::KeyReused)
        ));
    }

    #[tokio::test]
    async fn a_running_key_is_in_use_and_a_failed_one_is_free() {
        let memory = Idempotency::default();
        let claim = new(&memory, "k", 0).await;
        assert!(matches!(
            begin(&memory, "k", 1, 0).await,
            Err(ToolError::KeyInUse)
        ));
        claim.forget().await;
        new(&memory, "k", 0).await.forget().await;
        assert!(lock(&memory.memory).ages.is_empty());
    }

    #[tokio::test]
    async fn a_dropped_claim_leaves_the_fate_unknown() {
        let memory = Idempotency::default();
        drop(new(&memory, "k", 3).await);
        match begin(&memory, "k", 1, 5).await.unwrap() {
            Begun::Unknown(claim, since) => {
                assert_eq!(since, at(3));
                claim.finish(json!(1)).await;
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            begin(&memory, "k", 1, 5).await.unwrap(),
            Begun::Done(_)
        ));
    }

    #[tokio::test]
    async fn a_key_belongs_to_its_client_its_user_and_its_tool() {
        let memory = Idempotency::default();
        new(&memory, "k", 0).await.finish(json!(1)).await;
        let user = Scope::User("ann".into());
        for (client, scope, tool) in [
            ("other", &Scope::Org, "create_note"),
            ("client", &user, "create_note"),
            ("client", &Scope::Org, "create_task"),
        ] {
            let begun = memory
                .begin((client, scope), tool, &key("k"), [1; 32], at(0))
                .await
                .unwrap();
            assert!(matches!(begun, Begun::New(_)), "{client} {tool}");
        }
    }

    #[tokio::test]
    async fn a_key_is_forgotten_after_a_day() {
        let memory = Idempotency::default();
        new(&memory, "k", 0).await.finish(json!(1)).await;
        assert!(matches!(
            begin(&memory, "k", 1, 23).await.unwrap(),
            Begun::Done(_)
        ));
        assert!(matches!(
            begin(&memory, "k", 1, 24).await.unwrap(),
            Begun::New(_)
        ));
    }

    #[tokio::test]
    async fn a_full_memory_forgets_the_oldest_that_is_done() {
        let memory = Idempotency::default();
        let first = new(&memory, "first", 0).await;
        let mut running = Vec::new();
        for n in 1..MAX_KEYS {
            let claim = new(&memory, &format!("k{n}"), 0).await;
            if n == 1 {
                claim.finish(json!(1)).await;
            } else {
                running.push(claim);
            }
        }
        let last = new(&memory, "one-more", 0).await;
        assert_eq!(lock(&memory.memory).entries.len(), MAX_KEYS);
        assert!(matches!(
            begin(&memory, "first", 1, 0).await,
            Err(ToolError::KeyInUse)
        ));
        assert!(matches!(
            begin(&memory, "full", 1, 0).await,
            Err(ToolError::KeysExhausted)
        ));
        drop((first, last, running));
        assert!(matches!(
            begin(&memory, "full", 1, 0).await,
            Ok(Begun::New(_))
        ));
        assert_eq!(lock(&memory.memory).entries.len(), MAX_KEYS);
    }

    #[test]
    fn a_key_is_of_plain_characters() {
        for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(
                serde_json::from_value::<Key>(json!(text)).is_err(),
                "{text}"
            );
        }
        assert_eq!(key("A-1_b.c:d").0, "A-1_b.c:d");
    }
}

//! What this process remembers of keys, with a bound for each client, and of the records written.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::tools::ToolError;

/// A digest of client, scope, tool and key: of one size, whatever the key.
pub(super) type Name = [u8; 32];

/// Who wrote without a key.
pub(super) const NO_KEY: Name = [0; 32];

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By client: one cannot crowd out another's.
    clients: HashMap<Box<str>, Keys>,
    owners: Owners,
}

#[derive(Debug, Default)]
struct Keys {
    entries: HashMap<Name, Entry>,
    /// The same by age, oldest first.
    ages: BTreeMap<u64, Name>,
    next_age: u64,
}

#[derive(Debug)]
struct Entry {
    age: u64,
    begun: Timestamp,
    /// When the attempt that runs began.
    tried: Timestamp,
    arguments: [u8; 32],
    state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Under that claim, once the other instances have agreed to it.
    Running(Option<Uuid>),
    /// Whether it was written; an attempt that was has had its effect when it is over.
    Unknown {
        over: Instant,
    },
    Done(Value),
}

/// What is known of a key that may be used.
#[derive(Debug)]
pub(super) enum Known {
    Nothing,
    /// A write was begun, and has surely had its effect, if any, when it is over.
    Unknown {
        begun: Timestamp,
        over: Instant,
    },
    /// Nothing, and some keys were lost within a day.
    Forgotten,
    Done(Value),
}

/// A key that Redis has to know.
pub(super) struct Remembered {
    pub(super) name: Name,
    pub(super) arguments: [u8; 32],
    pub(super) begun: Timestamp,
    pub(super) fate: Remains,
    pub(super) left: SignedDuration,
}

/// What is known of it.
pub(super) enum Remains {
    Running(Uuid),
    /// An attempt may have an effect until then.
    Unknown(Instant),
    Done(Value),
}

/// A record whose key Redis has to know, and for how long.
pub(super) struct Owned {
    pub(super) record: Box<str>,
    pub(super) name: Name,
    pub(super) left: SignedDuration,
}

impl Memory {
    /// Notes that a write begins, unless it is known how it ended: of so many keys that a client may
    /// have, and of calls that take so long at most.
    pub(super) fn begin(
        &mut self,
        client: &str,
        name: Name,
        arguments: [u8; 32],
        now: Timestamp,
        (most, longest_call): (usize, Duration),
    ) -> Result<Known, ToolError> {
        let keys = self.clients.entry(client.into()).or_default();
        keys.forget_old(now);
        let full = keys.entries.len() >= most;
        match keys.entries.get_mut(&name) {
            Some(entry) if entry.arguments != arguments => Err(ToolError::KeyReused),
            Some(entry) => match &entry.state {
                State::Running(_) => {
                    let runs = now.duration_since(entry.tried).unsigned_abs();
                    let retry_after = longest_call.saturating_sub(runs);
                    Err(ToolError::KeyInUse { retry_after })
                }
                State::Done(result) => Ok(Known::Done(result.clone())),
                &State::Unknown { over } => {
                    entry.state = State::Running(None);
                    entry.tried = now;
                    let begun = entry.begun;
                    Ok(Known::Unknown { begun, over })
                }
            },
            // What lives is never forgotten for something new: it may come back.
            None if full => Err(ToolError::KeysExhausted),
            None => {
                keys.insert(name, arguments, now);
                Ok(Known::Nothing)
            }
        }
    }

    pub(super) fn settle(&mut self, client: &str, name: &Name, state: State) {
        let keys = self.clients.get_mut(client);
        if let Some(entry) = keys.and_then(|keys| keys.entries.get_mut(name)) {
            entry.state = state;
        }
    }

    pub(super) fn remove(&mut self, client: &str, name: &Name) {
        if let Some(keys) = self.clients.get_mut(client) {
            keys.remove(name);
        }
    }

    /// One key.
    pub(super) fn remembered(&self, client: &str, name: &Name, now: Timestamp) -> Vec<Remembered> {
        let entry = self
            .clients
            .get(client)
            .and_then(|keys| keys.entries.get(name));
        entry
            .and_then(|entry| entry.remembered(*name, now))
            .into_iter()
            .collect()
    }

    /// All keys that live, and all records.
    pub(super) fn all(&self, now: Timestamp) -> (Vec<Remembered>, Vec<Owned>) {
        let entries = self.clients.values().flat_map(|keys| &keys.entries);
        let keys = entries.filter_map(|(name, entry)| entry.remembered(*name, now));
        (keys.collect(), self.owners.all(now))
    }

    /// Gives a record to a key, unless it is another's; whether it is this key's now.
    pub(super) fn own(&mut self, record: &str, name: Name, now: Timestamp) -> bool {
        self.owners.own(record, name, now)
    }
}

impl Keys {
    fn insert(&mut self, name: Name, arguments: [u8; 32], now: Timestamp) {
        let age = self.next_age;
        self.next_age += 1;
        self.ages.insert(age, name);
        let state = State::Running(None);
        self.entries.insert(
            name,
            Entry {
                age,
                begun: now,
                tried: now,
                arguments,
                state,
            },
        );
    }

    fn forget_old(&mut self, now: Timestamp) {
        let mut old = Vec::new();
        for name in self.ages.values() {
            let Some(entry) = self.entries.get(name) else {
                continue;
            };
            if now.duration_since(entry.begun) < LIFETIME {
                break;
            }
            if !matches!(entry.state, State::Running(_)) {
                old.push(*name);
            }
        }
        old.iter().for_each(|name| self.remove(name));
    }

    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.ages.remove(&entry.age);
        }
    }
}

impl Entry {
    fn remembered(&self, name: Name, now: Timestamp) -> Option<Remembered> {
        let fate = match &self.state {
            // What Redis has not agreed to it does not have to know.
            State::Running(claim) => Remains::Running((*claim)?),
            State::Unknown { over } => Remains::Unknown(*over),
            State::Done(result) => Remains::Done(result.clone()),
        };
        Some(Remembered {
            name,
            arguments: self.arguments,
            begun: self.begun,
            fate,
            left: left(self.begun, now)?,
        })
    }
}

/// For how long something of that age is still remembered.
fn left(since: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    let left = LIFETIME - now.duration_since(since);
    left.is_positive().then_some(left)
}

/// Which key wrote a record: it is no other key's.
#[derive(Debug, Default)]
struct Owners {
    keys: HashMap<Box<str>, Name>,
    /// Oldest first.
    ages: VecDeque<(Timestamp, Box<str>)>,
}

impl Owners {
    fn all(&self, now: Timestamp) -> Vec<Owned> {
        let owned = |(since, record): &(Timestamp, Box<str>)| {
            Some(Owned {
                name: *self.keys.get(record)?,
                record: record.clone(),
                left: left(*since, now)?,
            })
        };
        self.ages.iter().filter_map(owned).collect()
    }

    fn own(&mut self, record: &str, name: Name, now: Timestamp) -> bool {
        while let Some((since, oldest)) = self.ages.front() {
            if now.duration_since(*since) < LIFETIME && self.ages.len() < MOST_RECORDS {
                break;
            }
            self.keys.remove(oldest);
            self.ages.pop_front();
        }
        if let Some(owner) = self.keys.get(record) {
            return *owner == name;
        }
        self.keys.insert(record.into(), name);
        self.ages.push_back((now, record.into()));
        true
    }
}

/// Nothing in here panics while it holds the lock, so that a poisoned memory is still whole.
pub(super) fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// More writes than Zoho takes in a day from most organisations.
const MOST_RECORDS: usize = 200_000;

//! HTTP+SSE without stickiness: a message that reaches another instance than the one that holds its
//! stream is handed over to it through Redis, and answered with what is answered there.
//!
//! Each instance has a queue, a list, and not a channel to publish on: a channel forgets what comes
//! while its reader connects again, and Redis ends a reader that is slow for all at once. A list
//! keeps what came, and its length can be looked at before it grows. Either may lose a letter with
//! Redis itself, so nobody is told "accepted" before the other instance has said so.
//!
//! The instance that was asked proves who the caller is, and says so in the letter; the one that
//! holds the stream compares that with who opened it, and from there on it is a request as any
//! other: read, counted, permitted and recorded there. Letters are sealed, go stale, and count once.

mod letter;
mod receive;
mod seen;
mod send;
mod turn;

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secrecy::SecretSlice;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use self::{
    letter::Letter,
    send::Waiting,
    turn::{TAKEN_WITHIN, Turns, letter_key, millis},
};
use super::legacy_sse::{Session, Sessions};
use crate::{
    auth::Caller,
    refusal::Refusal,
    store::{BadKey, Script, Seal, Store, Unavailable},
};

pub use receive::Walk;
pub(super) use send::Found;
pub use send::hand_over;

/// What this instance knows of the others' sessions, and they of its own.
pub struct Relay {
    store: Store,
    seal: Seal,
    /// What this instance is called, anew each time that it starts.
    instance: Box<str>,
    push: Script,
    beat: Script,
    turns: Turns,
    /// Who waits for an answer, by the id of the letter.
    waiting: Mutex<HashMap<Uuid, Waiting>>,
    /// Redis may not know of some session.
    unregistered: AtomicBool,
    /// Since when Redis has lost what the instances told it, or may have.
    lost: Mutex<Option<Instant>>,
    /// No session lasts longer.
    lifetime: Duration,
}

/// Whose a session is and where.
#[derive(Serialize, Deserialize)]
struct Record {
    instance: Box<str>,
    caller: Caller,
}

/// Whether a letter was taken.
enum Posted {
    Gone,
    Full,
    Taken,
}

impl Relay {
    /// All instances have to have the same key. `lifetime` is how long a session may last.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(store: Store, key: &SecretSlice<u8>, lifetime: Duration) -> Result<Self, BadKey> {
        Ok(Self {
            store,
            seal: Seal::new(key, "zoho-mcp relay", "zoho-mcp sessions")?,
            instance: Uuid::new_v4().simple().to_string().into(),
            push: Script::new(include_str!("relay/script/push.lua")),
            beat: Script::new(include_str!("relay/script/beat.lua")),
            turns: Turns::new(),
            waiting: Mutex::default(),
            unregistered: AtomicBool::new(false),
            lost: Mutex::default(),
            lifetime,
        })
    }

    /// Tells the others where a session is. Without Redis it is told once Redis is back.
    pub(super) async fn register(&self, session: &Session) {
        let record = Record {
            instance: self.instance.clone(),
            caller: Caller::clone(session.owner()),
        };
        let key = self.session_key(session.id());
        let text = serde_json::to_vec(&record).ok();
        let Some(sealed) = text.and_then(|text| self.seal.seal(&key, text)) else {
            return;
        };
        let millis = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        let (key, sealed) = (key.as_str(), sealed.as_slice());
        let set = |mut link| async move {
            let mut set = redis::cmd("SET");
            set.arg(key).arg(sealed).arg("PX").arg(millis);
            set.exec_async(&mut link).await
        };
        if self.store.run(set).await.is_err() {
            self.unregistered.store(true, Ordering::Relaxed);
        }
    }

    /// What the others call this instance.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// The session has ended.
    pub(super) async fn forget(&self, id: &str) {
        self.remove(&self.session_key(id)).await;
    }

    /// This instance ends, and its sessions with it.
    pub async fn leave(&self) {
        self.remove(&life_key(&self.instance)).await;
    }

    /// What is left ends by itself.
    async fn remove(&self, key: &str) {
        let delete = |mut link| async move {
            let mut delete = redis::cmd("DEL");
            delete.arg(key).exec_async(&mut link).await
        };
        let _ = self.store.run(delete).await;
    }

    /// Where a session is that is not here, and whose.
    async fn whose(&self, id: &str) -> Result<Option<Record>, Unavailable> {
        let key = self.session_key(id);
        let sealed = self.get(&key).await?;
        let opened = sealed.and_then(|sealed| self.seal.open(&key, &sealed));
        let record = opened.and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        // One of ours that is not here any more has just ended.
        Ok(record.filter(|record| record.instance != self.instance))
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let get = |mut link| async move {
            let mut get = redis::cmd("GET");
            get.arg(key).query_async(&mut link).await
        };
        self.store.run(get).await
    }

    async fn post(&self, to: &str, letter: &Letter) -> Result<Posted, Unavailable> {
        let text = serde_json::to_vec(letter).ok();
        let Some(sealed) = text.and_then(|text| self.seal.seal(to, text)) else {
            return Ok(Posted::Full);
        };
        let mut keys = vec![queue_key(to), life_key(to)];
        let mut arguments = vec![
            sealed,
            MOST_WAITING.to_string().into_bytes(),
            KEPT_MS.to_string().into_bytes(),
        ];
        if let Letter::Post(post) = letter {
            keys.push(letter_key(to, post.id));
            arguments.push(millis(TAKEN_WITHIN));
        }
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let posted = self.store.run_script(&self.push, &keys, &arguments);
        Ok(match posted.await? {
            0_u8 => Posted::Gone,
            1 => Posted::Full,
            _ => Posted::Taken,
        })
    }

    /// What to say of a session that nobody knows: while Redis may have lost it, that it may be there.
    /// A Redis that has lost sessions has lost that this instance lives as well, which is seen here
    /// before the next beat finds it out.
    async fn unknown(&self) -> Refusal {
        if !matches!(self.get(&life_key(&self.instance)).await, Ok(Some(_))) {
            return Refusal::SessionAway;
        }
        let lost = *self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.is_some_and(|lost| lost.elapsed() < TOLD_AGAIN) {
            true => Refusal::SessionAway,
            false => Refusal::NoSession,
        }
    }

    /// Says for as long as the process lives that it does, and where its sessions are when Redis has
    /// lost that.
    async fn live(&self, sessions: &Sessions) {
        let mut began = true;
        // Sessions begin as soon as Redis can be asked, and then nobody may take this for gone.
        let _ = self.store.tried().await;
        loop {
            let holds = LIVES.as_millis().to_string().into_bytes();
            let life = life_key(&self.instance);
            let known = self.store.run_script(&self.beat, &[&life], &[holds]).await;
            let is_known = matches!(known, Ok(1_u8));
            if !is_known && !began {
                *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            let is_told = !self.unregistered.swap(false, Ordering::Relaxed);
            match known {
                Ok(_) if is_known && is_told => sleep(BEAT).await,
                Ok(_) => {
                    began = false;
                    for session in sessions.all() {
                        self.register(&session).await;
                    }
                    sleep(BEAT).await;
                }
                Err(_) => {
                    self.unregistered.store(true, Ordering::Relaxed);
                    tokio::select! {
                        () = self.store.changed() => {}
                        () = sleep(RETRY) => {}
                    }
                }
            }
        }
    }

    /// The id itself would let a reader of Redis try to post.
    fn session_key(&self, id: &str) -> String {
        format!("zm:sess:{}", self.seal.name(&[id]))
    }
}

/// The queue of an instance.
fn queue_key(instance: &str) -> String {
    format!("zm:relay:{{{instance}}}")
}

/// Its sign of life, in the same slot of a cluster.
fn life_key(instance: &str) -> String {
    format!("zm:relay:{{{instance}}}:life")
}

/// Letters in one queue. One that is read holds none.
const MOST_WAITING: usize = 256;
/// How long a queue that nobody reads stays. Its letters are stale by then.
const KEPT_MS: u64 = 15_000;
/// Without a word an instance is given up after this.
const LIVES: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(200);
/// By then all instances have found out what Redis has lost, and told it again.
const TOLD_AGAIN: Duration = Duration::from_secs(5);

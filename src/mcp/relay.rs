//! HTTP+SSE without stickiness: a message that reaches another instance than the one that holds its
//! stream is handed over to it through Redis, and answered with what is answered there.
//!
//! Each instance has a queue, a list, and not a channel to publish on: a channel forgets what comes
//! while its reader connects again, and Redis ends a reader that is slow for all at once. A list
//! keeps what came, and its length can be looked at before it grows. Either may lose a letter with
//! Redis itself, so nobody is told "accepted" before the other instance has said so. Where a session
//! is its id says, so that Redis has nothing to lose but which instances live.
//!
//! The instance that was asked proves who the caller is, and says so in the letter; the one that
//! holds the stream compares that with who opened it, and from there on it is a request as any
//! other: read, counted, permitted and recorded there. Letters are sealed, go stale, and count once.

mod letter;
mod life;
mod receive;
mod seen;
mod send;
mod ticket;
mod turn;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use secrecy::SecretSlice;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{
    letter::Letter,
    life::{LIFE_KEY, LIVES, WHOLE_KEY},
    send::Waiting,
    turn::{TAKEN_WITHIN, Turns, letter_key, millis},
};
use crate::store::{BadKey, Script, Seal, Store, Unavailable};

pub use receive::Walk;
pub(super) use send::Found;
pub use send::hand_over;

/// The way to the others' sessions, and theirs to this one's.
pub struct Relay {
    store: Store,
    seal: Seal,
    /// What this instance is called, anew each time that it starts.
    instance: Box<str>,
    push: Script,
    beat: Script,
    leave: Script,
    turns: Turns,
    /// Who waits for an answer, by the id of the letter.
    waiting: Mutex<HashMap<Uuid, Waiting>>,
    /// It was tried to say that this instance lives.
    said: CancellationToken,
}

/// Whether a letter was taken.
enum Posted {
    Gone,
    Full,
    Taken,
    /// Nobody can say at the moment whether the instance lives.
    Unsure,
}

impl Relay {
    /// All instances have to have the same key.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(store: Store, key: &SecretSlice<u8>) -> Result<Self, BadKey> {
        Ok(Self {
            store,
            seal: Seal::new(key, "zoho-mcp relay", "zoho-mcp sessions")?,
            instance: Uuid::new_v4().simple().to_string().into(),
            push: Script::new(concat!(
                include_str!("relay/script/process.lua"),
                include_str!("relay/script/push.lua")
            )),
            beat: Script::new(concat!(
                include_str!("relay/script/process.lua"),
                include_str!("relay/script/beat.lua")
            )),
            leave: Script::new(include_str!("relay/script/leave.lua")),
            turns: Turns::new(),
            waiting: Mutex::default(),
            said: CancellationToken::new(),
        })
    }

    /// What the others call this instance.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    async fn post(&self, to: &str, letter: &Letter) -> Result<Posted, Unavailable> {
        let text = serde_json::to_vec(letter).ok();
        let Some(sealed) = text.and_then(|text| self.seal.seal(to, text)) else {
            return Ok(Posted::Full);
        };
        // Whoever waits for an answer is not asked whether it lives.
        let writer = match letter {
            Letter::Answer(_) => "",
            Letter::Post(_) | Letter::Cancel(_) => &self.instance,
        };
        let mut keys = vec![queue_key(to), LIFE_KEY.to_owned(), WHOLE_KEY.to_owned()];
        let mut arguments = vec![
            sealed,
            letter.most_waiting().to_string().into_bytes(),
            KEPT_MS.to_string().into_bytes(),
            to.as_bytes().to_vec(),
            writer.as_bytes().to_vec(),
            millis(LIVES),
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
            2 => Posted::Taken,
            _ => Posted::Unsure,
        })
    }
}

/// The queue of an instance. All that scripts look at together is in one slot of a cluster.
fn queue_key(instance: &str) -> String {
    format!("zm:relay:{{sse}}:queue:{instance}")
}

/// How long a queue that nobody reads stays. Its letters are stale by then.
const KEPT_MS: u64 = 15_000;
const RETRY: Duration = Duration::from_millis(200);

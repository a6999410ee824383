//! Whose a letter is: its reader takes it, or its sender takes it back, and Redis says who was first.
//! Redis's clock alone says until when, since the reader may have been held up after it had it.

use std::time::Duration;

use uuid::Uuid;

use super::{Relay, send::PATIENCE};
use crate::store::Script;

/// The scripts by which a letter changes hands.
pub(super) struct Turns {
    take: Script,
    withdraw: Script,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            take: Script::new(concat!(
                include_str!("script/process.lua"),
                include_str!("script/take.lua")
            )),
            withdraw: Script::new(concat!(
                include_str!("script/process.lua"),
                include_str!("script/withdraw.lua")
            )),
        }
    }
}

impl Relay {
    /// Takes a letter to this instance. Nobody takes one when it is not certain whose it is.
    pub(super) async fn take_up(&self, letter: Uuid) -> bool {
        let key = letter_key(&self.instance, letter);
        self.turn(&self.turns.take, &key).await
    }

    /// Takes a letter back. True when nobody has taken it, and nobody will.
    pub(super) async fn withdraw(&self, from: &str, letter: Uuid) -> bool {
        let key = letter_key(from, letter);
        self.turn(&self.turns.withdraw, &key).await
    }

    async fn turn(&self, script: &Script, key: &str) -> bool {
        let (keys, arguments) = ([key], [millis(KEPT)]);
        let turned = self.store.run_script::<u8>(script, &keys, &arguments);
        matches!(turned.await, Ok(1))
    }
}

/// What is known of a letter, in the same slot of a cluster as the queue.
pub(super) fn letter_key(instance: &str, letter: Uuid) -> String {
    format!("zm:relay:{{sse}}:letter:{instance}:{}", letter.simple())
}

/// As scripts take it.
pub(super) fn millis(span: Duration) -> Vec<u8> {
    span.as_millis().to_string().into_bytes()
}

/// How long a letter may be taken: until its sender has taken it back.
pub(super) const TAKEN_WITHIN: Duration = PATIENCE.saturating_add(Duration::from_secs(2));
/// By then nobody asks any more, and a letter that comes only then is too old.
const KEPT: Duration = Duration::from_secs(15);

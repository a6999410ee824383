//! Keys that all instances share, in Redis. It holds digests, times and ids of records, and no
//! word of what was written.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::Value;
use sha2::Sha256;
use tokio::time::Instant;
use uuid::Uuid;

use super::memory::{Known, LIFETIME, Name};
use crate::{
    store::{Script, Store, Unavailable},
    tools::ToolError,
};

/// Asks Redis.
pub(super) struct Shared {
    store: Store,
    hmac: Hmac<Sha256>,
    instance: Uuid,
    /// No call runs longer.
    lease: Duration,
    quiet: Duration,
    begin: Script,
    settle: Script,
    own: Script,
}

/// What becomes of a key.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Done(Value),
    Free,
    Unknown,
}

impl Shared {
    /// With a key nobody who reads Redis can try out what a digest might be of. All instances
    /// have to have the same one.
    pub(super) fn new(
        store: Store,
        key: Option<&SecretSlice<u8>>,
        longest_call: Duration,
        quiet: Duration,
    ) -> Self {
        let key = key.map_or(NO_KEY, |key| key.expose_secret());
        Self {
            store,
            // HMAC takes keys of any length.
            hmac: Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default())),
            instance: Uuid::new_v4(),
            lease: longest_call + MARGIN,
            quiet,
            begin: Script::new(include_str!("script/begin.lua")),
            settle: Script::new(include_str!("script/settle.lua")),
            own: Script::new(include_str!("script/own.lua")),
        }
    }

    /// Records the key before anything is written, or says what is known of it.
    pub(super) async fn begin(
        &self,
        name: &Name,
        claim: &Uuid,
        arguments: &[u8; 32],
        now: Timestamp,
    ) -> Result<Known, ToolError> {
        let arguments = [
            self.digest(arguments),
            self.instance.to_string(),
            claim.to_string(),
            now.as_millisecond().to_string(),
            self.lease.as_millis().to_string(),
            LIFETIME.as_millis().to_string(),
            self.quiet.as_millis().to_string(),
        ];
        let (state, told, left): (String, String, u64) =
            self.ask(&self.begin, &self.key(name), &arguments).await?;
        match state.as_str() {
            "new" => Ok(Known::Nothing),
            "reused" => Err(ToolError::KeyReused),
            "in_use" => Err(ToolError::KeyInUse),
            "done" => serde_json::from_str(&told)
                .map(Known::Done)
                .map_err(|_| ToolError::Unwritable),
            _ => {
                let begun = told.parse().ok();
                let begun = begun.and_then(|at| Timestamp::from_millisecond(at).ok());
                let begun = begun.ok_or(ToolError::Unwritable)?;
                let over = Instant::now() + Duration::from_millis(left);
                Ok(Known::Unknown { begun, over })
            }
        }
    }

    /// Says what became of a write. Where Redis cannot be told, the lease runs out and the fate
    /// is unknown, which makes others look first.
    pub(super) async fn settle(&self, name: &Name, claim: &Uuid, fate: Fate) {
        let (word, result) = match fate {
            Fate::Done(result) => ("done", result.to_string()),
            Fate::Free => ("free", String::new()),
            Fate::Unknown => ("unknown", String::new()),
        };
        let quiet = self.quiet.as_millis().to_string();
        let arguments = [claim.to_string(), word.to_owned(), result, quiet];
        let told: Result<i64, _> = self.ask(&self.settle, &self.key(name), &arguments).await;
        if told.is_err() {
            tracing::warn!("what became of an idempotency key could not be shared over Redis");
        }
    }

    /// Says that another attempt begins.
    pub(super) async fn resend(&self, name: &Name, claim: &Uuid) -> Result<(), ToolError> {
        let arguments = [claim.to_string(), "resend".to_owned()];
        match self.ask(&self.settle, &self.key(name), &arguments).await? {
            1 => Ok(()),
            _ => Err(ToolError::KeyInUse),
        }
    }

    /// Gives a record to a key, unless it is another's; whether it is this key's now.
    pub(super) async fn own(&self, record: &str, name: &Name) -> Result<bool, ToolError> {
        let key = format!("zm:idem:n:{}", self.digest(record.as_bytes()));
        let arguments = [self.digest(name), LIFETIME.as_millis().to_string()];
        let own: i64 = self.ask(&self.own, &key, &arguments).await?;
        Ok(own == 1)
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        key: &str,
        arguments: &[String],
    ) -> Result<T, ToolError> {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|it| it.as_bytes().into()).collect();
        let asked = self.store.run_script(script, &[key], &arguments).await;
        asked.map_err(|Unavailable(_)| ToolError::KeysUnavailable)
    }

    fn key(&self, name: &Name) -> String {
        format!("zm:idem:k:{}", self.digest(name))
    }

    fn digest(&self, bytes: &[u8]) -> String {
        let mut hmac = self.hmac.clone();
        hmac.update(bytes);
        let digest = hmac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

const NO_KEY: &[u8] = b"zoho-mcp idempotency";
/// For what happens after a call's deadline.
const MARGIN: Duration = Duration::from_secs(5);

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

use super::{
    Claim,
    memory::{Known, LIFETIME, Name},
    restore::Told,
};
use crate::{
    store::{Process, Script, Store, Unavailable},
    tools::ToolError,
};

/// Asks Redis.
pub(super) struct Shared {
    pub(super) store: Store,
    hmac: Hmac<Sha256>,
    pub(super) instance: Uuid,
    /// No call runs longer.
    pub(super) lease: Duration,
    quiet: Duration,
    /// What Redis was told of what this instance knows.
    pub(super) told: Told,
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
            told: Told::new(),
            begin: Script::new(concat!(
                include_str!("script/complete.lua"),
                include_str!("script/begin.lua")
            )),
            settle: Script::new(include_str!("script/settle.lua")),
            own: Script::new(include_str!("script/own.lua")),
        }
    }

    /// Records the key before anything is written, or says what is known of it. Redis hears first
    /// what it may have lost.
    pub(super) async fn begin(
        &self,
        claim: &Claim,
        arguments: &[u8; 32],
    ) -> Result<Known, ToolError> {
        loop {
            let (state, told, left) = self.ask_to_begin(claim, arguments).await?;
            let left = Duration::from_millis(left);
            return match state.as_str() {
                "tell" => {
                    self.tell(&claim.memory, &told).await?;
                    continue;
                }
                "wait" => {
                    tokio::time::sleep(left).await;
                    continue;
                }
                "new" => Ok(Known::Nothing),
                "forgotten" => Ok(Known::Forgotten),
                "reused" => Err(ToolError::KeyReused),
                "in_use" => Err(ToolError::KeyInUse { retry_after: left }),
                "done" => serde_json::from_str(&told)
                    .map(Known::Done)
                    .map_err(|_| ToolError::Unwritable),
                _ => {
                    let begun = told.parse().ok();
                    let begun = begun.and_then(|at| Timestamp::from_millisecond(at).ok());
                    let begun = begun.ok_or(ToolError::Unwritable)?;
                    let over = Instant::now() + left;
                    Ok(Known::Unknown { begun, over })
                }
            };
        }
    }

    async fn ask_to_begin(
        &self,
        claim: &Claim,
        arguments: &[u8; 32],
    ) -> Result<(String, String, u64), ToolError> {
        let arguments = [
            self.digest(arguments),
            self.instance.to_string(),
            claim.id.to_string(),
            claim.now.as_millisecond().to_string(),
            self.lease.as_millis().to_string(),
            LIFETIME.as_millis().to_string(),
            self.quiet.as_millis().to_string(),
            self.told.epoch().to_string(),
            Uuid::new_v4().simple().to_string(),
        ];
        let (key, grace) = (self.key(&claim.name), TELLING.as_millis().to_string());
        let asked = self.store.run(|mut link| {
            let mut arguments: Vec<Vec<u8>> =
                arguments.iter().map(|it| it.clone().into()).collect();
            arguments.push(named(link.process()).into());
            arguments.push(grace.clone().into());
            let key = &key;
            async move { self.begin.run(&mut link, &[key, MARK], &arguments).await }
        });
        asked
            .await
            .map_err(|Unavailable(_)| ToolError::KeysUnavailable)
    }

    /// Says what became of a write. Where Redis cannot be told, the lease runs out and the fate
    /// is unknown, which makes others look first. Answers whether Redis still knew of the claim,
    /// as far as it could be asked.
    pub(super) async fn settle(&self, name: &Name, claim: &Uuid, fate: Fate) -> bool {
        let (word, result) = match fate {
            Fate::Done(result) => ("done", result.to_string()),
            Fate::Free => ("free", String::new()),
            Fate::Unknown => ("unknown", String::new()),
        };
        let quiet = self.quiet.as_millis().to_string();
        let arguments = [claim.to_string(), word.to_owned(), result, quiet];
        let told: Result<i64, _> = self.ask(&self.settle, &[&self.key(name)], &arguments).await;
        if told.is_err() {
            tracing::warn!("what became of an idempotency key could not be shared over Redis");
        }
        !matches!(told, Ok(0))
    }

    /// Says that another attempt begins.
    pub(super) async fn resend(&self, name: &Name, claim: &Uuid) -> Result<(), ToolError> {
        let arguments = [claim.to_string(), "resend".to_owned()];
        match self
            .ask(&self.settle, &[&self.key(name)], &arguments)
            .await?
        {
            1 => Ok(()),
            // Another call has it now.
            _ => Err(ToolError::KeyInUse {
                retry_after: self.lease,
            }),
        }
    }

    /// Gives a record to a key, unless it is another's; whether it is this key's now.
    pub(super) async fn own(&self, record: &str, name: &Name) -> Result<bool, ToolError> {
        let key = self.record(record);
        let arguments = [self.digest(name), LIFETIME.as_millis().to_string()];
        let own: i64 = self.ask(&self.own, &[&key], &arguments).await?;
        Ok(own == 1)
    }

    pub(super) async fn ask<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[String],
    ) -> Result<T, ToolError> {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|it| it.as_bytes().into()).collect();
        let asked = self.store.run_script(script, keys, &arguments).await;
        asked.map_err(|Unavailable(_)| ToolError::KeysUnavailable)
    }

    pub(super) fn key(&self, name: &Name) -> String {
        format!("zm:idem:{{k}}:k:{}", self.digest(name))
    }

    pub(super) fn record(&self, record: &str) -> String {
        format!("zm:idem:{{k}}:n:{}", self.digest(record.as_bytes()))
    }

    pub(super) fn digest(&self, bytes: &[u8]) -> String {
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

/// The process as the scripts take it.
pub(super) fn named(process: &Process) -> &str {
    match process {
        Process::Known(id) => id,
        Process::Hidden => "",
        Process::Changing => "*",
    }
}

/// Says since when no key was lost. All keys are in one slot with it, so that they are lost together.
pub(super) const MARK: &str = "zm:idem:{k}:complete";
/// Longer than it takes an instance to find out that data was lost, and to put it back.
const TELLING: Duration = Duration::from_secs(1);
const NO_KEY: &[u8] = b"zoho-mcp idempotency";
/// For what happens after a call's deadline.
const MARGIN: Duration = Duration::from_secs(5);

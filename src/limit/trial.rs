//! Tries what limits need of Redis, on keys of its own: nobody's window is touched.

use uuid::Uuid;

use super::{
    in_flight::{Place, place},
    limiter::Limiter,
    names::EPOCH,
    shared::number,
};
use crate::store::{Cause, Script, Store, Unavailable};

/// What a Redis that can be used is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// It can be told from one that has started again.
    pub is_known: bool,
    /// It throws keys away when it is full: its `maxmemory-policy`.
    pub evicts: Option<String>,
}

impl Limiter {
    /// Runs the scripts that count calls, and compares what names are made with. `None` without
    /// Redis.
    ///
    /// # Errors
    /// Limits could not be shared over it.
    pub async fn try_out(&self) -> Result<Option<Trial>, Unavailable> {
        let Some(shared) = &self.shared else {
            return Ok(None);
        };
        let process = try_scripts(&shared.store).await?;
        shared.names.are_shared(&shared.store).await?;
        Ok(Some(Trial {
            is_known: !process.is_empty(),
            evicts: evicts(&shared.store).await?,
        }))
    }
}

/// Runs every script that limits need. Answers the process that ran them, where it may be asked.
pub(super) async fn try_scripts(store: &Store) -> Result<String, Unavailable> {
    let name = Uuid::new_v4().simple().to_string();
    let scratch = Scratch { store, name };
    let process = scratch.join().await?;
    let (one, other) = (place(&Uuid::new_v4()), place(&Uuid::new_v4()));
    let first = scratch.admit(&process, one, &[]).await?;
    let second = scratch.admit(&process, other, &one).await?;
    if (first, second) != (1, 0) {
        return Err(Unavailable(Cause::Other));
    }
    scratch.merge(other).await?;
    scratch.tell_places(one, other).await?;
    Ok(process)
}

/// The policy by which Redis throws keys away to make room, where it does.
pub(super) async fn evicts(store: &Store) -> Result<Option<String>, Unavailable> {
    let script = Script::new(include_str!("script/memory.lua"));
    let told: Vec<String> = store.run_script(&script, &[EPOCH], &[]).await?;
    Ok(match told.as_slice() {
        [bytes, policy] if bytes != "0" && policy != "noeviction" => Some(policy.clone()),
        _ => None,
    })
}

/// Keys that nobody else has, and that end by themselves.
struct Scratch<'a> {
    store: &'a Store,
    name: String,
}

impl Scratch<'_> {
    async fn join(&self) -> Result<String, Unavailable> {
        let script = Script::new(include_str!("script/join.lua"));
        let arguments = [
            b"trial".to_vec(),
            number(KEEP_MILLIS),
            b"trial".to_vec(),
            number(KEEP_MILLIS * 1_000),
            b"trial".to_vec(),
            number(1),
        ];
        let keys = ["epoch", "live", "names"];
        let (_, _, _, process): (String, u32, bool, String) =
            self.run(&script, &keys, &arguments).await?;
        Ok(process)
    }

    /// The script's verdict over a call of which one may come, in windows and places.
    async fn admit(&self, process: &str, call: Place, free: &[u8]) -> Result<i64, Unavailable> {
        let script = Script::new(include_str!("script/admit.lua"));
        let [one, many, enforced] = [1, 9, 0].map(number);
        let arguments = [
            b"trial".to_vec(),
            process.as_bytes().to_vec(),
            call.to_vec(),
            one.clone(),
            one,
            number(KEEP_MILLIS * 1_000),
            enforced.clone(),
            many.clone(),
            many,
            enforced.clone(),
            enforced,
            number(KEEP_MILLIS * 1_000),
            free.to_vec(),
        ];
        let keys = ["epoch", "window", "places", "all-places"];
        let answer: Vec<i64> = self.run(&script, &keys, &arguments).await?;
        Ok(answer.first().copied().unwrap_or(-1))
    }

    async fn merge(&self, call: Place) -> Result<(), Unavailable> {
        let script = Script::new(include_str!("script/merge.lua"));
        let arguments = [
            number(KEEP_MILLIS * 1_000),
            number(1),
            number(0),
            call.to_vec(),
        ];
        let _: i64 = self.run(&script, &["window"], &arguments).await?;
        Ok(())
    }

    async fn tell_places(&self, free: Place, taken: Place) -> Result<(), Unavailable> {
        let script = Script::new(include_str!("script/places.lua"));
        let arguments = [number(KEEP_MILLIS * 1_000), free.to_vec(), taken.to_vec()];
        let keys = ["all-places", "places"];
        let _: i64 = self.run(&script, &keys, &arguments).await?;
        Ok(())
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[Vec<u8>],
    ) -> Result<T, Unavailable> {
        let named = |key: &&str| format!("zm:{{rl}}:trial:{}:{key}", self.name);
        let keys: Vec<String> = keys.iter().map(named).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.store.run_script(script, &keys, arguments).await
    }
}

const KEEP_MILLIS: u64 = 10_000;

//! Redis may lose its data, and with it what was written under which key. Each instance puts back what
//! it still knows before it takes a key for a new one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Claim,
    memory::{Memory, Owned, Remains, Remembered, lock},
    shared::{MARK, Shared, named},
};
use crate::{
    store::{Script, Unavailable},
    tools::ToolError,
};

/// Which data was told all that this instance knows.
pub(super) struct Told {
    epoch: Mutex<Arc<str>>,
    telling: tokio::sync::Mutex<()>,
    look: Script,
    restore: Script,
}

impl Told {
    pub(super) fn new() -> Self {
        Self {
            epoch: Mutex::new("".into()),
            telling: tokio::sync::Mutex::default(),
            look: Script::new(concat!(
                include_str!("script/complete.lua"),
                include_str!("script/look.lua")
            )),
            restore: Script::new(include_str!("script/restore.lua")),
        }
    }

    /// Its name; empty before the first.
    pub(super) fn epoch(&self) -> Arc<str> {
        let epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&epoch)
    }

    fn set(&self, epoch: &str) {
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = epoch.into();
    }
}

impl Shared {
    /// Looks whether Redis has lost what it was told, since others may need it sooner than this
    /// instance does.
    pub(super) async fn keep(&self, memory: &Mutex<Memory>) {
        loop {
            if self.store.down().is_none()
                && let Ok(epoch) = self.look().await
            {
                // Who needs a key is told why it cannot be done.
                let _ = self.tell(memory, &epoch).await;
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = self.store.changed() => {}
            }
        }
    }

    async fn look(&self) -> Result<String, Unavailable> {
        let fresh = Uuid::new_v4().simple().to_string();
        let look = |mut link: crate::store::Link| {
            let arguments = [fresh.clone().into(), named(link.process()).into()];
            async move { self.told.look.run(&mut link, &[MARK], &arguments).await }
        };
        self.store.run(look).await
    }

    /// Tells all that this instance knows, unless that data has heard it.
    pub(super) async fn tell(&self, memory: &Mutex<Memory>, epoch: &str) -> Result<(), ToolError> {
        let _telling = self.told.telling.lock().await;
        let told = self.told.epoch();
        if *told == *epoch {
            return Ok(());
        }
        let (keys, records) = lock(memory).all(Timestamp::now());
        if !told.is_empty() {
            let (keys, records) = (keys.len(), records.len());
            tracing::warn!(
                keys,
                records,
                "Redis has lost idempotency keys, or may have; those known here are put back"
            );
        }
        for keys in keys.chunks(CHUNK) {
            self.restore(epoch, keys, &[]).await?;
        }
        for records in records.chunks(CHUNK) {
            self.restore(epoch, &[], records).await?;
        }
        // Should it be other data by now, the next question finds that out.
        self.told.set(epoch);
        Ok(())
    }

    /// Tells of one key that Redis has lost while its call ran.
    pub(super) async fn remind(&self, claim: &Claim) {
        let (client, now) = (&claim.client, Timestamp::now());
        let keys = lock(&claim.memory).remembered(client, &claim.name, now);
        // Should that fail, the key is told with all others, or looked for.
        let _ = self.restore(&self.told.epoch(), &keys, &[]).await;
    }

    async fn restore(
        &self,
        epoch: &str,
        keys: &[Remembered],
        records: &[Owned],
    ) -> Result<(), ToolError> {
        let mut names = vec![MARK.to_owned()];
        let mut arguments = vec![
            epoch.to_owned(),
            self.instance.to_string(),
            self.lease.as_millis().to_string(),
            keys.len().to_string(),
        ];
        for key in keys {
            names.push(self.key(&key.name));
            let (state, claim, over, result) = match &key.fate {
                Remains::Running(claim) => ("running", claim.to_string(), None, String::new()),
                Remains::Unknown(over) => ("unknown", String::new(), Some(over), String::new()),
                Remains::Done(result) => ("done", String::new(), None, result.to_string()),
            };
            let over = over.map(|over| over.saturating_duration_since(Instant::now()));
            arguments.extend([
                self.digest(&key.arguments),
                state.to_owned(),
                claim,
                key.begun.as_millisecond().to_string(),
                over.unwrap_or_default().as_millis().to_string(),
                result,
                key.left.as_millis().max(1).to_string(),
            ]);
        }
        for record in records {
            names.push(self.record(&record.record));
            arguments.push(self.digest(&record.name));
            arguments.push(record.left.as_millis().max(1).to_string());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let _: i64 = self.ask(&self.told.restore, &names, &arguments).await?;
        Ok(())
    }
}

/// Two of these are well within the time that others wait for what is put back.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// Told in one script, so that it does not take Redis long.
const CHUNK: usize = 200;

//! Failures that the log has lines enough of: counted, and told together once in a while.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::Authenticator;
use crate::audit::{Audit, Event, Kind};

/// How often each reason was met since it was last told.
#[derive(Debug, Default)]
pub struct Repeats {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    first: Notify,
}

impl Repeats {
    pub(super) fn count(&self, reason: &'static str) {
        self.add(reason, 1);
    }

    pub(super) fn add(&self, reason: &'static str, count: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.is_empty() {
            self.first.notify_one();
        }
        *counts.entry(reason).or_default() += count;
    }

    fn take(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn tell(&self, audit: &Audit) {
        for (reason, count) in self.take() {
            let event = Event {
                repeated: Some(count),
                reason: Some(reason.into()),
                ..Event::new(Kind::AuthFailed)
            };
            audit.record(event).await;
        }
    }
}

/// The task that tells them, to whoever ends it.
pub struct Telling {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Telling {
    /// Begins to tell them, a minute after the first of them came.
    pub fn start(authenticator: Arc<Authenticator>, audit: Audit) -> Self {
        let end = CancellationToken::new();
        let ended = end.clone();
        let task = tokio::spawn(async move {
            let repeats = &authenticator.repeats;
            while !ended.is_cancelled() {
                let due = async {
                    repeats.first.notified().await;
                    sleep(EVERY).await;
                };
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = due => {}
                }
                repeats.tell(&audit).await;
            }
        });
        Self { end, task }
    }

    /// Tells what is left.
    pub async fn end(self) {
        self.end.cancel();
        // It can only have been cancelled with everything else.
        let _ = self.task.await;
    }
}

const EVERY: Duration = Duration::from_secs(60);

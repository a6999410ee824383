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

/// How often each reason was met since it was last told, and with whom where that is known.
#[derive(Debug, Default)]
pub struct Repeats {
    counts: Mutex<Counts>,
    first: Notify,
}

type Counts = BTreeMap<(&'static str, Option<Arc<str>>), u64>;

impl Repeats {
    pub(super) fn count(&self, reason: &'static str, client: Option<&Arc<str>>) {
        self.add(reason, client, 1);
    }

    pub(super) fn add(&self, reason: &'static str, client: Option<&Arc<str>>, count: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.is_empty() {
            self.first.notify_one();
        }
        let client = client.filter(|_| counts.len() < MOST);
        *counts.entry((reason, client.cloned())).or_default() += count;
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn tell(&self, audit: &Audit) {
        for ((reason, client_id), count) in self.take() {
            let event = Event {
                repeated: Some(count),
                client_id,
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

/// Lines that tell of one minute, but for a few. More clients than that are told together.
const MOST: usize = 1_000;
const EVERY: Duration = Duration::from_secs(60);

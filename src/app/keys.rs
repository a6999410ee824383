//! The keys of a running daemon: read again and again, in a task of its own, so that a store that
//! hangs holds nothing up. Nothing but a sound document counts; the last one serves until then.

mod source;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
    time::{Instant, interval, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    chain,
    stamp::{GLANCE, Stamp},
};
use crate::{
    audit::{Audit, Event, Kind},
    auth::{Keys, api_key::UsageFile},
    config::Loaded,
    secrets::refresh::Pace,
    setting::SecretRef,
};
pub use source::{BadKeys, KeySource};

/// The task, to those who hurry it or end it.
pub(super) struct KeyWatch {
    hurry: Arc<Notify>,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl KeyWatch {
    /// Begins to look at `source`, and to note in `usage` when keys were used.
    pub(super) fn start(
        source: KeySource,
        refresh: Duration,
        keys: Arc<Keys>,
        usage: Option<UsageFile>,
        audit: Audit,
    ) -> Self {
        let (hurry, end) = (Arc::<Notify>::default(), CancellationToken::new());
        let watch = Watch {
            seen: source.stamp(),
            source,
            pace: Pace::at_least_every(refresh),
            keys,
            usage: usage.map(|file| Notes {
                file,
                is_failing: false,
            }),
            audit,
            failures: 0,
            problem: None,
        };
        let task = tokio::spawn(watch.run(hurry.clone(), end.clone()));
        Self { hurry, end, task }
    }

    /// Looks at once. A look that is on its way is followed by another.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Ends it, once it has noted what it knows.
    pub(super) async fn end(self) {
        self.end.cancel();
        // It can only have been cancelled with everything else.
        let _ = self.task.await;
    }
}

struct Watch {
    source: KeySource,
    seen: Option<Stamp>,
    pace: Pace,
    keys: Arc<Keys>,
    usage: Option<Notes>,
    audit: Audit,
    /// In a row.
    failures: u32,
    /// What the operational log has heard.
    problem: Option<String>,
}

/// Where it is noted when keys were used.
struct Notes {
    file: UsageFile,
    is_failing: bool,
}

impl Watch {
    async fn run(mut self, hurry: Arc<Notify>, end: CancellationToken) {
        let mut glance = interval(GLANCE);
        let mut note = interval_at(Instant::now() + NOTE, NOTE);
        let mut next = Instant::now() + self.pace.pause(self.failures);
        self.note().await;
        let keys = self.keys.clone();
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                () = hurry.notified() => {}
                () = sleep_until(next) => {}
                _ = glance.tick() => if self.source.stamp() == self.seen { continue },
                () = keys.first_used() => {
                    self.note().await;
                    continue;
                }
                _ = note.tick() => {
                    self.note().await;
                    continue;
                }
            }
            tokio::select! {
                () = end.cancelled() => break,
                () = self.look() => {}
            }
            next = match self.source.has_more() && self.failures == 0 {
                true => Instant::now(),
                false => Instant::now() + self.pace.pause(self.failures),
            };
        }
        self.note().await;
    }

    async fn look(&mut self) {
        self.seen = self.source.stamp();
        // What the last look left out is a part of the change that was told.
        let is_rest = self.source.has_more();
        match self.source.look(Timestamp::now()).await {
            Ok(found) => {
                self.keys.freshness().succeeded();
                let outcome = match (found.is_some(), self.failures) {
                    (false, 0) => None,
                    (true, 0) if is_rest => None,
                    (false, _) => Some("recovered"),
                    (true, _) => Some("applied"),
                };
                if let Some(published) = found {
                    self.keys.publish(published);
                }
                (self.failures, self.problem) = (0, None);
                if let Some(outcome) = outcome {
                    let usable = self.keys.usable(Timestamp::now());
                    tracing::info!(outcome, usable, "keys were read");
                    self.tell(outcome).await;
                }
            }
            Err(bad) => self.failed(&bad).await,
        }
    }

    /// One event for each change of state; the operational log also hears when the reason changes.
    async fn failed(&mut self, bad: &BadKeys) {
        let problem = chain(bad);
        self.failures = self.failures.saturating_add(1);
        self.keys.freshness().failed();
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!(
                problem,
                "the keys were not reloaded; the last good ones serve"
            );
            self.problem = Some(problem);
        }
        if self.failures == 1 {
            self.tell("refused_last_good_keeps_serving").await;
        }
    }

    async fn tell(&self, outcome: &'static str) {
        let event = Event {
            reason: Some(outcome.into()),
            ..Event::new(Kind::KeysReload)
        };
        self.audit.record(event).await;
    }

    /// Writes down when keys were used, and with it that somebody still watches.
    async fn note(&mut self) {
        let Some(notes) = &mut self.usage else { return };
        let (file, seen) = (notes.file.clone(), self.keys.last_used());
        let added = spawn_blocking(move || file.add(seen, Timestamp::now())).await;
        match added {
            Ok(Ok(())) => notes.is_failing = false,
            Ok(Err(bad)) if !notes.is_failing => {
                notes.is_failing = true;
                let problem = chain(&bad);
                tracing::warn!(
                    problem,
                    "`zoho-mcp keys` will not know when keys were last used"
                );
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// The file that the configuration names, else the one beside a document that is a file.
pub(super) fn usage_file(loaded: &Loaded) -> Option<UsageFile> {
    let config = &loaded.config.auth.api_keys;
    match (&config.usage_file, &config.source) {
        (Some(path), _) => Some(UsageFile::new(loaded.base.join(path))),
        (None, SecretRef::File(path)) => Some(UsageFile::beside(&loaded.base.join(path))),
        (None, SecretRef::Env(_) | SecretRef::Aws(_)) => None,
    }
}

/// How often it is noted when keys were used; the first use after a pause is noted at once.
const NOTE: Duration = Duration::from_secs(60);

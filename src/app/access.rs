//! What proves this daemon to Redis: read at the start, and again while it runs, in a task of its
//! own. Nothing but what Redis accepts counts; the connection that is there serves on until then.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::watch,
    time::{Instant, interval, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Secrets, chain,
    stamp::{GLANCE, Stamp},
};
use crate::{
    audit::{Audit, Event, Kind},
    config::{Config, Environment, Loaded},
    secrets::{self, SecretError, refresh::Pace},
    setting::SecretRef,
    store::{self, Access, BadStore, Cause, Passwords, Store, Unavailable, Unrenewed},
};

/// The connection to Redis for all rooms, and what keeps it, where there is a Redis.
pub(super) fn store(
    config: &Config,
    secrets: &Secrets,
) -> anyhow::Result<Option<(Store, store::Keeper)>> {
    if !config.redis.is_configured() {
        return Ok(None);
    }
    let store = Store::new(&config.redis, &secrets.base, &secrets.redis).context("redis")?;
    Ok(Some(store))
}

/// The task, to those who hurry it. It ends when this is dropped.
pub(super) struct AccessWatch {
    wanted: watch::Sender<store::Config>,
    _end: DropGuard,
}

impl AccessWatch {
    /// Begins to look at what `loaded` refers to, at least once in `refresh`.
    pub(super) fn start(
        store: Store,
        loaded: &Loaded,
        environment: &Environment,
        refresh: Duration,
        audit: Audit,
    ) -> Self {
        let (wanted, config) = watch::channel(loaded.config.redis.clone());
        let end = CancellationToken::new();
        let mut watch = Watch {
            store,
            config,
            base: loaded.base.clone(),
            environment: environment.clone(),
            pace: Pace::at_least_every(refresh),
            audit,
            seen: Vec::new(),
            failures: 0,
            problem: None,
            is_told: false,
        };
        watch.seen = watch.stamps();
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watch.run()).await });
        Self {
            wanted,
            _end: end.drop_guard(),
        }
    }

    /// Looks at once.
    pub(super) fn hurry(&self) {
        self.wanted.send_modify(|_| ());
    }

    /// Looks at once at what another document refers to. Where Redis is stays as it was.
    pub(super) fn reload(&self, config: &store::Config) {
        if config.is_configured() {
            self.wanted.send_replace(config.clone());
        }
    }
}

struct Watch {
    store: Store,
    config: watch::Receiver<store::Config>,
    base: PathBuf,
    environment: Environment,
    pace: Pace,
    audit: Audit,
    /// What the files looked like when they were last read.
    seen: Vec<Option<Stamp>>,
    /// In a row.
    failures: u32,
    /// What the operational log has heard.
    problem: Option<String>,
    /// Whether the audit log has heard that the new ones are refused.
    is_told: bool,
}

/// Why what the configuration refers to is not used.
#[derive(Debug, thiserror::Error)]
enum BadAccess {
    #[error("redis.{key}")]
    Secret {
        key: &'static str,
        source: SecretError,
    },
    #[error("redis.{key}: not a text in UTF-8")]
    NoText { key: &'static str },
    #[error("redis")]
    Section(#[from] BadStore),
    #[error("redis")]
    Refused(#[from] Unrenewed),
}

impl BadAccess {
    /// Whether it may be Redis that is at fault, and not what it was shown.
    fn is_undecided(&self, is_down: bool) -> bool {
        match self {
            Self::Refused(Unrenewed::Unavailable(Unavailable(cause))) => match cause {
                Cause::Password | Cause::Permission => false,
                Cause::Timeout => true,
                _ => is_down,
            },
            Self::Refused(Unrenewed::Bad(_))
            | Self::Secret { .. }
            | Self::NoText { .. }
            | Self::Section(_) => false,
        }
    }
}

impl Watch {
    async fn run(mut self) {
        let mut glance = interval(GLANCE);
        let mut next = Instant::now() + self.pace.pause(self.failures);
        loop {
            tokio::select! {
                changed = self.config.changed() => if changed.is_err() { return },
                () = self.store.refused() => {}
                () = sleep_until(next) => {}
                _ = glance.tick() => if self.stamps() == self.seen { continue },
            }
            self.look().await;
            next = Instant::now() + self.pace.pause(self.failures);
        }
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        let config = self.config.borrow();
        let secrets = [&config.password, &config.sentinel_password];
        let files = secrets.into_iter().flatten().filter_map(|it| match it {
            SecretRef::File(path) => Some(path),
            SecretRef::Env(_) | SecretRef::Aws(_) => None,
        });
        let stamp = |path: &PathBuf| Stamp::of(&self.base.join(path));
        files.chain(&config.ca).map(stamp).collect()
    }

    async fn look(&mut self) {
        self.seen = self.stamps();
        let config = self.config.borrow_and_update().clone();
        match self.renew(&config).await {
            Ok(true) => self.settled(Some("applied")).await,
            // Redis expects another password, which has yet to arrive where ours comes from.
            Ok(false) if self.store.is_refused() => {
                self.failures = self.failures.saturating_add(1);
            }
            Ok(false) => {
                let outcome = self.is_told.then_some("recovered");
                self.settled(outcome).await;
            }
            Err(bad) => self.failed(&bad).await,
        }
    }

    async fn renew(&self, config: &store::Config) -> Result<bool, BadAccess> {
        let passwords = Passwords {
            redis: self.secret("password", &config.password).await?,
            sentinel: self
                .secret("sentinel_password", &config.sentinel_password)
                .await?,
        };
        let access = Access::new(config, &self.base, &passwords)?;
        Ok(self.store.renew(access).await?)
    }

    async fn secret(
        &self,
        key: &'static str,
        reference: &Option<SecretRef>,
    ) -> Result<Option<secrecy::SecretString>, BadAccess> {
        let Some(reference) = reference else {
            return Ok(None);
        };
        let base: &Path = &self.base;
        let variable = |name: &str| self.environment.get(name).cloned();
        let secret = secrets::fetch(reference, base, &variable).await;
        let secret = secret.map_err(|source| BadAccess::Secret { key, source })?;
        secret.text().map(Some).ok_or(BadAccess::NoText { key })
    }

    async fn settled(&mut self, outcome: Option<&'static str>) {
        (self.failures, self.problem, self.is_told) = (0, None, false);
        if let Some(outcome) = outcome {
            tracing::info!(outcome, "what proves us to Redis was read");
            self.tell(outcome).await;
        }
    }

    /// One event for each change of state; the operational log also hears when the reason changes.
    async fn failed(&mut self, bad: &BadAccess) {
        let problem = chain(bad);
        self.failures = self.failures.saturating_add(1);
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!(
                problem,
                "the user or password of Redis was not changed; the last good one serves"
            );
            self.problem = Some(problem);
        }
        if !self.is_told && !bad.is_undecided(self.store.down().is_some()) {
            self.is_told = true;
            self.tell("refused_last_good_keeps_serving").await;
        }
    }

    async fn tell(&self, outcome: &'static str) {
        let event = Event {
            reason: Some(outcome.into()),
            policy: Some("redis".into()),
            ..Event::new(Kind::ConfigReload)
        };
        self.audit.record(event).await;
    }
}

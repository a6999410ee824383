//! What proves this daemon to Zoho, read again while it runs, in a task of its own: credentials that
//! Zoho refuses are of no use until others are in their place.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::{
    sync::Notify,
    time::{Instant, interval, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    chain,
    stamp::{GLANCE, Stamp},
};
use crate::{
    audit::{Audit, Event, Kind},
    config::{Environment, Loaded},
    secrets::{self, SecretError, refresh::Pace},
    setting::SecretRef,
    zoho::Zoho,
};

/// The task, to those who hurry it. It ends when this is dropped.
pub(super) struct CredentialWatch {
    hurry: Arc<Notify>,
    _end: DropGuard,
}

impl CredentialWatch {
    /// Looks at what `loaded` refers to, at least once in `refresh`.
    pub(super) fn start(
        zoho: Zoho,
        loaded: &Loaded,
        environment: &Environment,
        refresh: Duration,
        audit: Audit,
    ) -> Option<Self> {
        let source = loaded.config.zoho.credentials.clone()?;
        let (hurry, end) = (Arc::<Notify>::default(), CancellationToken::new());
        let mut watch = Watch {
            zoho,
            source,
            base: loaded.base.clone(),
            environment: environment.clone(),
            pace: Pace::at_least_every(refresh),
            audit,
            hurry: Arc::clone(&hurry),
            seen: None,
            digest: None,
            failures: 0,
            problem: None,
        };
        watch.seen = watch.stamp();
        let ended = end.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watch.run()).await });
        Some(Self {
            hurry,
            _end: end.drop_guard(),
        })
    }

    /// Looks at once, and lets Zoho be asked again with what it refused.
    pub(super) fn hurry(&self) {
        self.hurry.notify_one();
    }
}

struct Watch {
    zoho: Zoho,
    source: SecretRef,
    base: PathBuf,
    environment: Environment,
    pace: Pace,
    audit: Audit,
    hurry: Arc<Notify>,
    /// What the file looked like when it was last read.
    seen: Option<Stamp>,
    /// Of what was read last.
    digest: Option<[u8; 32]>,
    /// In a row.
    failures: u32,
    /// What the operational log has heard.
    problem: Option<String>,
}

/// Why what the configuration refers to is not used.
#[derive(Debug, thiserror::Error)]
enum BadCredentials {
    #[error("zoho.credentials")]
    Secret(#[from] SecretError),
    #[error(
        "zoho.credentials: expected a JSON object with client_id, client_secret and refresh_token"
    )]
    Form,
}

impl Watch {
    async fn run(mut self) {
        let mut glance = interval(GLANCE);
        let mut next = Instant::now() + self.pace.pause(self.failures);
        loop {
            let is_hurried = tokio::select! {
                () = self.hurry.notified() => true,
                () = sleep_until(next) => false,
                _ = glance.tick() => match self.stamp() == self.seen {
                    true => continue,
                    false => false,
                },
            };
            self.look(is_hurried).await;
            next = Instant::now() + self.pace.pause(self.failures);
        }
    }

    fn stamp(&self) -> Option<Stamp> {
        Stamp::of_secret(&self.source, &self.base)
    }

    async fn look(&mut self, is_hurried: bool) {
        self.seen = self.stamp();
        match self.read(is_hurried).await {
            Ok(is_other) => {
                let is_mended = self.problem.take().is_some();
                self.failures = 0;
                if is_other || is_mended {
                    tracing::info!("the credentials for zoho were read");
                    self.tell("applied").await;
                }
            }
            Err(bad) => self.failed(&bad).await,
        }
    }

    /// Whether they are others than before.
    async fn read(&mut self, is_hurried: bool) -> Result<bool, BadCredentials> {
        let variable = |name: &str| self.environment.get(name).cloned();
        let secret = secrets::fetch(&self.source, &self.base, &variable).await?;
        let digest = Some(Sha256::digest(secret.bytes()).into());
        if digest == self.digest && !is_hurried {
            return Ok(false);
        }
        let credentials =
            serde_json::from_slice(secret.bytes()).map_err(|_| BadCredentials::Form)?;
        self.digest = digest;
        Ok(self.zoho.replace_credentials(credentials, is_hurried).await)
    }

    /// One event for each change of state; the operational log also hears when the reason changes.
    async fn failed(&mut self, bad: &BadCredentials) {
        let problem = chain(bad);
        self.failures = self.failures.saturating_add(1);
        let before = self.problem.replace(problem.clone());
        if before.as_ref() != Some(&problem) {
            tracing::error!(
                problem,
                "the credentials for zoho were not changed; the last good ones serve"
            );
        }
        if before.is_none() {
            self.tell("refused_last_good_keeps_serving").await;
        }
    }

    async fn tell(&self, outcome: &'static str) {
        let event = Event {
            reason: Some(outcome.into()),
            policy: Some("zoho.credentials".into()),
            ..Event::new(Kind::ConfigReload)
        };
        self.audit.record(event).await;
    }
}

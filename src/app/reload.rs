//! Changes without a restart: keys, people's credentials, roles, clients and limits. A document is checked whole before
//! any of it counts; while it is bad the last good one keeps serving, and one event says so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{App, Environment, Loaded};
use crate::{
    audit::{Event, Kind},
    auth::Gate as AuthGate,
    limit::Gate as LimitGate,
    permit::Gate as PermitGate,
    secrets,
    setting::SecretRef,
    zoho::Zoho,
};

/// Watches the configuration and the keys of a running daemon.
pub struct Reload {
    file: PathBuf,
    base: PathBuf,
    environment: Environment,
    source: SecretRef,
    refresh: Duration,
    auth: AuthGate,
    limit: LimitGate,
    permit: PermitGate,
    zoho: Zoho,
    people: Option<SecretRef>,
    seen: Seen,
}

/// What the files looked like when they were last read.
struct Seen {
    config: Option<Stamp>,
    keys: Option<Stamp>,
    people: Option<Stamp>,
    keys_at: Instant,
    /// The last document that was looked at, good or bad.
    document: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

impl Reload {
    /// Watches what `app` was built from.
    pub fn new(
        app: &App,
        file: &Path,
        loaded: &Loaded,
        environment: Environment,
        keys: Vec<u8>,
    ) -> Self {
        let api_keys = &app.config.auth.api_keys;
        let mut reload = Self {
            file: file.to_path_buf(),
            base: loaded.base.clone(),
            environment,
            source: api_keys.source.clone(),
            refresh: api_keys.refresh.duration(),
            auth: app.auth.clone(),
            limit: app.limit.clone(),
            permit: app.permit.clone(),
            zoho: app.handler.0.zoho.clone(),
            people: app.config.zoho.user_credentials.clone(),
            seen: Seen {
                config: None,
                keys: None,
                people: None,
                keys_at: Instant::now(),
                document: keys,
            },
        };
        reload.seen.config = stamp(&reload.file);
        reload.seen.keys = reload.stamp_of(&reload.source);
        reload.seen.people = reload.people_stamp();
        reload
    }

    /// Reads again whatever has changed on disk since.
    pub async fn changed(&mut self) {
        if stamp(&self.file) != self.seen.config {
            self.config().await;
        }
        if self.stamp_of(&self.source) != self.seen.keys
            || self.seen.keys_at.elapsed() >= self.refresh
        {
            self.keys().await;
        }
        if self.people_stamp() != self.seen.people {
            self.people().await;
        }
    }

    /// Reads everything again.
    pub async fn everything(&mut self) {
        self.config().await;
        self.keys().await;
        if self.people.is_some() {
            self.people().await;
        }
    }

    async fn config(&mut self) {
        self.seen.config = stamp(&self.file);
        let problem = match Loaded::from_file(&self.file, &self.environment) {
            Ok(loaded) => self.apply(&loaded),
            Err(refused) => Some(refused.to_string()),
        };
        self.tell(Kind::ConfigReload, problem).await;
    }

    fn apply(&self, loaded: &Loaded) -> Option<String> {
        let config = &loaded.config;
        let Ok(rules) = config.rules() else {
            return Some("limits are out of range".into());
        };
        self.auth
            .authenticator
            .reload(config.directory(), config.limits.failed_logins);
        self.limit.limiter.reload(rules);
        self.limit.answer.store(Arc::new(config.limits.answer));
        self.permit.policy.store(Arc::new(config.policy()));
        None
    }

    async fn keys(&mut self) {
        self.seen.keys = self.stamp_of(&self.source);
        self.seen.keys_at = Instant::now();
        let found = secrets::read(&self.source, &self.base, &|name| {
            self.environment.get(name).cloned()
        });
        let problem = match found {
            Ok(secret) if secret.bytes() == self.seen.document => return,
            Ok(secret) => {
                self.seen.document = secret.bytes().to_vec();
                let replaced = self.auth.authenticator.keys().replace(secret.bytes());
                replaced.err().map(|bad| bad.to_string())
            }
            Err(error) => {
                // Said once, until something can be read again.
                if self.seen.document.is_empty() {
                    return;
                }
                self.seen.document.clear();
                Some(error.to_string())
            }
        };
        self.tell(Kind::KeysReload, problem).await;
    }

    /// Who was in the document before and is in it still stays signed in.
    async fn people(&mut self) {
        self.seen.people = self.people_stamp();
        let Some(source) = &self.people else { return };
        let found = secrets::read(source, &self.base, &|name| {
            self.environment.get(name).cloned()
        });
        let problem = match found {
            Ok(secret) => self.zoho.replace_people(secret.bytes()).err(),
            Err(error) => return self.tell(Kind::KeysReload, Some(error.to_string())).await,
        };
        let problem = problem.map(|bad| format!("zoho.user_credentials: {bad}"));
        self.tell(Kind::KeysReload, problem).await;
    }

    /// The audit log says that it happened, the operational log what is wrong.
    async fn tell(&self, kind: Kind, problem: Option<String>) {
        let outcome = if problem.is_some() {
            "refused_last_good_keeps_serving"
        } else {
            "applied"
        };
        match (kind, &problem) {
            (Kind::ConfigReload, Some(problem)) => {
                tracing::error!(problem, "the configuration was not reloaded")
            }
            (_, Some(problem)) => tracing::error!(problem, "the keys were not reloaded"),
            (_, None) => tracing::info!(?kind, "reloaded"),
        }
        let event = Event {
            reason: Some(outcome.into()),
            ..Event::new(kind)
        };
        self.auth.audit.record(event).await;
    }

    fn people_stamp(&self) -> Option<Stamp> {
        self.stamp_of(self.people.as_ref()?)
    }

    fn stamp_of(&self, source: &SecretRef) -> Option<Stamp> {
        match source {
            SecretRef::File(path) => stamp(&self.base.join(path)),
            SecretRef::Env(_) => None,
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
    })
}

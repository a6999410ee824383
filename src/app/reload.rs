//! Changes without a restart: keys, roles, clients and limits. A document is checked whole before
//! any of it counts; while it is bad the last good one keeps serving, and one event says so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{App, Environment, Loaded, chain};
use crate::{
    audit::{Event, Kind},
    auth::Gate as AuthGate,
    limit::Gate as LimitGate,
    listen::{BadTls, Tls},
    permit::Gate as PermitGate,
    secrets,
    setting::SecretRef,
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
    tls: Arc<Tls>,
    seen: Seen,
}

/// What the files looked like when they were last read.
struct Seen {
    config: Option<Stamp>,
    keys: Option<Stamp>,
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
            tls: app.tls.clone(),
            seen: Seen {
                config: None,
                keys: None,
                keys_at: Instant::now(),
                document: keys,
            },
        };
        reload.seen.config = stamp(&reload.file);
        reload.seen.keys = reload.keys_stamp();
        reload
    }

    /// Reads again whatever has changed on disk since.
    pub async fn changed(&mut self) {
        if stamp(&self.file) != self.seen.config {
            self.config().await;
        }
        if self.keys_stamp() != self.seen.keys || self.seen.keys_at.elapsed() >= self.refresh {
            self.keys().await;
        }
        let certificates = self.tls.reload_if_changed(Timestamp::now());
        self.certificates(certificates).await;
    }

    /// Reads everything again.
    pub async fn everything(&mut self) {
        self.config().await;
        self.keys().await;
        let certificates = self.tls.reload(Timestamp::now());
        self.certificates(certificates).await;
    }

    async fn certificates(&self, reloaded: Option<Result<Vec<String>, BadTls>>) {
        let problem = match reloaded {
            None => return,
            Some(Ok(warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                None
            }
            Some(Err(bad)) => Some(format!("{}; {}", chain(&bad), bad.remedy())),
        };
        self.tell(Kind::ConfigReload, Some("server.tls"), problem)
            .await;
    }

    async fn config(&mut self) {
        self.seen.config = stamp(&self.file);
        let problem = match Loaded::from_file(&self.file, &self.environment) {
            Ok(loaded) => self.apply(&loaded),
            Err(refused) => Some(refused.to_string()),
        };
        self.tell(Kind::ConfigReload, None, problem).await;
    }

    fn apply(&self, loaded: &Loaded) -> Option<String> {
        let config = &loaded.config;
        let (Ok(rules), Ok(certificates)) = (config.rules(), config.certificates()) else {
            return Some("limits or certificates cannot be used".into());
        };
        if let Some(mtls) = self.auth.authenticator.mtls() {
            mtls.reload(certificates);
        }
        self.auth
            .authenticator
            .reload(config.directory(), config.limits.failed_logins);
        self.limit.limiter.reload(rules);
        self.limit.answer.store(Arc::new(config.limits.answer));
        self.permit.policy.store(Arc::new(config.policy()));
        None
    }

    async fn keys(&mut self) {
        self.seen.keys = self.keys_stamp();
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
        self.tell(Kind::KeysReload, None, problem).await;
    }

    /// The audit log says that it happened, the operational log what is wrong.
    async fn tell(&self, kind: Kind, part: Option<&'static str>, problem: Option<String>) {
        let outcome = if problem.is_some() {
            "refused_last_good_keeps_serving"
        } else {
            "applied"
        };
        match (kind, &problem) {
            (Kind::ConfigReload, Some(problem)) => {
                tracing::error!(problem, part, "the configuration was not reloaded")
            }
            (_, Some(problem)) => tracing::error!(problem, "the keys were not reloaded"),
            (_, None) => tracing::info!(?kind, "reloaded"),
        }
        let event = Event {
            reason: Some(outcome.into()),
            policy: part.map(Into::into),
            ..Event::new(kind)
        };
        self.auth.audit.record(event).await;
    }

    fn keys_stamp(&self) -> Option<Stamp> {
        match &self.source {
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

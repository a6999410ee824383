//! Changes without a restart: people's credentials, roles, clients and limits, and through
//! [`super::keys`] the keys. A document is checked whole before any of it counts; while it is bad the
//! last good one keeps serving, and one event says so.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    App, Secrets,
    access::AccessWatch,
    chain,
    keys::{KeySource, KeyWatch},
    stamp::Stamp,
};
use crate::{
    audit::{Event, Kind},
    auth::{Gate as AuthGate, Tokens, api_key::UsageFile},
    config::{Environment, Loaded},
    limit::Gate as LimitGate,
    listen::{BadTls, Tls},
    permit::Gate as PermitGate,
    secrets,
    setting::SecretRef,
    store::Keeper,
    zoho::Zoho,
};

/// Watches the configuration and the keys of a running daemon.
pub struct Reload {
    file: PathBuf,
    environment: Environment,
    auth: AuthGate,
    limit: LimitGate,
    permit: PermitGate,
    tls: Arc<Tls>,
    zoho: Zoho,
    people: Option<People>,
    keys: Option<KeyWatch>,
    redis: Option<AccessWatch>,
    /// What the file looked like when it was last read.
    seen: Option<Stamp>,
}

/// The document with people's credentials.
struct People {
    source: SecretRef,
    base: PathBuf,
    seen: Option<Stamp>,
}

impl Reload {
    /// Watches what `app` was built from, and where its keys came from.
    pub fn new(
        app: &App,
        file: &Path,
        loaded: &Loaded,
        environment: Environment,
        source: Option<KeySource>,
    ) -> Self {
        let refresh = app.config.auth.api_keys.refresh.duration();
        let store = app.redis.as_ref().map(Keeper::store);
        let redis = store.map(|store| {
            AccessWatch::start(store, loaded, &environment, refresh, app.audit().clone())
        });
        let watch = |source| {
            KeyWatch::start(
                source,
                refresh,
                app.auth.authenticator.keys().clone(),
                usage_file(loaded),
                app.audit().clone(),
            )
        };
        Self {
            file: file.to_path_buf(),
            environment,
            auth: app.auth.clone(),
            limit: app.limit.clone(),
            permit: app.permit.clone(),
            tls: app.tls.clone(),
            zoho: app.zoho().clone(),
            people: People::of(loaded),
            keys: source.map(watch),
            redis,
            seen: Stamp::of(file),
        }
    }

    /// Reads again whatever has changed on disk since.
    pub async fn changed(&mut self) {
        if Stamp::of(&self.file) != self.seen {
            self.config().await;
        }
        let certificates = self.tls.reload_if_changed(Timestamp::now());
        self.certificates(certificates).await;
        if self.people.as_ref().is_some_and(People::has_changed) {
            self.people().await;
        }
    }

    /// Reads everything again.
    pub async fn everything(&mut self) {
        if let Some(keys) = &self.keys {
            keys.hurry();
        }
        if let Some(redis) = &self.redis {
            redis.hurry();
        }
        self.config().await;
        self.auth.authenticator.tokens().refresh();
        let certificates = self.tls.reload(Timestamp::now());
        self.certificates(certificates).await;
        self.people().await;
    }

    /// Ends the watch.
    pub async fn end(self) {
        if let Some(keys) = self.keys {
            keys.end().await;
        }
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
        self.tell(Some("server.tls"), problem).await;
    }

    async fn config(&mut self) {
        self.seen = Stamp::of(&self.file);
        let problem = match Loaded::from_file(&self.file, &self.environment) {
            Ok(loaded) => self.apply(&loaded),
            Err(refused) => Some(refused.to_string()),
        };
        self.tell(None, problem).await;
    }

    fn apply(&self, loaded: &Loaded) -> Option<String> {
        let tokens = match self.tokens(loaded) {
            Ok(tokens) => tokens,
            Err(error) => return Some(format!("{error:#}")),
        };
        let config = &loaded.config;
        let (Ok(rules), Ok(certificates)) = (config.rules(), config.certificates()) else {
            return Some("limits or certificates cannot be used".into());
        };
        if let Some(mtls) = self.auth.authenticator.mtls() {
            mtls.reload(certificates);
        }
        self.auth
            .authenticator
            .reload(config.directory(), tokens, config.limits.failed_logins);
        if let Some(redis) = &self.redis {
            redis.reload(&config.redis);
        }
        self.limit.limiter.reload(rules);
        self.limit.answer.store(Arc::new(config.limits.answer));
        self.permit.policy.store(Arc::new(config.policy()));
        None
    }

    fn tokens(&self, loaded: &Loaded) -> anyhow::Result<Tokens> {
        let secrets = Secrets::issuers(loaded, &self.environment)?;
        let before = self.auth.authenticator.tokens();
        let issuers = &loaded.config.auth.jwt;
        Ok(Tokens::new(
            issuers,
            secrets,
            Some(&before),
            &self.auth.audit,
        )?)
    }

    /// Who was in the document before and is in it still stays signed in.
    async fn people(&mut self) {
        let Some(people) = &mut self.people else {
            return;
        };
        people.seen = people.stamp();
        let found = secrets::read(&people.source, &people.base, &|name| {
            self.environment.get(name).cloned()
        });
        let problem = match found {
            Ok(secret) => (self.zoho.replace_people(secret.bytes()).err())
                .map(|bad| format!("zoho.user_credentials: {bad}")),
            Err(error) => Some(format!("zoho.user_credentials: {error}")),
        };
        self.tell(Some("zoho.user_credentials"), problem).await;
    }

    /// The audit log says that it happened, the operational log what is wrong.
    async fn tell(&self, part: Option<&'static str>, problem: Option<String>) {
        let outcome = match &problem {
            Some(problem) => {
                tracing::error!(problem, part, "the configuration was not reloaded");
                "refused_last_good_keeps_serving"
            }
            None => {
                tracing::info!("the configuration was reloaded");
                "applied"
            }
        };
        let event = Event {
            reason: Some(outcome.into()),
            policy: part.map(Into::into),
            ..Event::new(Kind::ConfigReload)
        };
        self.auth.audit.record(event).await;
    }
}

impl People {
    fn of(loaded: &Loaded) -> Option<Self> {
        let mut people = Self {
            source: loaded.config.zoho.user_credentials.clone()?,
            base: loaded.base.clone(),
            seen: None,
        };
        people.seen = people.stamp();
        Some(people)
    }

    fn has_changed(&self) -> bool {
        self.stamp() != self.seen
    }

    fn stamp(&self) -> Option<Stamp> {
        match &self.source {
            SecretRef::File(path) => Stamp::of(&self.base.join(path)),
            SecretRef::Env(_) | SecretRef::Aws(_) => None,
        }
    }
}

/// The file that the configuration names, else the one beside a document that is a file.
fn usage_file(loaded: &Loaded) -> Option<UsageFile> {
    let config = &loaded.config.auth.api_keys;
    match (&config.usage_file, &config.source) {
        (Some(path), _) => Some(UsageFile::new(loaded.base.join(path))),
        (None, SecretRef::File(path)) => Some(UsageFile::beside(&loaded.base.join(path))),
        (None, SecretRef::Env(_) | SecretRef::Aws(_)) => None,
    }
}

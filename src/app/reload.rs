//! Changes without a restart: people's credentials, roles, clients and limits, and through
//! [`super::keys`] the keys. A document is checked whole before any of it counts; while it is bad the
//! last good one keeps serving, and one event says so.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use secrecy::SecretSlice;
use toml::Table;

use super::{
    App,
    access::AccessWatch,
    chain,
    credentials::CredentialWatch,
    expiry::Expiry,
    fetch::Fetches,
    issuers::{self, Issuers},
    keys::{KeySource, KeyWatch, usage_file},
    people::People,
    restart,
    retry::Retry,
    stamp::Stamp,
};
use crate::{
    audit::{Event, Kind},
    auth::Gate as AuthGate,
    config::{Environment, Loaded},
    limit::Gate as LimitGate,
    listen::{BadTls, Tls},
    permit::Gate as PermitGate,
    secrets::Secret,
    setting::{AwsRef, SecretRef},
    store::Keeper,
};

/// Watches the configuration and the keys of a running daemon.
pub struct Reload {
    file: PathBuf,
    environment: Environment,
    auth: Arc<AuthGate>,
    limit: Arc<LimitGate>,
    permit: Arc<PermitGate>,
    tls: Arc<Tls>,
    people: Option<People>,
    keys: Option<KeyWatch>,
    redis: Option<AccessWatch>,
    credentials: Option<CredentialWatch>,
    issuers: Issuers,
    fetches: Fetches,
    /// What the daemon was started with, which is what counts where a reload changes nothing.
    started: Table,
    running: Loaded,
    /// What the file looked like when it was last read.
    seen: Option<Stamp>,
    retry: Retry,
    /// What was told last about each part, while it is wrong.
    told: BTreeMap<Part, String>,
    expiry: Expiry,
}

/// What is reloaded by itself; all of it but these where there is none.
type Part = Option<&'static str>;

/// What the daemon knew at its start that is looked at again.
pub struct Origins {
    /// Where the keys came from, where they may change.
    pub keys: Option<KeySource>,
    /// What each of `[[auth.jwt]]` refers to, in their order.
    pub issuers: Vec<Option<Secret>>,
    /// The credentials of people.
    pub people: Option<SecretSlice<u8>>,
}

impl Reload {
    /// Watches what `app` was built from.
    pub fn new(
        app: &App,
        file: &Path,
        loaded: &Loaded,
        environment: Environment,
        origins: Origins,
    ) -> Self {
        let refresh = app.config.auth.api_keys.refresh.duration();
        let (audit, zoho) = (app.audit(), app.zoho());
        let store = app.redis.as_ref().map(Keeper::store);
        let redis = store
            .map(|store| AccessWatch::start(store, loaded, &environment, refresh, audit.clone()));
        let watch = |source| {
            let keys = app.auth.authenticator.keys().clone();
            let usage = usage_file(loaded);
            KeyWatch::start(source, refresh, keys, usage, audit.clone())
        };
        Self {
            credentials: CredentialWatch::start(
                zoho.clone(),
                loaded,
                &environment,
                refresh,
                audit.clone(),
            ),
            file: file.to_path_buf(),
            auth: app.auth.clone(),
            limit: app.limit.clone(),
            permit: app.permit.clone(),
            tls: app.tls.clone(),
            people: People::of(
                loaded,
                zoho.clone(),
                environment.clone(),
                origins.people.as_ref(),
            ),
            keys: origins.keys.map(watch),
            redis,
            issuers: Issuers::new(loaded, origins.issuers, environment.clone()),
            fetches: Fetches::new(environment.clone(), refresh),
            started: loaded.settings.clone(),
            running: loaded.clone(),
            seen: Stamp::of(file),
            retry: Retry::default(),
            told: BTreeMap::new(),
            expiry: Expiry::default(),
            environment,
        }
    }

    /// Reads again whatever has changed since, and what could not be used.
    pub async fn changed(&mut self) {
        if Stamp::of(&self.file) != self.seen {
            self.told.remove(&None);
            self.config().await;
        } else if self.retry.is_due() {
            self.config().await;
        }
        let certificates = self.tls.reload_if_changed(Timestamp::now());
        self.certificates(certificates).await;
        self.expiry.tell(&self.tls, Timestamp::now());
        if self.people.as_ref().is_some_and(People::has_changed) {
            self.told.remove(&Some(PEOPLE));
            self.people().await;
        }
        if self.issuers.have_changed(&self.running) {
            self.told.remove(&Some(ISSUERS));
            self.issuers().await;
        }
        self.fetched().await;
    }

    /// Reads everything again.
    pub async fn everything(&mut self) {
        if let Some(keys) = &self.keys {
            keys.hurry();
        }
        if let Some(redis) = &self.redis {
            redis.hurry();
        }
        if let Some(credentials) = &self.credentials {
            credentials.hurry();
        }
        self.told.clear();
        self.config().await;
        self.auth.authenticator.tokens().refresh();
        let certificates = self.tls.reload(Timestamp::now());
        self.certificates(certificates).await;
        self.people().await;
        self.fetches.hurry();
        self.fetched().await;
    }

    /// Ends the watch.
    pub async fn end(self) {
        if let Some(keys) = self.keys {
            keys.end().await;
        }
    }

    async fn certificates(&mut self, reloaded: Option<Result<Vec<String>, BadTls>>) {
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
        self.told.remove(&Some(TLS));
        self.tell(Some(TLS), problem).await;
    }

    async fn config(&mut self) {
        self.seen = Stamp::of(&self.file);
        let applied = match Loaded::from_file(&self.file, &self.environment) {
            Ok(loaded) => self.apply(loaded),
            Err(refused) => Err(refused.to_string()),
        };
        match applied {
            Ok(problems) => {
                self.retry = Retry::default();
                self.tell(None, None).await;
                self.tell_of_issuers(problems).await;
            }
            Err(problem) => {
                self.retry.failed();
                self.tell(None, Some(problem)).await;
            }
        }
    }

    /// Returns what is wrong with issuers' secrets that others stand in for: roles, clients and
    /// limits do not wait for those.
    fn apply(&mut self, loaded: Loaded) -> Result<Vec<String>, String> {
        let stamps = issuers::stamps(&loaded);
        let mut gathered = self.issuers.gather(&loaded);
        let problems = std::mem::take(&mut gathered.problems);
        if gathered.is_lacking {
            return Err(problems.join("; "));
        }
        if gathered.is_waiting {
            self.fetches.hurry();
        }
        let before = self.auth.authenticator.tokens();
        let tokens = gathered.tokens(&before, &self.auth.audit)?;
        let config = &loaded.config;
        let (Ok(rules), Ok(certificates)) = (config.rules(), config.certificates()) else {
            return Err("limits or certificates cannot be used".into());
        };
        if let Some(mtls) = self.auth.authenticator.mtls() {
            mtls.reload(certificates);
        }
        self.auth.authenticator.reload(
            config.directory(),
            tokens,
            config.limits.failed_logins.quota(),
        );
        if let Some(redis) = &self.redis {
            redis.reload(&config.redis);
        }
        self.limit.limiter.reload(rules);
        self.limit.answer.store(Arc::new(config.limits.answer));
        self.permit.policy.store(Arc::new(config.policy()));
        self.issuers.saw(stamps);
        self.issuers.keep_those_of(&loaded);
        self.running = loaded;
        Ok(problems)
    }

    /// Reads the issuers' secrets again, and nothing else.
    async fn issuers(&mut self) {
        self.issuers.saw(issuers::stamps(&self.running));
        let mut gathered = self.issuers.gather(&self.running);
        let mut problems = std::mem::take(&mut gathered.problems);
        let before = self.auth.authenticator.tokens();
        match gathered.tokens(&before, &self.auth.audit) {
            Ok(tokens) => {
                let config = &self.running.config;
                let failed_logins = config.limits.failed_logins.quota();
                let authenticator = &self.auth.authenticator;
                authenticator.reload(config.directory(), tokens, failed_logins);
            }
            Err(problem) => problems.push(problem),
        }
        match problems.is_empty() {
            true => self.tell(Some(ISSUERS), None).await,
            false => self.tell_of_issuers(problems).await,
        }
    }

    async fn tell_of_issuers(&mut self, problems: Vec<String>) {
        if !problems.is_empty() {
            self.tell(Some(ISSUERS), Some(problems.join("; "))).await;
        }
    }

    /// Takes what was found in AWS since.
    async fn fetched(&mut self) {
        let aws = |reference: &SecretRef| match reference {
            SecretRef::Aws(aws) => Some(aws.clone()),
            SecretRef::File(_) | SecretRef::Env(_) => None,
        };
        let people = self.people.as_ref().and_then(|people| aws(people.source()));
        let issuers = self.running.config.auth.jwt.iter();
        let mut wanted: Vec<AwsRef> = issuers.filter_map(|issuer| aws(issuer.secret()?)).collect();
        wanted.extend(people.clone());
        let mut is_news = false;
        for found in self.fetches.turn(wanted).await {
            let secret = found.secret.map_err(|error| chain(&error));
            if people.as_ref() == Some(&found.reference) {
                self.people_found(secret.clone()).await;
            }
            let reference = SecretRef::Aws(found.reference.clone());
            if issuers::refer_to(&self.running, &reference) {
                is_news |= self.issuers.found(&found.reference, secret);
            }
        }
        if is_news {
            self.issuers().await;
        }
    }

    async fn people(&mut self) {
        let read = self.people.as_mut().and_then(People::read);
        if let Some(read) = read {
            self.people_found(read).await;
        }
    }

    async fn people_found(&mut self, found: Result<Secret, String>) {
        let replaced = match (&mut self.people, found) {
            (None, _) => return,
            (Some(people), Ok(secret)) => people.replace(&secret),
            (Some(_), Err(problem)) => Err(problem),
        };
        match replaced {
            Ok(false) if !self.told.contains_key(&Some(PEOPLE)) => {}
            Ok(_) => self.tell(Some(PEOPLE), None).await,
            Err(problem) => {
                let problem = format!("{PEOPLE}: {problem}");
                self.tell(Some(PEOPLE), Some(problem)).await;
            }
        }
    }

    /// The audit log says that it happened, the operational log what is wrong; both once for each
    /// problem, however often it is met.
    async fn tell(&mut self, part: Part, problem: Option<String>) {
        if problem.is_some() && self.told.get(&part) == problem.as_ref() {
            return;
        }
        let outcome = match problem {
            Some(problem) => {
                tracing::error!(problem, part, "the configuration was not reloaded");
                self.told.insert(part, problem);
                "refused_last_good_keeps_serving"
            }
            None => {
                self.told.remove(&part);
                self.applied(part)
            }
        };
        let event = Event {
            reason: Some(outcome.into()),
            policy: part.map(Into::into),
            ..Event::new(Kind::ConfigReload)
        };
        self.auth.audit.record(event).await;
    }

    fn applied(&self, part: Part) -> &'static str {
        let waiting = match part {
            None => restart::needed_for(&self.started, &self.running.settings),
            Some(_) => Vec::new(),
        };
        if waiting.is_empty() {
            tracing::info!(part, "the configuration was reloaded");
            return "applied";
        }
        let keys = waiting.join(", ");
        tracing::warn!("the configuration was reloaded in part; needs a restart: {keys}");
        "applied_in_part"
    }
}

const TLS: &str = "server.tls";
const ISSUERS: &str = "auth.jwt";
const PEOPLE: &str = "zoho.user_credentials";

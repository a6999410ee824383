//! Everything that is held, built once from the configuration. Binds nothing.

mod keys;
mod reload;
mod stamp;
mod traces;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use secrecy::SecretSlice;
use tokio::time::Instant;

use crate::{
    audit::{Audit, Redactor, SigningKey},
    auth::{
        self, Authenticator, Keys, Mtls, Tokens,
        api_key::{KeySet, Published},
    },
    call,
    config::{Config, Environment, Loaded},
    health::Health,
    limit::{self, Limiter, Names},
    listen::{Allowed, Drain, Proxies, Tls},
    mcp::{Desk, Handler, Sessions},
    permit,
    secrets::{self, Secret},
    setting::SecretRef,
    store::{self, Store},
    telemetry::{self, Traces},
    tools::{self, Idempotency},
    zoho::{Credentials, Zoho},
};

pub use keys::{BadKeys, KeySource};
pub use reload::Reload;

/// The daemon, before it listens.
#[expect(missing_docs, reason = "each part is described in its own room")]
pub struct App {
    pub config: Config,
    pub handler: Handler,
    pub auth: auth::Gate,
    pub limit: limit::Gate,
    pub permit: permit::Gate,
    pub body: call::Limits,
    pub sessions: Arc<Sessions>,
    pub health: Arc<Health>,
    pub drain: Drain,
    pub allowed: Allowed,
    pub trusted_proxies: Proxies,
    pub tls: Arc<Tls>,
    pub traces: Traces,
    /// Makes and keeps the connection to Redis once it runs, where there is one.
    pub redis: Option<store::Keeper>,
}

/// The secrets that an [`App`] starts with.
pub struct Secrets {
    /// The hashes of the API keys; `None` where no keys are accepted.
    pub keys: Option<Published>,
    /// Where those are read again; `None` when they stay as they are.
    pub key_source: Option<KeySource>,
    /// What each of `[[auth.jwt]]` refers to, in their order.
    pub issuers: Vec<Option<Secret>>,
    /// What proves this daemon to Zoho.
    pub zoho: Credentials,
    /// What pseudonyms in the audit log are made with.
    pub pseudonym_key: Option<SecretSlice<u8>>,
    /// What proves this daemon to Redis.
    pub redis: store::Passwords,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// What checkpoints of the audit log are signed with.
    pub signing_key: Option<SigningKey>,
    /// The certificates that connections begin with.
    pub tls: Tls,
    /// What proves this daemon to the collector of traces.
    pub trace_headers: telemetry::Headers,
}

impl Secrets {
    /// Reads what the configuration refers to.
    ///
    /// # Errors
    /// Which key of the configuration refers to a secret that is missing or unusable.
    pub fn read(loaded: &Loaded, environment: &Environment) -> anyhow::Result<Self> {
        let read = |key: &str, reference| read(loaded, environment, key, reference);
        let config = &loaded.config;
        let (keys, key_source) = match config.auth.api_keys.enabled {
            true => api_keys(loaded, environment)
                .map(|(keys, source)| (Some(keys), Some(source)))
                .context("auth.api_keys.source in the configuration")
                .context("make a key with `zoho-mcp keys new` first")?,
            false => (None, None),
        };
        let zoho = config
            .zoho
            .credentials
            .as_ref()
            .context("zoho.credentials is not set")?;
        let zoho = read("zoho.credentials", zoho)?;
        let zoho = serde_json::from_slice(zoho.bytes()).ok().context(
            "zoho.credentials: expected a JSON object with client_id, client_secret and refresh_token",
        )?;
        let pseudonym_key = pseudonym_key(loaded, environment)?;
        let signing_key = signing_key(loaded, environment)?;
        let tls = read_tls(loaded)?;
        Ok(Self {
            keys,
            key_source,
            issuers: Self::issuers(loaded, environment)?,
            zoho,
            pseudonym_key,
            redis: redis_passwords(loaded, environment)?,
            base: loaded.base.clone(),
            signing_key,
            tls,
            trace_headers: traces::headers(loaded, environment)?,
        })
    }

    /// Reads what `[[auth.jwt]]` refers to.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub fn issuers(
        loaded: &Loaded,
        environment: &Environment,
    ) -> anyhow::Result<Vec<Option<Secret>>> {
        let variable = |name: &str| environment.get(name).cloned();
        let issuers = loaded.config.auth.jwt.iter().enumerate();
        issuers
            .map(|(place, issuer)| {
                let reference = issuer.hs256_secret.as_ref().or(issuer.public_key.as_ref());
                let secret = reference
                    .map(|reference| secrets::read(reference, &loaded.base, &variable))
                    .transpose();
                secret.with_context(|| format!("auth.jwt[{place}] in the configuration"))
            })
            .collect()
    }
}

impl App {
    /// Builds everything, top to bottom.
    ///
    /// # Errors
    /// What cannot be used, by its key in the configuration.
    pub fn new(config: Config, mut secrets: Secrets, audit: Audit) -> anyhow::Result<Self> {
        let traces = traces::start(&config, &mut secrets)?;
        let held = Held::new(&config, secrets, audit)?;
        let tools: Arc<[permit::Permission]> = tools::permissions().into();
        Ok(Self {
            handler: Handler(held.desk(&config)),
            health: held.health(),
            redis: held.redis,
            auth: auth::Gate {
                authenticator: held.authenticator,
                public_url: config.server.public_url.as_deref().map(Into::into),
                scheme: held.tls.scheme(),
                audit: held.audit.clone(),
            },
            limit: limit::Gate {
                limiter: held.limiter,
                answer: Arc::new(ArcSwap::from_pointee(config.limits.answer)),
                tools: tools.clone(),
                audit: held.audit.clone(),
            },
            permit: permit::Gate {
                policy: held.policy,
                tools,
                audit: held.audit,
            },
            body: call::Limits {
                max_body: config.mcp.max_body.bytes(),
                deadline: config.mcp.body_timeout.duration(),
            },
            sessions: Arc::new(Sessions::new(config.mcp.clone(), held.drain.clone())),
            drain: held.drain,
            allowed: config.server.check().context("server")?,
            trusted_proxies: config.server.proxies(),
            tls: held.tls,
            traces,
            config,
        })
    }

    /// The connection to Zoho.
    pub fn zoho(&self) -> &Zoho {
        &self.handler.0.zoho
    }

    /// The audit log that everything records to.
    pub fn audit(&self) -> &Audit {
        &self.auth.audit
    }
}

/// What several rooms share.
struct Held {
    zoho: Zoho,
    authenticator: Arc<Authenticator>,
    limiter: Arc<Limiter>,
    policy: Arc<ArcSwap<permit::Policy>>,
    redactor: Redactor,
    audit: Audit,
    drain: Drain,
    redis: Option<store::Keeper>,
    tls: Arc<Tls>,
}

impl Held {
    fn new(config: &Config, secrets: Secrets, audit: Audit) -> anyhow::Result<Self> {
        let (store, redis) = store(config, &secrets)?.unzip();
        let zoho = Zoho::new(&config.zoho, secrets.zoho).context("zoho")?;
        let mtls = mtls(config, &secrets.tls)?;
        let authenticator =
            authenticator(config, secrets.keys, secrets.issuers, &audit)?.with_certificates(mtls);
        let rules = config
            .rules()
            .map_err(|_| anyhow::anyhow!("limits are out of range"))?;
        let limiter = match store {
            Some(store) => {
                let names = Names::new(secrets.pseudonym_key.as_ref());
                Limiter::over(store, names, config.redis.expected_replicas, rules)
            }
            None => Limiter::new(rules),
        };
        Ok(Self {
            zoho,
            authenticator: Arc::new(authenticator),
            limiter: Arc::new(limiter),
            redis,
            policy: Arc::new(ArcSwap::from_pointee(config.policy())),
            redactor: match secrets.pseudonym_key {
                Some(key) => Redactor::new(&key),
                None => Redactor::random(),
            },
            audit,
            drain: Drain::default(),
            tls: Arc::new(secrets.tls),
        })
    }

    fn desk(&self, config: &Config) -> Arc<Desk> {
        Arc::new(Desk {
            zoho: self.zoho.clone(),
            audit: self.audit.clone(),
            redactor: self.redactor.clone(),
            policy: self.policy.clone(),
            idempotency: Idempotency::default(),
            tool_timeout: config.mcp.tool_timeout,
            drain: self.drain.clone(),
        })
    }

    fn health(&self) -> Arc<Health> {
        Arc::new(Health {
            zoho: self.zoho.clone(),
            audit: self.audit.clone(),
            authenticator: self.authenticator.clone(),
            limiter: self.limiter.clone(),
            drain: self.drain.clone(),
            started: Instant::now(),
        })
    }
}

fn api_keys(loaded: &Loaded, environment: &Environment) -> anyhow::Result<(Published, KeySource)> {
    secrets::aws::block_on(async {
        let mut source = KeySource::new(loaded, environment);
        let published = source.look(Timestamp::now()).await?;
        Ok((published.context("there are no keys")?, source.moved()))
    })?
}

fn authenticator(
    config: &Config,
    keys: Option<Published>,
    issuers: Vec<Option<Secret>>,
    audit: &Audit,
) -> anyhow::Result<Authenticator> {
    let tokens = Tokens::new(&config.auth.jwt, issuers, None, audit)?;
    let keys = Arc::new(Keys::new(keys.map(KeySet::from).unwrap_or_default()));
    let authenticator = Authenticator::new(keys, config.directory(), config.limits.failed_logins);
    let authenticator = authenticator.with_tokens(tokens);
    Ok(match config.auth.api_keys.enabled {
        true => authenticator,
        false => authenticator.without_api_keys(),
    })
}

/// Reads the certificates that the configuration names.
///
/// # Errors
/// Which file cannot be used, why, and what to do.
pub fn read_tls(loaded: &Loaded) -> anyhow::Result<Tls> {
    Tls::load(&loaded.config.server.tls, &loaded.base, Timestamp::now())
        .map_err(|bad| anyhow::anyhow!("{}\n  remedy: {}", chain(&bad), bad.remedy()))
}

fn mtls(config: &Config, tls: &Tls) -> anyhow::Result<Option<Arc<Mtls>>> {
    let clients = config.certificates().map_err(|client| {
        anyhow::anyhow!("clients.{client}.certificate: another client has the same")
    })?;
    let Some(trust) = tls.trust() else {
        return Ok(None);
    };
    let mtls = Mtls::new(trust.clone(), config.auth.mtls, clients);
    Ok(Some(Arc::new(mtls)))
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The connection to Redis for all rooms, and what keeps it, where there is a Redis.
fn store(config: &Config, secrets: &Secrets) -> anyhow::Result<Option<(Store, store::Keeper)>> {
    if !config.redis.is_configured() {
        return Ok(None);
    }
    let store = Store::new(&config.redis, &secrets.base, &secrets.redis).context("redis")?;
    Ok(Some(store))
}

/// The passwords that `[redis]` refers to.
///
/// # Errors
/// Which key refers to a secret that is missing or unusable.
pub fn redis_passwords(
    loaded: &Loaded,
    environment: &Environment,
) -> anyhow::Result<store::Passwords> {
    let redis = &loaded.config.redis;
    let read = |key: &str, reference: &Option<SecretRef>| {
        let Some(reference) = reference.as_ref().filter(|_| redis.is_configured()) else {
            return anyhow::Ok(None);
        };
        let secret = read(loaded, environment, key, reference)?;
        let text = secret.text();
        Ok(Some(
            text.with_context(|| format!("{key}: not a text in UTF-8"))?,
        ))
    };
    Ok(store::Passwords {
        redis: read("redis.password", &redis.password)?,
        sentinel: read("redis.sentinel_password", &redis.sentinel_password)?,
    })
}

/// What pseudonyms are made with.
///
/// # Errors
/// It is missing, or too short.
pub fn pseudonym_key(
    loaded: &Loaded,
    environment: &Environment,
) -> anyhow::Result<Option<SecretSlice<u8>>> {
    let Some(reference) = &loaded.config.audit.pseudonym_key else {
        return Ok(None);
    };
    let secret = read(loaded, environment, "audit.pseudonym_key", reference)?;
    let key = secret.bytes().trim_ascii_end();
    anyhow::ensure!(
        key.len() >= 32,
        "audit.pseudonym_key: the key is shorter than 32 bytes"
    );
    Ok(Some(key.to_vec().into()))
}

fn signing_key(loaded: &Loaded, environment: &Environment) -> anyhow::Result<Option<SigningKey>> {
    let Some(reference) = &loaded.config.audit.signing_key else {
        return Ok(None);
    };
    let secret = read(loaded, environment, "audit.signing_key", reference)?;
    let key = SigningKey::parse(secret.bytes())
        .context("audit.signing_key: `zoho-mcp audit keygen` makes one")?;
    Ok(Some(key))
}

fn read(
    loaded: &Loaded,
    environment: &Environment,
    key: &str,
    reference: &SecretRef,
) -> anyhow::Result<secrets::Secret> {
    let secret = secrets::read(reference, &loaded.base, &|name| {
        environment.get(name).cloned()
    })
    .with_context(|| format!("{key} in the configuration"))?;
    if let Some(warning) = &secret.warning {
        tracing::warn!("{key}: {warning}");
    }
    Ok(secret)
}

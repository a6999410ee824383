//! Everything that is held, built once from the configuration. Binds nothing.

mod reload;

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio::time::Instant;

use crate::{
    audit::{Audit, Redactor},
    auth::{self, Authenticator, Keys, api_key::KeySet},
    call,
    config::{Config, Environment, Loaded},
    health::Health,
    limit::{self, Limiter},
    listen::{Allowed, Drain},
    mcp::{Desk, Handler, Sessions},
    permit, secrets,
    setting::SecretRef,
    tools::{self, Idempotency},
    zoho::{Credentials, Zoho},
};

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
    pub trusted_proxies: Arc<[IpNet]>,
}

/// The secrets that an [`App`] starts with.
pub struct Secrets {
    /// The document with the hashes of the API keys.
    pub keys: Vec<u8>,
    /// What proves this daemon to Zoho.
    pub zoho: Credentials,
    /// The credentials of people, where some client works for them.
    pub people: Option<SecretSlice<u8>>,
    /// What pseudonyms in the audit log are made with.
    pub pseudonym_key: Option<SecretSlice<u8>>,
}

impl Secrets {
    /// Reads what the configuration refers to.
    ///
    /// # Errors
    /// Which key of the configuration refers to a secret that is missing or unusable.
    pub fn read(loaded: &Loaded, environment: &Environment) -> anyhow::Result<Self> {
        let read = |key: &str, reference: &SecretRef| {
            let secret = secrets::read(reference, &loaded.base, &|name| {
                environment.get(name).cloned()
            })
            .with_context(|| format!("{key} in the configuration"))?;
            if let Some(warning) = &secret.warning {
                tracing::warn!("{key}: {warning}");
            }
            anyhow::Ok(secret)
        };
        let config = &loaded.config;
        let keys = read("auth.api_keys.source", &config.auth.api_keys.source)
            .context("make a key with `zoho-mcp keys new` first")?;
        let zoho = config
            .zoho
            .credentials
            .as_ref()
            .context("zoho.credentials is not set")?;
        let zoho = read("zoho.credentials", zoho)?;
        let zoho = serde_json::from_slice(zoho.bytes()).ok().context(
            "zoho.credentials: expected a JSON object with client_id, client_secret and refresh_token",
        )?;
        let people = match &config.zoho.user_credentials {
            Some(reference) => Some(
                read("zoho.user_credentials", reference)?
                    .bytes()
                    .to_vec()
                    .into(),
            ),
            None => None,
        };
        let pseudonym_key = match &config.audit.pseudonym_key {
            Some(reference) => Some(pseudonym_key(
                read("audit.pseudonym_key", reference)?.bytes(),
            )?),
            None => None,
        };
        Ok(Self {
            keys: keys.bytes().to_vec(),
            zoho,
            people,
            pseudonym_key,
        })
    }
}

impl App {
    /// Builds everything, top to bottom.
    ///
    /// # Errors
    /// What cannot be used, by its key in the configuration.
    pub fn new(config: Config, secrets: Secrets, audit: Audit) -> anyhow::Result<Self> {
        let held = Held::new(&config, secrets, audit)?;
        let tools: Arc<[permit::Permission]> = tools::permissions().into();
        Ok(Self {
            handler: Handler(held.desk(&config)),
            health: held.health(),
            auth: auth::Gate {
                authenticator: held.authenticator,
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
            trusted_proxies: config.server.trusted_proxies.clone().into(),
            config,
        })
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
}

impl Held {
    fn new(config: &Config, secrets: Secrets, audit: Audit) -> anyhow::Result<Self> {
        let zoho = Zoho::new(&config.zoho, secrets.zoho).context("zoho")?;
        if let Some(people) = &secrets.people {
            zoho.replace_people(people.expose_secret())
                .context("zoho.user_credentials")?;
        }
        let keys = KeySet::from_document(&secrets.keys).context("auth.api_keys.source")?;
        let authenticator = Authenticator::new(
            Arc::new(Keys::new(keys)),
            config.directory(),
            config.limits.failed_logins,
        );
        let rules = config
            .rules()
            .map_err(|_| anyhow::anyhow!("limits are out of range"))?;
        Ok(Self {
            zoho,
            authenticator: Arc::new(authenticator),
            limiter: Arc::new(Limiter::new(rules)),
            policy: Arc::new(ArcSwap::from_pointee(config.policy())),
            redactor: match secrets.pseudonym_key {
                Some(key) => Redactor::new(&key),
                None => Redactor::random(),
            },
            audit,
            drain: Drain::default(),
        })
    }

    fn desk(&self, config: &Config) -> Arc<Desk> {
        Arc::new(Desk {
            zoho: self.zoho.clone(),
            audit: self.audit.clone(),
            redactor: self.redactor.clone(),
            limiter: self.limiter.clone(),
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
            drain: self.drain.clone(),
            started: Instant::now(),
        })
    }
}

fn pseudonym_key(bytes: &[u8]) -> anyhow::Result<SecretSlice<u8>> {
    let key = bytes.trim_ascii_end();
    anyhow::ensure!(
        key.len() >= 32,
        "audit.pseudonym_key: the key is shorter than 32 bytes"
    );
    Ok(key.to_vec().into())
}

//! Everything that is held, built once from the configuration. Binds nothing.

mod access;
mod credentials;
mod expiry;
mod fetch;
mod issuers;
mod keys;
mod people;
mod reading;
mod references;
mod reload;
mod restart;
mod retry;
mod rooms;
mod stamp;
mod traces;

use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use crate::{
    audit::{Audit, Redactor},
    auth::{
        self, Authenticator, Keys, Mtls, Tokens,
        api_key::{KeySet, Published},
    },
    call,
    config::Config,
    health::Health,
    limit::{self, Limiter, Names},
    listen::{Allowed, Drain, Proxies, Tls},
    mcp::{Desk, Handler, HttpSessions, Sessions},
    permit,
    secrets::Secret,
    store,
    telemetry::Traces,
    tools::{self, Cache, Idempotency},
    zoho::{self, Zoho},
};

use rooms::Rooms;

pub use keys::{BadKeys, KeySource};
pub use reading::BadSecrets;
pub use references::{Secrets, pseudonym_key, read_tls, redis_passwords, signing_key};
pub use reload::{Origins, Reload};

/// The daemon, before it listens.
#[expect(missing_docs, reason = "each part is described in its own room")]
pub struct App {
    pub config: Config,
    pub handler: Handler,
    pub auth: Arc<auth::Gate>,
    pub crowd: limit::Crowd,
    pub limit: Arc<limit::Gate>,
    pub permit: Arc<permit::Gate>,
    pub body: Arc<call::Gate>,
    pub sessions: Arc<Sessions>,
    /// Sessions of `/mcp`, where they are on.
    pub http_sessions: Option<Arc<HttpSessions>>,
    pub health: Arc<Health>,
    pub drain: Drain,
    pub allowed: Allowed,
    pub trusted_proxies: Proxies,
    pub tls: Arc<Tls>,
    pub traces: Traces,
    /// Makes and keeps the connection to Redis once it runs, where there is one.
    pub redis: Option<store::Keeper>,
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
            auth: Arc::new(auth::Gate {
                authenticator: held.authenticator,
                public_url: config.server.public_url.as_deref().map(Into::into),
                scheme: held.tls.scheme(),
                audit: held.audit.clone(),
                redactor: held.redactor.clone(),
            }),
            crowd: limit::Crowd::new(config.server.max_requests),
            limit: Arc::new(limit::Gate {
                limiter: held.limiter,
                answer: Arc::new(ArcSwap::from_pointee(config.limits.answer)),
                tools: tools.clone(),
                zoho: held.zoho.clone(),
                audit: held.audit.clone(),
            }),
            permit: Arc::new(permit::Gate {
                policy: held.policy,
                tools,
                audit: held.audit.clone(),
            }),
            body: Arc::new(call::Gate {
                max_body: config.mcp.max_body.bytes(),
                deadline: config.mcp.body_timeout.duration(),
                bodies: call::Bodies::new(config.mcp.body_memory.bytes()),
                takes_answers: config.mcp.sessions,
                audit: held.audit.clone(),
            }),
            sessions: held.rooms.streams,
            http_sessions: held.rooms.http,
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

    /// The keys of writes.
    pub fn idempotency(&self) -> &Idempotency {
        &self.handler.0.idempotency
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
    idempotency: Idempotency,
    rooms: Rooms,
}

impl Held {
    fn new(config: &Config, secrets: Secrets, audit: Audit) -> anyhow::Result<Self> {
        let (store, redis) = access::store(config, &secrets)?.unzip();
        let drain = Drain::default();
        let rooms = Rooms::new(config, store.as_ref(), &secrets, (&audit, &drain))?;
        let zoho = match &store {
            Some(store) => {
                let sharing = zoho::Sharing {
                    store: store.clone(),
                    token_key: secrets.token_key,
                };
                Zoho::shared(&config.zoho, secrets.zoho, &sharing)
            }
            None => Zoho::new(&config.zoho, secrets.zoho),
        };
        let zoho = zoho.context("zoho")?;
        if let Some(people) = &secrets.people {
            zoho.replace_people(people.expose_secret())
                .context("zoho.user_credentials")?;
        }
        let mtls = mtls(config, &secrets.tls)?;
        let authenticator =
            authenticator(config, secrets.keys, secrets.issuers, &audit)?.with_certificates(mtls);
        let rules = config
            .rules()
            .map_err(|_| anyhow::anyhow!("limits are out of range"))?;
        let idempotency = Idempotency::new(
            config.zoho.request_timeout.duration(),
            config.mcp.tool_timeout.duration(),
        );
        let idempotency = match &store {
            Some(store) => idempotency.over(store.clone(), secrets.pseudonym_key.as_ref()),
            None => idempotency,
        };
        let limiter = match store {
            Some(store) => {
                let names = Names::new(secrets.pseudonym_key.as_ref());
                Limiter::over(store, names, rules)
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
            drain,
            tls: Arc::new(secrets.tls),
            idempotency,
            rooms,
        })
    }

    fn desk(&self, config: &Config) -> Arc<Desk> {
        Arc::new(Desk {
            zoho: self.zoho.clone(),
            audit: self.audit.clone(),
            redactor: self.redactor.clone(),
            policy: self.policy.clone(),
            idempotency: self.idempotency.clone(),
            cache: Cache::new(&config.cache),
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
            tls: self.tls.clone(),
            started: Instant::now(),
        })
    }
}

fn authenticator(
    config: &Config,
    keys: Option<Published>,
    issuers: Vec<Option<Secret>>,
    audit: &Audit,
) -> anyhow::Result<Authenticator> {
    let tokens = Tokens::new(&config.auth.jwt, issuers, &tool_names(), None, audit)?;
    let keys = Arc::new(Keys::new(keys.map(KeySet::from).unwrap_or_default()));
    let authenticator = Authenticator::new(
        keys,
        config.directory(),
        config.limits.failed_logins.quota(),
    );
    let authenticator = authenticator.with_tokens(tokens);
    Ok(match config.auth.api_keys.enabled {
        true => authenticator,
        false => authenticator.without_api_keys(),
    })
}

fn mtls(config: &Config, tls: &Tls) -> anyhow::Result<Option<Arc<Mtls>>> {
    let clients = config.certificates().map_err(|client| {
        anyhow::anyhow!("clients.{client}.certificate: another client has the same")
    })?;
    let takes_certificates = config.server.tls.takes_certificates();
    let Some(trust) = tls.trust().filter(|_| takes_certificates) else {
        return Ok(None);
    };
    let mtls = Mtls::new(trust.clone(), config.auth.mtls, clients);
    Ok(Some(Arc::new(mtls)))
}

fn tool_names() -> Arc<[&'static str]> {
    let permissions = tools::permissions().into_iter();
    permissions.map(|permission| permission.tool).collect()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

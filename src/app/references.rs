//! The secrets that a daemon starts with: everything that its configuration refers to.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::Timestamp;
use secrecy::SecretSlice;

use super::{KeySource, chain};
use crate::{
    audit::SigningKey,
    auth::Issuer,
    auth::api_key::Published,
    config::{Environment, Loaded},
    listen::Tls,
    secrets::{self, Secret},
    setting::SecretRef,
    store,
    zoho::Credentials,
};

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
    /// The credentials of people, where some client works for them.
    pub people: Option<SecretSlice<u8>>,
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
        let people = people(loaded, environment)?;
        let pseudonym_key = pseudonym_key(loaded, environment)?;
        let signing_key = signing_key(loaded, environment)?;
        let tls = read_tls(loaded)?;
        Ok(Self {
            keys,
            key_source,
            issuers: Self::issuers(loaded, environment)?,
            zoho,
            people,
            pseudonym_key,
            redis: redis_passwords(loaded, environment)?,
            base: loaded.base.clone(),
            signing_key,
            tls,
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
                let secret = issuer
                    .secret()
                    .map(|reference| secrets::read(reference, &loaded.base, &variable))
                    .transpose();
                secret.with_context(|| {
                    let key = issuer_key(place, issuer);
                    format!("{key} in the configuration: put the key there, or name another place")
                })
            })
            .collect()
    }
}

/// The key of the configuration that says where an issuer's secret or public key is.
pub(super) fn issuer_key(place: usize, issuer: &Issuer) -> String {
    let key = match issuer.hs256_secret {
        Some(_) => "hs256_secret",
        None => "public_key",
    };
    format!("auth.jwt[{place}].{key}")
}

fn api_keys(loaded: &Loaded, environment: &Environment) -> anyhow::Result<(Published, KeySource)> {
    secrets::aws::block_on(async {
        let mut source = KeySource::new(loaded, environment);
        let published = source.look(Timestamp::now()).await?;
        Ok((published.context("there are no keys")?, source.moved()))
    })?
}

/// Reads the certificates that the configuration names.
///
/// # Errors
/// Which file cannot be used, why, and what to do.
pub fn read_tls(loaded: &Loaded) -> anyhow::Result<Tls> {
    Tls::load(&loaded.config.server.tls, &loaded.base, Timestamp::now())
        .map_err(|bad| anyhow::anyhow!("{}\n  remedy: {}", chain(&bad), bad.remedy()))
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

fn people(loaded: &Loaded, environment: &Environment) -> anyhow::Result<Option<SecretSlice<u8>>> {
    let Some(reference) = &loaded.config.zoho.user_credentials else {
        return Ok(None);
    };
    let secret = read(loaded, environment, "zoho.user_credentials", reference)?;
    Ok(Some(secret.bytes().to_vec().into()))
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

//! The secrets that a daemon starts with: everything that its configuration refers to.

use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::SecretSlice;

use super::{
    KeySource,
    reading::{BadSecrets, Reading},
};
use crate::{
    audit::SigningKey,
    auth::{
        Issuer,
        api_key::{KeyRecord, Published},
    },
    config::{Config, Environment, Loaded},
    listen::Tls,
    secrets::Secret,
    store, telemetry,
    zoho::Credentials,
};

/// The secrets that an [`App`](super::App) starts with.
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
    /// What access tokens are encrypted with in Redis.
    pub token_key: Option<SecretSlice<u8>>,
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
    /// Every key of the configuration that refers to a secret that is missing or unusable.
    pub fn read(loaded: &Loaded, environment: &Environment) -> Result<Self, BadSecrets> {
        let mut reading = Reading::new(loaded, environment);
        let (keys, key_source) = reading.api_keys().unzip();
        let zoho = reading.zoho();
        let people = reading.people();
        let pseudonym_key = reading.pseudonym_key();
        let token_key = reading.token_key();
        let signing_key = reading.signing_key();
        let tls = reading.tls();
        let issuers = reading.issuers();
        let redis = reading.redis();
        let trace_headers = reading.trace_headers();
        let (Some(zoho), Some(tls)) = reading.complete((zoho, tls))? else {
            return Err(reading.refused());
        };
        Ok(Self {
            keys,
            key_source,
            issuers,
            zoho,
            people,
            token_key,
            pseudonym_key,
            redis,
            base: loaded.base.clone(),
            signing_key,
            tls,
            trace_headers,
        })
    }

    /// Reads what `[[auth.jwt]]` refers to.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub fn issuers(
        loaded: &Loaded,
        environment: &Environment,
    ) -> Result<Vec<Option<Secret>>, BadSecrets> {
        let mut reading = Reading::new(loaded, environment);
        let issuers = reading.issuers();
        reading.complete(issuers)
    }

    /// Clients that nobody can call as, and keys that are nobody's.
    pub fn warnings(&self, config: &Config) -> Vec<String> {
        let now = Timestamp::now();
        let keys = self.keys.iter().flat_map(|keys| keys.current.keys());
        let live: Vec<&KeyRecord> = keys.filter(|key| key.is_live(now)).collect();
        config.unproven(&live)
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

/// Reads the certificates that the configuration names.
///
/// # Errors
/// Which file cannot be used, why, and what to do.
pub fn read_tls(loaded: &Loaded, environment: &Environment) -> Result<Tls, BadSecrets> {
    let mut reading = Reading::new(loaded, environment);
    let tls = reading.tls();
    tls.ok_or_else(|| reading.refused())
}

/// The passwords that `[redis]` refers to.
///
/// # Errors
/// Which key refers to a secret that is missing or unusable.
pub fn redis_passwords(
    loaded: &Loaded,
    environment: &Environment,
) -> Result<store::Passwords, BadSecrets> {
    let mut reading = Reading::new(loaded, environment);
    let passwords = reading.redis();
    reading.complete(passwords)
}

/// What signs the audit log.
///
/// # Errors
/// It is missing, or no such key.
pub fn signing_key(
    loaded: &Loaded,
    environment: &Environment,
) -> Result<Option<SigningKey>, BadSecrets> {
    let mut reading = Reading::new(loaded, environment);
    let key = reading.signing_key();
    reading.complete(key)
}

/// What pseudonyms are made with.
///
/// # Errors
/// It is missing, or too short.
pub fn pseudonym_key(
    loaded: &Loaded,
    environment: &Environment,
) -> Result<Option<SecretSlice<u8>>, BadSecrets> {
    let mut reading = Reading::new(loaded, environment);
    let key = reading.pseudonym_key();
    reading.complete(key)
}

//! Reads what a configuration refers to, and gathers everything that is in the way.

use jiff::Timestamp;
use secrecy::{SecretSlice, SecretString};

use super::{BadKeys, KeySource, chain, references::issuer_key};
use crate::{
    audit::SigningKey,
    auth::{Issuer, api_key::Published, jwt::check_keys},
    config::{Environment, Loaded, Problem, Refused},
    listen::Tls,
    secrets::{self, Secret, SecretError},
    setting::SecretRef,
    store, telemetry,
    zoho::Credentials,
};

/// Secrets that are missing or unusable, all of them.
#[derive(Debug, thiserror::Error)]
#[error("{refused}")]
pub struct BadSecrets {
    refused: Refused,
    may_pass: bool,
}

impl BadSecrets {
    /// Whether waiting can help: nobody will bring a file or a variable.
    pub const fn may_pass(&self) -> bool {
        self.may_pass
    }
}

/// A reader that goes on after a mistake.
pub(super) struct Reading<'a> {
    loaded: &'a Loaded,
    environment: &'a Environment,
    problems: Vec<Problem>,
    may_pass: bool,
}

impl<'a> Reading<'a> {
    pub(super) const fn new(loaded: &'a Loaded, environment: &'a Environment) -> Self {
        Self {
            loaded,
            environment,
            problems: Vec::new(),
            may_pass: true,
        }
    }

    /// What was read, unless something was in the way.
    pub(super) fn complete<T>(&mut self, read: T) -> Result<T, BadSecrets> {
        match self.problems.is_empty() {
            true => Ok(read),
            false => Err(self.refused()),
        }
    }

    pub(super) fn refused(&mut self) -> BadSecrets {
        BadSecrets {
            refused: self.loaded.refused(std::mem::take(&mut self.problems)),
            may_pass: self.may_pass,
        }
    }

    /// The hashes of the API keys and where they are read again, where keys are accepted.
    pub(super) fn api_keys(&mut self) -> Option<(Published, KeySource)> {
        if !self.loaded.config.auth.api_keys.enabled {
            return None;
        }
        let looked = secrets::aws::block_on(async {
            let mut source = KeySource::new(self.loaded, self.environment);
            let published = source.look(Timestamp::now()).await?;
            Ok::<_, BadKeys>((published, source.moved()))
        });
        let bad = match looked.map_err(SecretError::NoThread) {
            Ok(Ok((Some(published), source))) => return Some((published, source)),
            Ok(Ok((None, _))) => return None,
            Ok(Err(bad)) => bad,
            Err(bad) => BadKeys::from(bad),
        };
        self.may_pass &= bad.may_pass();
        let remedy = self.remedy_for_keys(&bad);
        self.note("auth.api_keys.source", chain(&bad), remedy);
        None
    }

    fn remedy_for_keys(&self, bad: &BadKeys) -> String {
        let config = &self.loaded.config;
        match bad {
            BadKeys::Document { .. } => {
                "restore the document from a copy; only `zoho-mcp keys` should write it".into()
            }
            BadKeys::Secret(SecretError::File { source, path })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                let client = config.clients.keys().next();
                let client = client.map_or("NAME", |name| name);
                let store = path.display();
                format!("make a key with `zoho-mcp keys new --store {store} --client {client}`")
            }
            BadKeys::Secret(error) => error.remedy().into(),
        }
    }

    pub(super) fn zoho(&mut self) -> Option<Credentials> {
        const KEY: &str = "zoho.credentials";
        let Some(reference) = &self.loaded.config.zoho.credentials else {
            self.bad(
                KEY,
                "it is not set",
                "set credentials = \"file:zoho.json\" under [zoho]",
            );
            return None;
        };
        let secret = self.secret(KEY, reference)?;
        let credentials = serde_json::from_slice(secret.bytes()).ok();
        if credentials.is_none() {
            let problem = format!("what {reference} holds cannot be used");
            let remedy = "put a JSON object there with client_id, client_secret and refresh_token";
            self.bad(KEY, problem, remedy);
        }
        credentials
    }

    /// What each of `[[auth.jwt]]` refers to, in their order.
    pub(super) fn issuers(&mut self) -> Vec<Option<Secret>> {
        let issuers = self.loaded.config.auth.jwt.iter().enumerate();
        issuers
            .map(|(place, issuer)| self.issuer(place, issuer))
            .collect()
    }

    fn issuer(&mut self, place: usize, issuer: &Issuer) -> Option<Secret> {
        let (key, reference) = (issuer_key(place, issuer), issuer.secret()?);
        // Anybody may read a public key.
        let secret = match issuer.public_key {
            Some(_) => self.read(&key, reference)?,
            None => self.secret(&key, reference)?,
        };
        if let Err(bad) = check_keys(issuer, &secret) {
            let problem = format!("what {reference} holds cannot be used: {}", chain(&bad));
            self.bad(&key, problem, bad.remedy());
            return None;
        }
        Some(secret)
    }

    pub(super) fn people(&mut self) -> Option<SecretSlice<u8>> {
        let reference = self.loaded.config.zoho.user_credentials.as_ref()?;
        let secret = self.secret("zoho.user_credentials", reference)?;
        Some(secret.bytes().to_vec().into())
    }

    pub(super) fn pseudonym_key(&mut self) -> Option<SecretSlice<u8>> {
        let reference = self.loaded.config.audit.pseudonym_key.as_ref()?;
        self.long_key("audit.pseudonym_key", reference)
    }

    fn long_key(&mut self, name: &str, reference: &SecretRef) -> Option<SecretSlice<u8>> {
        let secret = self.secret(name, reference)?;
        let key = secret.bytes().trim_ascii_end();
        if key.len() < 32 {
            let remedy = "make one with `openssl rand -hex 32`";
            self.bad(name, "the key is shorter than 32 bytes", remedy);
            return None;
        }
        Some(key.to_vec().into())
    }

    /// What access tokens are encrypted with in Redis, where there is one.
    pub(super) fn token_key(&mut self) -> Option<SecretSlice<u8>> {
        let config = &self.loaded.config;
        let reference = config.zoho.token_key.as_ref()?;
        if !config.redis.is_configured() {
            return None;
        }
        self.long_key("zoho.token_key", reference)
    }

    pub(super) fn signing_key(&mut self) -> Option<SigningKey> {
        const KEY: &str = "audit.signing_key";
        let reference = self.loaded.config.audit.signing_key.as_ref()?;
        let secret = self.secret(KEY, reference)?;
        match SigningKey::parse(secret.bytes()) {
            Ok(key) => Some(key),
            Err(bad) => {
                self.bad(KEY, chain(&bad), "make one with `zoho-mcp audit keygen`");
                None
            }
        }
    }

    /// What proves this daemon to the collector of traces.
    pub(super) fn trace_headers(&mut self) -> telemetry::Headers {
        const KEY: &str = "traces.headers";
        let Some(reference) = &self.loaded.config.traces.headers else {
            return telemetry::Headers::new();
        };
        let Some(secret) = self.secret(KEY, reference) else {
            return telemetry::Headers::new();
        };
        telemetry::headers(secret.bytes()).unwrap_or_else(|bad| {
            let remedy = "put a JSON object of header names and values there";
            self.bad(KEY, chain(&bad), remedy);
            telemetry::Headers::new()
        })
    }

    pub(super) fn tls(&mut self) -> Option<Tls> {
        let config = &self.loaded.config.server.tls;
        match Tls::load(config, &self.loaded.base, Timestamp::now()) {
            Ok(tls) => Some(tls),
            Err(bad) => {
                self.may_pass = false;
                self.problems.push(Problem::new(chain(&bad), bad.remedy()));
                None
            }
        }
    }

    /// The passwords that `[redis]` refers to.
    pub(super) fn redis(&mut self) -> store::Passwords {
        let redis = &self.loaded.config.redis;
        if !redis.is_configured() {
            return store::Passwords::default();
        }
        store::Passwords {
            redis: self.password("redis.password", redis.password.as_ref()),
            sentinel: self.password("redis.sentinel_password", redis.sentinel_password.as_ref()),
        }
    }

    fn password(&mut self, key: &str, reference: Option<&SecretRef>) -> Option<SecretString> {
        let text = self.secret(key, reference?)?.text();
        if text.is_none() {
            self.bad(
                key,
                "not a text in UTF-8",
                "put the password there as a text",
            );
        }
        text
    }

    fn secret(&mut self, key: &str, reference: &SecretRef) -> Option<Secret> {
        let secret = self.read(key, reference)?;
        if let Some(warning) = &secret.warning {
            tracing::warn!("{key}: {warning}");
        }
        Some(secret)
    }

    fn read(&mut self, key: &str, reference: &SecretRef) -> Option<Secret> {
        let variable = |name: &str| self.environment.get(name).cloned();
        match secrets::read(reference, &self.loaded.base, &variable) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.may_pass &= matches!(&error, SecretError::Aws(error) if error.may_pass());
                self.note(key, chain(&error), error.remedy());
                None
            }
        }
    }

    /// Something that will not mend itself.
    fn bad(&mut self, key: &str, problem: impl std::fmt::Display, remedy: impl Into<String>) {
        self.may_pass = false;
        self.note(key, problem, remedy);
    }

    fn note(&mut self, key: &str, problem: impl std::fmt::Display, remedy: impl Into<String>) {
        let text = format!("{key}: {problem}");
        self.problems.push(Problem::new(text, remedy));
    }
}

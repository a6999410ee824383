//! What `[zoho]` says, what proves the daemon to Zoho, and over what it shares with other instances.

use std::num::NonZeroU32;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::data_center::Servers;
use crate::{
    setting::{SecretRef, Span},
    store::Store,
};

/// `[zoho]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of Zoho's data centres holds the organisation.
    pub data_center: DataCenter,
    /// Client id, client secret and refresh token, as a JSON object.
    pub credentials: Option<SecretRef>,
    /// Refresh tokens of people, as a JSON object, for clients with `visibility = "user_token"`.
    pub user_credentials: Option<SecretRef>,
    /// What access tokens are encrypted with in Redis, where instances share them.
    pub token_key: Option<SecretRef>,
    /// Whether identical reads at the same time are one request.
    pub coalesce: bool,
    /// Requests in flight, at most.
    pub concurrency: NonZeroU32,
    /// Instead of the data centre's own: for a sandbox.
    pub accounts_url: Option<String>,
    /// Instead of the data centre's own: for a sandbox.
    pub api_url: Option<String>,
    /// Time to open a connection.
    pub connect_timeout: Span,
    /// Time for one request to Zoho, its body included.
    pub request_timeout: Span,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Which key is no address.
    pub fn check(&self) -> Result<(), BadConfig> {
        Servers::new(self).map(|_| ())
    }
}

/// Where Zoho keeps an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataCenter {
    Us,
    Eu,
    In,
    Au,
    Jp,
    Ca,
    Cn,
    Sa,
    Uk,
}

/// What the daemon proves itself with: the JSON object that `[zoho] credentials` refers to.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
    pub refresh_token: SecretString,
}

impl Credentials {
    pub(super) fn is(&self, other: &Self) -> bool {
        self.client_id == other.client_id
            && self.client_secret.expose_secret() == other.client_secret.expose_secret()
            && self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
    }
}

/// Over what instances share what they have of Zoho.
pub struct Sharing {
    /// The Redis.
    pub store: Store,
    /// How many instances there are, where an operator has said so.
    pub expected_replicas: Option<NonZeroU32>,
    /// What access tokens are encrypted with; without it each instance has its own.
    pub token_key: Option<SecretSlice<u8>>,
}

/// Why `[zoho]` is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("{key} is not an https URL (or http on this machine) without path, query or user")]
    Url { key: &'static str },
    #[error("token_key cannot be used as a key")]
    TokenKey,
    #[error("the http client could not be built")]
    Client(#[source] reqwest::Error),
}

//! The connection to one Zoho organisation, and the view of it that a call works through.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::time::Instant;

use super::ZohoError;
use crate::setting::{SecretRef, Span};

/// `[zoho]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of Zoho's data centres holds the organisation.
    pub data_center: DataCenter,
    /// Client id, client secret and refresh token, as a JSON object.
    pub credentials: Option<SecretRef>,
    /// Requests in flight, at most.
    pub concurrency: std::num::NonZeroU32,
    /// Instead of the data centre's own: for a sandbox.
    pub accounts_url: Option<String>,
    /// Instead of the data centre's own: for a sandbox.
    pub api_url: Option<String>,
    /// Time to open a connection.
    pub connect_timeout: Span,
    /// Time for one request to Zoho, its body included.
    pub request_timeout: Span,
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

/// Which rows a caller may see. Carried by [`Crm`], so that no query can be built without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that the daemon's own Zoho user may see.
    Org,
}

/// The connection to one organisation. Cheap to clone.
#[derive(Clone)]
pub struct Zoho {
    #[expect(dead_code)]
    inner: Arc<Inner>,
}

struct Inner {}

/// The CRM as one caller may see it, during one call; counts the credits that the call spends.
pub struct Crm {}

/// A page of a list: 1-based, at most 200 rows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub number: u32,
    pub size: u32,
}

/// One page of rows, and whether there are more after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    pub more: bool,
}

/// What is known of Zoho's health, from the traffic itself and from [`Zoho::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// Of the last answer.
    pub latency: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok,
    /// Not reachable, or answers with server errors.
    Down,
    /// Refuses our credentials: an operator has to act.
    CredentialsRefused,
}

impl Zoho {
    /// Builds the client; opens no connection yet.
    pub fn new(_config: &Config, _credentials: Credentials) -> Result<Self, BadConfig> {
        todo!()
    }

    /// The CRM within `scope` until `deadline`.
    pub fn view(&self, _scope: &Scope, _deadline: Instant) -> Crm {
        todo!()
    }

    /// What was last known; costs nothing.
    pub fn status(&self) -> Status {
        todo!()
    }

    /// Asks Zoho for an answer without a token, which costs no credits, unless real traffic
    /// answered within the last `fresh`.
    pub async fn probe(&self, _fresh: Duration) -> Status {
        todo!()
    }

    /// Proves credentials by getting an access token (`check --online`).
    pub async fn sign_in(&self) -> Result<(), ZohoError> {
        todo!()
    }
}

impl Crm {
    /// Credits spent so far.
    pub fn credits(&self) -> u32 {
        todo!()
    }
}

/// Why `[zoho]` is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("{key} is not an absolute http or https URL without path, query or user")]
    Url { key: &'static str },
    #[error("the http client could not be built")]
    Client(#[source] reqwest::Error),
}

//! What `[zoho]` says, what proves the daemon to Zoho, and over what it shares with other instances.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{allowance::Want, data_center::Servers};
use crate::{
    setting::{Fraction, SecretRef, Span},
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
    /// How long a call may have to wait for one of them, before it is refused.
    pub max_wait: Span,
    /// Credits that may be spent in 24 hours.
    pub daily_credits: NonZeroU32,
    /// Which part of them is kept for writes.
    pub write_reserve: Fraction,
    /// Which part of them one client may spend.
    pub client_share: Fraction,
    /// The same for single clients.
    #[serde(default)]
    pub client_shares: BTreeMap<Arc<str>, Fraction>,
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

/// How the credits of a day are divided.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    daily: u32,
    write_reserve: Fraction,
    client_share: Fraction,
    client_shares: BTreeMap<Arc<str>, Fraction>,
}

impl Shares {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            daily: config.daily_credits.get(),
            write_reserve: config.write_reserve,
            client_share: config.client_share,
            client_shares: config.client_shares.clone(),
        }
    }

    /// All of them.
    pub(super) const fn daily(&self) -> u32 {
        self.daily
    }

    /// What the organisation and the client may have spent after a request, and what has to remain,
    /// for one of so many instances.
    pub(super) fn bounds(&self, want: &Want, replicas: u32) -> (u32, u32, u32) {
        let own = self.client_shares.get(&want.client);
        let part = match (&*want.client, own) {
            // What nobody asked for.
            ("", _) => Fraction::ALL,
            (_, own) => own.copied().unwrap_or(self.client_share),
        };
        let open = |credits: u32| match want.write {
            true => credits,
            false => credits.saturating_sub(self.write_reserve.of(credits)),
        };
        let each = |credits: u32| open(credits) / replicas.max(1);
        let floor = self.daily - open(self.daily);
        (each(self.daily), each(part.of(self.daily)), floor)
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
    /// What access tokens are encrypted with; without it each instance has its own.
    pub token_key: Option<SecretSlice<u8>>,
}

/// Why `[zoho]` is refused.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("{key}: it is not an https URL (or http on this machine) without path, query or user")]
    Url { key: &'static str },
    #[error("token_key: it cannot be used as a key")]
    TokenKey,
    #[error("the http client could not be built")]
    Client(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(client: &str, write: bool, replicas: u32) -> (u32, u32, u32) {
        let fraction = |text: &str| text.parse::<Fraction>().unwrap();
        let shares = Shares {
            daily: 1_000,
            write_reserve: fraction("0.1"),
            client_share: fraction("0.5"),
            client_shares: [("big".into(), fraction("0.8"))].into(),
        };
        let want = Want {
            client: client.into(),
            write,
            query: false,
            credits: 1,
        };
        shares.bounds(&want, replicas)
    }

    #[test]
    fn a_client_has_its_share_and_a_part_of_it_is_kept_for_writes() {
        assert_eq!(bounds("a", false, 1), (900, 450, 100));
        assert_eq!(bounds("a", true, 1), (1_000, 500, 0));
        assert_eq!(bounds("big", false, 1), (900, 720, 100));
        assert_eq!(bounds("", false, 1), (900, 900, 100));
        assert_eq!(bounds("a", false, 3), (300, 150, 100));
    }
}

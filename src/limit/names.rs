//! What windows are called in Redis. Whose a window is stands there as a digest only: no name of a
//! person leaves this process.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

use super::{claim::Key, dimension::Whose};
use crate::store::{Cause, Store, Unavailable};

/// Makes names. All instances have to have the same key.
#[derive(Clone)]
pub struct Names(Hmac<Sha256>);

impl Names {
    /// With a key nobody who reads Redis can try out whose name it might be.
    pub fn new(key: Option<&SecretSlice<u8>>) -> Self {
        let key = key.map_or(NO_KEY, |key| key.expose_secret());
        // HMAC takes keys of any length.
        let hmac = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self(hmac)
    }

    /// The window of a dimension.
    pub(super) fn window(&self, (dimension, whose): &Key) -> String {
        let digest = match whose {
            Whose::Everybodys => self.digest(&[dimension]),
            Whose::Clients(client) => self.digest(&[dimension, client]),
            Whose::Users(user) => self.digest(&[dimension, &user.issuer, &user.subject]),
            Whose::ClientsTool(client, tool) => self.digest(&[dimension, client, tool]),
        };
        format!("zm:{{rl}}:w:{digest}")
    }

    /// The places of a client's calls in flight.
    pub(super) fn places(&self, client: &str) -> String {
        format!("zm:{{rl}}:f:{}", self.digest(&["in_flight", client]))
    }

    /// Tells whether others have the same key, and nothing else of it.
    pub(super) fn fingerprint(&self) -> String {
        self.digest(&["fingerprint"])
    }

    /// Whether the instances that live make the same names.
    pub(super) async fn are_shared(&self, store: &Store) -> Result<(), Unavailable> {
        let ask = |mut link| async move {
            let mut get = redis::cmd("GET");
            get.arg(NAMED_WITH)
                .query_async::<Option<String>>(&mut link)
                .await
        };
        match store.run(ask).await? {
            Some(found) if found != self.fingerprint() => Err(Unavailable(Cause::OtherKey)),
            _ => Ok(()),
        }
    }

    fn digest(&self, parts: &[&str]) -> String {
        let mut hmac = self.0.clone();
        for part in parts {
            // Lengths keep parts apart that would be the same run together.
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part.as_bytes());
        }
        let digest = hmac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default())
    }
}

/// Which data this is: changes when Redis has lost it.
pub(super) const EPOCH: &str = "zm:{rl}:epoch";
/// The instances that live.
pub(super) const LIVE: &str = "zm:{rl}:live";
/// The fingerprint of what the instances that live make names with.
pub(super) const NAMED_WITH: &str = "zm:{rl}:names";
/// The places of all calls in flight.
pub(super) const ALL_PLACES: &str = "zm:{rl}:f";

const NO_KEY: &[u8] = b"zoho-mcp limits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::User;

    #[test]
    fn names_differ_by_whose_window_it_is_and_tell_nothing() {
        let names = Names::new(None);
        let user = |issuer: &str, subject: &str| {
            let user = User {
                issuer: issuer.into(),
                subject: subject.into(),
            };
            names.window(&("user", Whose::Users(user)))
        };
        let ann = user("https://issuer", "ann@example.com");
        assert_eq!(ann, user("https://issuer", "ann@example.com"));
        assert_ne!(ann, user("https://issuera", "nn@example.com"));
        assert_ne!(ann, user("https://issuer", "bob@example.com"));
        assert!(!ann.contains("ann"), "{ann}");
        assert_eq!(ann.len(), "zm:{rl}:w:".len() + 22);
        let keyed = Names::new(Some(&vec![1; 32].into()));
        let client = ("client", Whose::Clients("a".into()));
        assert_ne!(keyed.window(&client), names.window(&client));
        assert_ne!(keyed.fingerprint(), names.fingerprint());
        assert_ne!(
            names.window(&client),
            names.window(&("global", Whose::Everybodys))
        );
    }
}

//! Access tokens as they may lie in Redis: sealed, and bound to the refresh token that they were minted
//! with.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::super::{BadConfig, Credentials};
use crate::store::Seal;

/// Encrypts and opens.
pub(super) struct Sealer(Seal);

/// What is encrypted.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    /// As Zoho wrote it.
    pub(super) token: String,
    /// The server that it is meant for.
    pub(super) api: String,
    /// When it ends and how long it lives in all, in milliseconds, by the clock of Redis.
    pub(super) expires: u64,
    pub(super) life: u64,
}

impl Sealer {
    /// All instances have to have the same key.
    pub(super) fn new(key: &SecretSlice<u8>) -> Result<Self, BadConfig> {
        let seal = Seal::new(key, "zoho-mcp access token", "zoho-mcp credentials");
        seal.map(Self).map_err(|_| BadConfig::TokenKey)
    }

    /// Encrypts for the refresh token of that name.
    pub(super) fn seal(&self, name: &str, content: &Content) -> Option<Vec<u8>> {
        self.0.seal(name, serde_json::to_vec(content).ok()?)
    }

    /// Opens what was encrypted with the same key for the same refresh token.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Content> {
        if sealed.len() > LARGEST {
            return None;
        }
        serde_json::from_slice(&self.0.open(name, sealed)?).ok()
    }
}

/// What credentials are called where secrets may not lie. Their parts are random and long, so that a
/// digest tells nothing of them; it is made without the key, so that an instance that has another key
/// counts with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// Of the refresh token alone, of which Zoho counts the access tokens.
    pub(super) token: Digest,
    /// Of all, which may be refused although the refresh token is good.
    pub(super) all: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest([u8; 16]);

impl Name {
    /// Credentials of that accounts server.
    pub(super) fn new(accounts: &str, credentials: &Credentials) -> Self {
        let token = credentials.refresh_token.expose_secret();
        let secret = credentials.client_secret.expose_secret();
        Self {
            token: Digest::of(&[accounts, token]),
            all: Digest::of(&[accounts, token, &credentials.client_id, secret]),
        }
    }

    /// Before all with that refresh token.
    pub(super) const fn least(token: Digest) -> Self {
        let all = Digest([u8::MIN; 16]);
        Self { token, all }
    }

    /// Behind all with that refresh token.
    pub(super) const fn most(token: Digest) -> Self {
        let all = Digest([u8::MAX; 16]);
        Self { token, all }
    }
}

impl Digest {
    fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            // Lengths keep parts apart that would be the same run together.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let whole: [u8; 32] = digest.finalize().into();
        Self(std::array::from_fn(|n| {
            whole.get(n).copied().unwrap_or_default()
        }))
    }

    pub(super) fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

const LARGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&vec![byte; 32].into()).unwrap()
    }

    fn content() -> Content {
        Content {
            token: "1000.aa.bb".into(),
            api: "https://www.zohoapis.com/".into(),
            expires: 7,
            life: 3,
        }
    }

    #[test]
    fn only_the_same_key_opens_it_and_only_for_the_same_credentials() {
        let sealed = sealer(1).seal("ours", &content()).unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"1000"));
        let opened = sealer(1).open("ours", &sealed).unwrap();
        assert_eq!(opened.token, "1000.aa.bb");
        assert!(sealer(1).open("theirs", &sealed).is_none());
        assert!(sealer(2).open("ours", &sealed).is_none());
        assert_ne!(sealed, sealer(1).seal("ours", &content()).unwrap());
    }

    #[test]
    fn credentials_are_named_without_being_told_and_a_refresh_token_by_itself() {
        let name = |accounts, secret: &str, token: &str| {
            let credentials = Credentials {
                client_id: "1000.C".into(),
                client_secret: secret.into(),
                refresh_token: token.into(),
            };
            Name::new(accounts, &credentials)
        };
        let ours = name("https://a/", "s", "1000.r");
        assert_eq!(ours, name("https://a/", "s", "1000.r"));
        let rotated = name("https://a/", "t", "1000.r");
        assert_eq!(ours.token, rotated.token);
        assert_ne!(ours.all, rotated.all);
        for other in [
            name("https://b/", "s", "1000.r"),
            name("https://a/", "s", "1000.q"),
        ] {
            assert_ne!(ours.token, other.token);
            assert_ne!(ours.all, other.all);
        }
        assert_eq!(ours.token.text().len(), 22);
    }
}

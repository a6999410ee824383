//! Access tokens as they may lie in Redis: sealed, and bound to the credentials that they were minted
//! with.

use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};

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

    /// A name for credentials that tells nothing of them; others have another one.
    pub(super) fn name(&self, accounts: &str, credentials: &Credentials) -> String {
        self.0.name(&[
            accounts,
            &credentials.client_id,
            credentials.client_secret.expose_secret(),
            credentials.refresh_token.expose_secret(),
        ])
    }

    /// Encrypts for the credentials of that name.
    pub(super) fn seal(&self, name: &str, content: &Content) -> Option<Vec<u8>> {
        self.0.seal(name, serde_json::to_vec(content).ok()?)
    }

    /// Opens what was encrypted with the same key for the same credentials.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Content> {
        if sealed.len() > LARGEST {
            return None;
        }
        serde_json::from_slice(&self.0.open(name, sealed)?).ok()
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
    fn credentials_are_named_without_being_told() {
        let credentials = |secret: &str| Credentials {
            client_id: "1000.C".into(),
            client_secret: secret.into(),
            refresh_token: "1000.r".into(),
        };
        let name = |byte, secret| sealer(byte).name("https://a/", &credentials(secret));
        assert_eq!(name(1, "s"), name(1, "s"));
        assert_ne!(name(1, "s"), name(1, "t"));
        assert_ne!(name(1, "s"), name(2, "s"));
        assert_ne!(
            name(1, "s"),
            sealer(1).name("https://b/", &credentials("s"))
        );
        assert_eq!(name(1, "s").len(), 22);
    }
}

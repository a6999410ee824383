//! Access tokens as they may lie in Redis: encrypted with a key that Redis does not have, and bound
//! to the credentials that they were minted with. What does not open is none of ours.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::super::{BadConfig, Credentials};

/// Encrypts and opens.
pub(super) struct Sealer {
    cipher: RandomizedNonceKey,
    hmac: Hmac<Sha256>,
}

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
        let keyed = Hmac::<Sha256>::new_from_slice(key.expose_secret());
        let keyed = keyed.map_err(|_| BadConfig::TokenKey)?;
        // Two keys out of one, so that neither says anything of the other.
        let derive = |what: &str| {
            let mut hmac = keyed.clone();
            hmac.update(what.as_bytes());
            Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()))
        };
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*derive("zoho-mcp access token"));
        let hmac = Hmac::new_from_slice(&*derive("zoho-mcp credentials"));
        Ok(Self {
            cipher: cipher.map_err(|_| BadConfig::TokenKey)?,
            hmac: hmac.map_err(|_| BadConfig::TokenKey)?,
        })
    }

    /// A name for credentials that tells nothing of them; others have another one.
    pub(super) fn name(&self, accounts: &str, credentials: &Credentials) -> String {
        let mut hmac = self.hmac.clone();
        for part in [
            accounts,
            &credentials.client_id,
            credentials.client_secret.expose_secret(),
            credentials.refresh_token.expose_secret(),
        ] {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part.as_bytes());
        }
        let digest = hmac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default())
    }

    /// Encrypts for the credentials of that name.
    pub(super) fn seal(&self, name: &str, content: &Content) -> Option<Vec<u8>> {
        let mut text = Zeroizing::new(serde_json::to_vec(content).ok()?);
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(name), &mut *text);
        let nonce: [u8; NONCE_LEN] = *nonce.ok()?.as_ref();
        Some([&[VERSION], &nonce[..], &text].concat())
    }

    /// Opens what was encrypted with the same key for the same credentials.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Content> {
        let (&VERSION, sealed) = sealed.split_first()? else {
            return None;
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        if text.len() > LARGEST {
            return None;
        }
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.cipher.open_in_place(nonce, Aad::from(name), &mut text);
        serde_json::from_slice(opened.ok()?).ok()
    }
}

/// Of the form: whoever changes it changes this too, and then neither reads the other's.
const VERSION: u8 = 1;
const LARGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn what_was_changed_anywhere_does_not_open(at in 0_usize..200, bit in 0..8_u8) {
            let mut sealed = sealer(1).seal("ours", &content()).unwrap();
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(sealer(1).open("ours", &sealed).is_none());
        }

        #[test]
        fn anything_else_is_no_token(bytes: Vec<u8>) {
            prop_assert!(sealer(1).open("ours", &bytes).is_none());
        }
    }
}

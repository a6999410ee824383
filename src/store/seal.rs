//! What lies in Redis and is nobody's there: encrypted with a key that Redis does not have, and bound
//! to what it is about. What does not open is none of ours, so that whoever can write to Redis can
//! tell us nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Encrypts and opens for one purpose.
pub struct Seal {
    cipher: RandomizedNonceKey,
    hmac: Hmac<Sha256>,
}

/// The key that was given cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot be used")]
pub struct BadKey;

impl Seal {
    /// All instances have to have the same key. What one purpose says tells nothing of another:
    /// `sealing` and `naming` make keys of their own.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(key: &SecretSlice<u8>, sealing: &str, naming: &str) -> Result<Self, BadKey> {
        let keyed = Hmac::<Sha256>::new_from_slice(key.expose_secret()).map_err(|_| BadKey)?;
        let derive = |what: &str| {
            let mut hmac = keyed.clone();
            hmac.update(what.as_bytes());
            Zeroizing::new(<[u8; 32]>::from(hmac.finalize().into_bytes()))
        };
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*derive(sealing));
        let hmac = Hmac::new_from_slice(&*derive(naming));
        Ok(Self {
            cipher: cipher.map_err(|_| BadKey)?,
            hmac: hmac.map_err(|_| BadKey)?,
        })
    }

    /// A name for something that tells nothing of it.
    pub fn name(&self, parts: &[&str]) -> String {
        let mut hmac = self.hmac.clone();
        for part in parts {
            // Lengths keep parts apart that would be the same run together.
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part.as_bytes());
        }
        let digest = hmac.finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default())
    }

    /// Encrypts what is about `subject`.
    pub fn seal(&self, subject: &str, content: Vec<u8>) -> Option<Vec<u8>> {
        let mut text = Zeroizing::new(content);
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(subject), &mut *text);
        let nonce: [u8; NONCE_LEN] = *nonce.ok()?.as_ref();
        Some([&[VERSION], &nonce[..], &text].concat())
    }

    /// Opens what was encrypted with the same key about the same subject.
    pub fn open(&self, subject: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&VERSION, sealed) = sealed.split_first()? else {
            return None;
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .cipher
            .open_in_place(nonce, Aad::from(subject), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Of the form: whoever changes it changes this too, and then neither reads the other's.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seal(byte: u8, purpose: &str) -> Seal {
        Seal::new(&vec![byte; 32].into(), purpose, "names").unwrap()
    }

    #[test]
    fn only_the_same_key_opens_it_for_the_same_purpose_and_subject() {
        let sealed = seal(1, "a").seal("ours", b"a secret".to_vec()).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(**seal(1, "a").open("ours", &sealed).unwrap(), *b"a secret");
        assert!(seal(1, "a").open("theirs", &sealed).is_none());
        assert!(seal(1, "b").open("ours", &sealed).is_none());
        assert!(seal(2, "a").open("ours", &sealed).is_none());
        let again = seal(1, "a").seal("ours", b"a secret".to_vec()).unwrap();
        assert_ne!(sealed, again);
    }

    #[test]
    fn names_differ_by_key_and_by_part() {
        let name = |byte, parts: &[&str]| seal(byte, "a").name(parts);
        assert_eq!(name(1, &["ab", "c"]), name(1, &["ab", "c"]));
        assert_ne!(name(1, &["ab", "c"]), name(1, &["a", "bc"]));
        assert_ne!(name(1, &["ab", "c"]), name(2, &["ab", "c"]));
        assert_eq!(name(1, &["ab"]).len(), 22);
    }

    proptest! {
        #[test]
        fn what_was_changed_anywhere_does_not_open(at in 0_usize..200, bit in 0..8_u8) {
            let mut sealed = seal(1, "a").seal("ours", b"a secret".to_vec()).unwrap();
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(seal(1, "a").open("ours", &sealed).is_none());
        }

        #[test]
        fn anything_else_is_nothing_of_ours(bytes: Vec<u8>) {
            prop_assert!(seal(1, "a").open("ours", &bytes).is_none());
        }
    }
}

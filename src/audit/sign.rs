//! The key that vouches for the log. Whoever rewrites a chain can compute new hashes, but not sign
//! them.

use std::{fmt, str::FromStr, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::chain::hex;

/// An Ed25519 key that signs checkpoints.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

/// What checks the signatures of a [`SigningKey`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// Not a key for the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum BadKey {
    #[error("expected an Ed25519 private key: PKCS#8 as PEM, or its 32 bytes in base64")]
    Private,
    #[error("expected an Ed25519 public key: PEM, or its 32 bytes in base64")]
    Public,
    #[error("no key could be made")]
    Generate,
}

impl SigningKey {
    /// Reads PKCS#8 in PEM, or the seed in base64 or as 32 bytes.
    ///
    /// # Errors
    /// [`BadKey::Private`]
    pub fn parse(bytes: &[u8]) -> Result<Self, BadKey> {
        let pair = if bytes.starts_with(b"-----BEGIN") {
            let der = PrivatePkcs8KeyDer::from_pem_slice(bytes).map_err(|_| BadKey::Private)?;
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
        } else if bytes.len() == SEED {
            Ed25519KeyPair::from_seed_unchecked(bytes)
        } else {
            let seed = STANDARD.decode(bytes.trim_ascii());
            Ed25519KeyPair::from_seed_unchecked(&seed.map_err(|_| BadKey::Private)?)
        };
        Ok(Self(Arc::new(pair.map_err(|_| BadKey::Private)?)))
    }

    /// A new key, and how it is kept: PKCS#8 as PEM.
    ///
    /// # Errors
    /// [`BadKey::Generate`] without a source of chance.
    pub fn generate() -> Result<(Self, SecretString), BadKey> {
        let pair = Ed25519KeyPair::generate().map_err(|_| BadKey::Generate)?;
        let der = pair.to_pkcs8v1().map_err(|_| BadKey::Generate)?;
        let pem = pem("PRIVATE KEY", der.as_ref()).into();
        Ok((Self(Arc::new(pair)), pem))
    }

    /// The key that anyone may have.
    pub fn public(&self) -> PublicKey {
        let mut key = [0; SEED];
        for (to, from) in key.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(key)
    }

    /// A signature in base64.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl PublicKey {
    /// What the log calls it: the first 16 hex digits of the key's SHA-256.
    pub fn id(&self) -> String {
        let digest = hex(&Sha256::digest(self.0));
        digest
            .iter()
            .take(16)
            .map(|&digit| char::from(digit))
            .collect()
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&SPKI[..], &self.0].concat())
    }

    /// Whether `signature`, in base64, is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        STANDARD.decode(signature).is_ok_and(|signature| {
            UnparsedPublicKey::new(&ED25519, self.0)
                .verify(message, &signature)
                .is_ok()
        })
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = if text.starts_with("-----BEGIN") {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
                .map_err(|_| BadKey::Public)?;
            let key = der.as_ref().strip_prefix(&SPKI[..]);
            key.ok_or(BadKey::Public)?.to_vec()
        } else {
            STANDARD.decode(text.trim()).map_err(|_| BadKey::Public)?
        };
        bytes.try_into().map(Self).map_err(|_| BadKey::Public)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Bytes of a seed, and of a public key.
const SEED: usize = 32;
/// What stands before an Ed25519 key in its DER form (RFC 8410).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    /// From the first test vector of RFC 8032.
    const VECTOR_SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const VECTOR_PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn a_key_reads_as_it_is_kept() {
        let (key, pem) = SigningKey::generate().unwrap();
        let again = SigningKey::parse(pem.expose_secret().as_bytes()).unwrap();
        let public: PublicKey = key.public().to_pem().parse().unwrap();
        assert!(public.verifies(b"line", &again.sign(b"line")));
        assert!(!public.verifies(b"lime", &again.sign(b"line")));
        assert!(!public.verifies(b"line", "no signature"));
    }

    #[test]
    fn a_seed_makes_the_key_that_the_standard_says() {
        let public: PublicKey = VECTOR_PUBLIC.parse().unwrap();
        let seed = STANDARD.decode(VECTOR_SEED).unwrap();
        for form in [VECTOR_SEED.as_bytes(), &seed] {
            assert!(SigningKey::parse(form).unwrap().public() == public);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert_eq!(
                SigningKey::parse(text.as_bytes()).unwrap_err(),
                BadKey::Private
            );
            assert!(text.parse::<PublicKey>().is_err());
        }
    }
}

//! A key that signatures are checked with, and which algorithms it may be used for.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, crypto};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use x509_parser::{prelude::FromDer as _, public_key::RSAPublicKey};

use super::{BadToken, Compact};

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<Arc<str>>,
    /// What tells it from every other key.
    pub(super) print: [u8; 32],
    kind: Kind,
    /// The one algorithm that the issuer keeps it for.
    only: Option<Algorithm>,
    verifying: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

/// A key that may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum UnusableKey {
    #[error("expected public keys in PEM: RSA, P-256, P-384 or Ed25519")]
    Pem,
    #[error("more than 8 public keys")]
    TooMany,
    #[error("an RSA key has to have 2048 to 8192 bits")]
    RsaSize,
    #[error("a secret for HS256 has to have at least 32 bytes")]
    ShortSecret,
}

impl Key {
    /// The public keys in a file: several while one takes the place of another.
    pub(super) fn all_of_pem(pem: &[u8]) -> Result<Vec<Self>, UnusableKey> {
        let text = std::str::from_utf8(pem).map_err(|_| UnusableKey::Pem)?;
        let (mut keys, mut block) = (Vec::new(), String::new());
        for line in text.lines() {
            block.push_str(line);
            block.push('\n');
            if line.trim_start().starts_with("-----END") {
                keys.push(Self::of_pem(std::mem::take(&mut block).as_bytes())?);
            }
        }
        match keys.len() {
            0 => Err(UnusableKey::Pem),
            _ if block.contains("-----BEGIN") => Err(UnusableKey::Pem),
            1..=MAX_KEYS => Ok(keys),
            _ => Err(UnusableKey::TooMany),
        }
    }

    fn of_pem(pem: &[u8]) -> Result<Self, UnusableKey> {
        let read = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| UnusableKey::Pem)?;
        let DecodingKeyKind::SecretOrDer(bytes) = read.kind() else {
            return Err(UnusableKey::Pem);
        };
        match (read.family(), bytes.len()) {
            (AlgorithmFamily::Rsa, _) => {
                let (_, rsa) = RSAPublicKey::from_der(bytes).map_err(|_| UnusableKey::Pem)?;
                rsa_key(rsa.modulus, rsa.exponent).ok_or(UnusableKey::RsaSize)
            }
            (AlgorithmFamily::Ec, 65) => Ok(Self::new(Kind::P256, read)),
            (AlgorithmFamily::Ec, 97) => Ok(Self::new(Kind::P384, read)),
            (AlgorithmFamily::Ed, 32) => Ok(Self::new(Kind::Ed25519, read)),
            _ => Err(UnusableKey::Pem),
        }
    }

    /// A secret that is shared with the issuer.
    pub(super) fn of_secret(secret: &[u8]) -> Result<Self, UnusableKey> {
        if secret.len() < MIN_SECRET {
            return Err(UnusableKey::ShortSecret);
        }
        Ok(Self::new(Kind::Secret, DecodingKey::from_secret(secret)))
    }

    /// A public key for signatures out of a key set; none for any other.
    pub(super) fn of_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let absent_or =
            |name: &str, wanted: &dyn Fn(&Value) -> bool| jwk.get(name).is_none_or(wanted);
        let verifies = |operations: &Value| {
            let operations = operations.as_array();
            operations.is_some_and(|list| list.iter().any(|operation| operation == "verify"))
        };
        let for_signatures = absent_or("use", &|usage| usage == "sig")
            && absent_or("key_ops", &verifies)
            // A private key that was published proves nothing any more.
            && !jwk.contains_key("d");
        if !for_signatures {
            return None;
        }
        let only = match jwk.get("alg") {
            None => None,
            Some(algorithm) => Some(super::compact::algorithm_named(algorithm.as_str()?)?),
        };
        let key = match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa_key(&bytes("n")?, &bytes("e")?)?,
            ("EC", Some("P-256")) => point(Kind::P256, 32, bytes("x")?, &bytes("y")?)?,
            ("EC", Some("P-384")) => point(Kind::P384, 48, bytes("x")?, &bytes("y")?)?,
            ("OKP", Some("Ed25519")) => {
                let x = bytes("x").filter(|x| x.len() == 32)?;
                Self::new(Kind::Ed25519, DecodingKey::from_ed_der(&x))
            }
            _ => return None,
        };
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.into()),
        };
        let key = Self { id, only, ..key };
        only.is_none_or(|only| key.fits(only)).then_some(key)
    }

    fn new(kind: Kind, verifying: DecodingKey) -> Self {
        let mut hash = Sha256::new();
        match verifying.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => hash.update(bytes),
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                hash.update(n);
                hash.update(e);
            }
        }
        Self {
            id: None,
            print: hash.finalize().into(),
            kind,
            only: None,
            verifying,
        }
    }

    /// What logs call it: its id, else the beginning of its print.
    pub(super) fn name(&self) -> Arc<str> {
        let print = || {
            let hex = self.print.iter().take(8).map(|byte| format!("{byte:02x}"));
            hex.collect::<String>().into()
        };
        self.id.clone().unwrap_or_else(print)
    }

    /// Whether it may be used with that algorithm.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let of_kind = match self.kind {
            Kind::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Kind::P256 => algorithm == Algorithm::ES256,
            Kind::P384 => algorithm == Algorithm::ES384,
            Kind::Ed25519 => algorithm == Algorithm::EdDSA,
            Kind::Secret => algorithm == Algorithm::HS256,
        };
        of_kind && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether it made the signature, which is in base64url.
    pub(super) fn signed(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.fits(algorithm)
            && crypto::verify(signature, message, &self.verifying, algorithm).unwrap_or(false)
    }
}

/// The key that signed the token, among those that it can mean: with an id those of that id, which
/// an issuer that makes a new key may give twice. Only so many are tried.
pub(super) fn signer<'a>(
    keys: &'a [Arc<Key>],
    token: &Compact<'_>,
    id: Option<&str>,
) -> Result<&'a Arc<Key>, BadToken> {
    let named = |key: &&Arc<Key>| id.is_none() || key.id.as_deref() == id;
    let fits = |key: &&Arc<Key>| key.fits(token.algorithm) && named(key);
    let mut meant = keys.iter().filter(fits).take(MAX_KEYS).peekable();
    if meant.peek().is_none() {
        return Err(BadToken::UnknownKey);
    }
    meant
        .find(|key| key.signed(token.signed, token.signature, token.algorithm))
        .ok_or(BadToken::Signature)
}

/// None for a modulus that is too small or too large, or an exponent that is not odd and above 1.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<Key> {
    let modulus = without_zeros(modulus);
    let exponent = without_zeros(exponent);
    let top = modulus.first()?.leading_zeros() as usize;
    let sound = (2048..=8192).contains(&(modulus.len() * 8 - top))
        && exponent.last()? % 2 == 1
        && exponent != [1]
        && exponent.len() <= 4;
    let key = || DecodingKey::from_rsa_raw_components(modulus, exponent);
    sound.then(|| Key::new(Kind::Rsa, key()))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The point in its uncompressed form.
fn point(kind: Kind, size: usize, x: Vec<u8>, y: &[u8]) -> Option<Key> {
    let sound = x.len() == size && y.len() == size;
    let point = [&[4], x.as_slice(), y].concat();
    sound.then(|| Key::new(kind, DecodingKey::from_ec_der(&point)))
}

const MIN_SECRET: usize = 32;
/// A token need not say by which key it is signed: so many are tried.
const MAX_KEYS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(jwk: Value) -> Option<Key> {
        Key::of_jwk(jwk.as_object().unwrap())
    }

    fn rsa(bytes: usize, e: &[u8], more: Value) -> Option<Key> {
        let mut jwk = json!({
            "kty": "RSA", "kid": "k",
            "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": URL_SAFE_NO_PAD.encode(e),
        });
        let more = more.as_object().unwrap().clone();
        jwk.as_object_mut().unwrap().extend(more);
        of(jwk)
    }

    #[test]
    fn an_rsa_key_is_large_enough_and_its_exponent_sound() {
        let good = rsa(256, &[1, 0, 1], json!({})).unwrap();
        assert!(good.fits(Algorithm::RS256) && good.fits(Algorithm::PS512));
        assert!(!good.fits(Algorithm::HS256) && !good.fits(Algorithm::ES256));
        assert!(rsa(255, &[1, 0, 1], json!({})).is_none());
        assert!(rsa(2048, &[1, 0, 1], json!({})).is_none());
        for e in [&[1][..], &[2], &[0], &[0, 0, 1]] {
            assert!(rsa(256, e, json!({})).is_none(), "{e:?}");
        }
    }

    #[test]
    fn a_key_for_something_else_is_passed_over() {
        for more in [
            json!({ "use": "enc" }),
            json!({ "key_ops": ["encrypt"] }),
            json!({ "key_ops": "verify" }),
            json!({ "alg": "RSA-OAEP" }),
            json!({ "alg": "ES256" }),
            json!({ "alg": 1 }),
            json!({ "d": "AQAB" }),
            json!({ "kid": 1 }),
        ] {
            assert!(rsa(256, &[3], more.clone()).is_none(), "{more}");
        }
        let kept = rsa(
            256,
            &[3],
            json!({ "use": "sig", "key_ops": ["verify"], "alg": "PS256" }),
        );
        let kept = kept.unwrap();
        assert!(kept.fits(Algorithm::PS256) && !kept.fits(Algorithm::RS256));
    }

    #[test]
    fn a_shared_secret_never_comes_from_a_key_set() {
        assert!(of(json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32]) })).is_none());
        assert_eq!(
            Key::of_secret(&[7; 31]).unwrap_err(),
            UnusableKey::ShortSecret
        );
        assert!(Key::of_secret(&[7; 32]).unwrap().fits(Algorithm::HS256));
    }

    #[test]
    fn an_ed25519_key_may_be_listed_under_either_name() {
        for algorithm in ["EdDSA", "Ed25519"] {
            let x = URL_SAFE_NO_PAD.encode([7; 32]);
            let key = of(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": algorithm }));
            assert!(key.unwrap().fits(Algorithm::EdDSA), "{algorithm}");
        }
    }

    #[test]
    fn a_key_without_an_id_is_named_by_its_print() {
        let key = Key::of_secret(&[7; 32]).unwrap();
        assert!(key.name().len() == 16 && key.id.is_none());
        assert_eq!(&*rsa(256, &[3], json!({})).unwrap().name(), "k");
    }

    #[test]
    fn a_point_has_the_size_of_its_curve() {
        let ec = |curve: &str, size: usize| {
            let part = URL_SAFE_NO_PAD.encode(vec![1; size]);
            of(json!({ "kty": "EC", "crv": curve, "x": part, "y": part }))
        };
        assert!(ec("P-256", 32).unwrap().fits(Algorithm::ES256));
        assert!(ec("P-384", 48).unwrap().fits(Algorithm::ES384));
        for (curve, size) in [
            ("P-256", 31),
            ("P-256", 48),
            ("P-521", 66),
            ("secp256k1", 32),
        ] {
            assert!(ec(curve, size).is_none(), "{curve} {size}");
        }
    }

    #[test]
    fn a_file_that_is_no_public_key_is_refused() {
        for pem in [
            &b""[..],
            b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        ] {
            assert_eq!(Key::of_pem(pem).unwrap_err(), UnusableKey::Pem);
        }
    }

    #[test]
    fn a_public_key_in_a_file_fits_the_algorithms_of_its_kind() {
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
        let of = |kind| rcgen::KeyPair::generate_for(kind).unwrap();
        for (pair, fits) in [
            (rsa.unwrap(), Algorithm::PS256),
            (of(&rcgen::PKCS_ECDSA_P256_SHA256), Algorithm::ES256),
            (of(&rcgen::PKCS_ECDSA_P384_SHA384), Algorithm::ES384),
            (of(&rcgen::PKCS_ED25519), Algorithm::EdDSA),
        ] {
            let key = Key::of_pem(pair.public_key_pem().as_bytes()).unwrap();
            assert!(key.fits(fits) && !key.fits(Algorithm::HS256), "{fits:?}");
            let private = Key::of_pem(pair.serialize_pem().as_bytes());
            assert!(private.is_err(), "{fits:?}");
        }
    }
    #[test]
    fn a_file_may_hold_the_old_key_and_the_new_one() {
        let of = |kind| rcgen::KeyPair::generate_for(kind).unwrap().public_key_pem();
        let (old, new) = (of(&rcgen::PKCS_ED25519), of(&rcgen::PKCS_ECDSA_P256_SHA256));
        let both = format!("the old one:\n{old}\nand the new one:\r\n{new}\n");
        let keys = Key::all_of_pem(both.as_bytes()).unwrap();
        assert!(keys[0].fits(Algorithm::EdDSA) && keys[1].fits(Algorithm::ES256));
        let torn = format!("{old}{}", &new[..new.len() / 2]);
        for (bad, why) in [
            (String::new(), UnusableKey::Pem),
            (torn, UnusableKey::Pem),
            (old.repeat(9), UnusableKey::TooMany),
        ] {
            assert_eq!(Key::all_of_pem(bad.as_bytes()).unwrap_err(), why, "{bad}");
        }
    }
}

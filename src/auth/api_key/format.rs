//! The text of a key: `zmcp_<env>_<id>_<secret>_<checksum>`.
//!
//! The prefix lets secret scanners find a leaked key; the checksum lets them, and us, tell a key
//! from noise without a look-up.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    BadKey,
    document::{KeyHash, KeyRecord, Status},
};

/// A key of the right form. Says nothing about whether it is known.
#[derive(Clone, Copy)]
pub struct ApiKey<'a> {
    text: &'a str,
    id: &'a str,
}

impl<'a> ApiKey<'a> {
    /// Reads a key: bounded, the checksum before anything else is looked at.
    ///
    /// # Errors
    /// [`BadKey::Malformed`] or [`BadKey::Checksum`].
    pub fn parse(text: &'a str) -> Result<Self, BadKey> {
        if text.len() > MAX_LENGTH {
            return Err(BadKey::Malformed);
        }
        let (body, checksum) = text.rsplit_once('_').ok_or(BadKey::Malformed)?;
        if !is_base62(checksum, CHECKSUM_LENGTH) {
            return Err(BadKey::Malformed);
        }
        if checksum != checksum_of(body) {
            return Err(BadKey::Checksum);
        }
        let mut parts = body.split('_');
        let five = [(); 5].map(|()| parts.next());
        match five {
            [
                Some(PREFIX),
                Some(environment),
                Some(id),
                Some(secret),
                None,
            ] if is_environment(environment)
                && is_base62(id, ID_LENGTH)
                && is_base62(secret, SECRET_LENGTH) =>
            {
                Ok(Self { text, id })
            }
            _ => Err(BadKey::Malformed),
        }
    }

    /// Makes a new key, and the record of it that may be stored.
    ///
    /// # Errors
    /// The environment cannot stand in a key, or there is no randomness.
    pub fn generate(
        environment: &str,
        client: Arc<str>,
        now: Timestamp,
        not_after: Option<Timestamp>,
    ) -> Result<(SecretString, KeyRecord), CannotGenerate> {
        if !is_environment(environment) {
            return Err(CannotGenerate::Environment);
        }
        let id = random_base62(ID_LENGTH)?;
        let secret = random_base62(SECRET_LENGTH)?;
        // The capacity is enough from the start: growing would leave a copy of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_LENGTH));
        for part in [PREFIX, "_", environment, "_", &id, "_", &secret] {
            text.push_str(part);
        }
        let checksum = checksum_of(&text);
        text.push('_');
        text.push_str(&checksum);
        let created = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let record = KeyRecord {
            id: id.as_str().into(),
            sha256: KeyHash::of(&text),
            client,
            status: Status::Active,
            not_before: created,
            not_after,
            created,
        };
        Ok((SecretString::from(text.as_str()), record))
    }

    /// The public part.
    pub fn id(&self) -> &'a str {
        self.id
    }

    pub(super) fn hash(&self) -> KeyHash {
        KeyHash::of(self.text)
    }
}

/// Why no key could be made.
#[derive(Debug, thiserror::Error)]
pub enum CannotGenerate {
    /// The environment is not `[a-z]{2,8}`.
    #[error("the environment in a key is 2 to 8 letters a-z, such as \"live\" or \"test\"")]
    Environment,
    /// The operating system has no randomness.
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Whether the text can be the public part of a key.
pub(super) fn is_id(text: &str) -> bool {
    is_base62(text, ID_LENGTH)
}

fn is_environment(text: &str) -> bool {
    (2..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn is_base62(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// CRC-32 in base 62, the most significant digit first.
fn checksum_of(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for place in digits.iter_mut().rev() {
        *place = digit((rest % 62) as u8);
        rest /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

/// Bytes of 248 and above are thrown away, so that each of the 62 digits is as likely.
fn random_base62(length: usize) -> Result<Zeroizing<String>, CannotGenerate> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        getrandom::fill(bytes.as_mut_slice()).map_err(CannotGenerate::Random)?;
        let wanted = length - text.len();
        text.extend(
            bytes
                .iter()
                .filter(|&&byte| byte < 248)
                .take(wanted)
                .map(|byte| char::from(digit(byte % 62))),
        );
    }
    Ok(text)
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        10..=35 => b'A' + (value - 10),
        _ => b'a' + (value - 36),
    }
}

const PREFIX: &str = "zmcp";
const ID_LENGTH: usize = 10;
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;
/// A key has at most 64 bytes; a longer text is not looked at.
const MAX_LENGTH: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    fn new_key() -> String {
        let (key, _) =
            ApiKey::generate("live", "agent".into(), Timestamp::UNIX_EPOCH, None).unwrap();
        key.expose_secret().to_owned()
    }

    fn signed(body: &str) -> String {
        format!("{body}_{}", checksum_of(body))
    }

    #[test]
    fn a_new_key_is_read_back_with_the_id_of_its_record() {
        for environment in ["ab", "live", "staging", "abcdefgh"] {
            let (key, record) =
                ApiKey::generate(environment, "agent".into(), Timestamp::UNIX_EPOCH, None).unwrap();
            let text = key.expose_secret();
            let parsed = ApiKey::parse(text).unwrap();
            assert_eq!(parsed.id(), &*record.id);
            assert!(text.starts_with(&format!("zmcp_{environment}_{}_", record.id)));
            assert_eq!(text.len(), 5 + environment.len() + 1 + 10 + 1 + 32 + 1 + 6);
        }
    }

    #[test]
    fn an_environment_of_another_form_is_refused() {
        for environment in ["", "a", "abcdefghi", "LIVE", "li_ve", "live1", "é"] {
            let made = ApiKey::generate(environment, "agent".into(), Timestamp::UNIX_EPOCH, None);
            assert!(
                matches!(made, Err(CannotGenerate::Environment)),
                "{environment}"
            );
        }
    }

    #[test]
    fn no_two_keys_are_the_same() {
        let keys: std::collections::HashSet<String> = (0..500).map(|_| new_key()).collect();
        assert_eq!(keys.len(), 500);
    }

    #[test]
    fn every_digit_is_as_likely() {
        let text = random_base62(62 * 2_500).unwrap();
        let mut seen = std::collections::BTreeMap::<char, u32>::new();
        for digit in text.chars() {
            *seen.entry(digit).or_default() += 1;
        }
        assert_eq!(seen.len(), 62);
        // Ten standard deviations: chance does not get there, a bias of one in five does.
        assert!(
            seen.values().all(|count| (2_000..3_000).contains(count)),
            "{seen:?}"
        );
    }

    #[test]
    fn a_mistyped_key_fails_its_checksum() {
        let key = new_key();
        let mut bytes = key.clone().into_bytes();
        bytes[30] = if bytes[30] == b'x' { b'y' } else { b'x' };
        let mistyped = String::from_utf8(bytes).unwrap();
        assert_eq!(
            ApiKey::parse(&mistyped).map(|key| key.id()),
            Err(BadKey::Checksum)
        );
    }

    #[test]
    fn a_right_checksum_does_not_excuse_a_wrong_form() {
        let id = "a".repeat(10);
        let secret = "b".repeat(32);
        for body in [
            format!("zmcq_live_{id}_{secret}"),
            format!("zmcp_LIVE_{id}_{secret}"),
            format!("zmcp_l_{id}_{secret}"),
            format!("zmcp_live_{id}a_{secret}"),
            format!("zmcp_live_{id}_{secret}b"),
            format!("zmcp_live_{id}_{secret}_x"),
            format!("zmcp_live_{id}"),
            format!("zmcp_live_{}é_{secret}", "a".repeat(8)),
            format!("_zmcp_live_{id}_{secret}"),
            String::new(),
        ] {
            assert_eq!(
                ApiKey::parse(&signed(&body)).map(|key| key.id()),
                Err(BadKey::Malformed),
                "{body}"
            );
        }
        assert!(ApiKey::parse(&signed(&format!("zmcp_live_{id}_{secret}"))).is_ok());
    }

    #[test]
    fn a_long_text_is_refused_unread() {
        let long = signed(&format!("zmcp_live_{}", "a".repeat(100_000)));
        assert_eq!(
            ApiKey::parse(&long).map(|key| key.id()),
            Err(BadKey::Malformed)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,100}") {
            prop_assert!(ApiKey::parse(&text).is_err());
        }

        #[test]
        fn only_the_exact_text_of_a_key_is_a_key(cut in 0_usize..65, insert in "[a-zA-Z0-9_]{1,3}") {
            let key = new_key();
            let cut = cut.min(key.len());
            let (head, tail) = key.split_at(cut);
            prop_assert!(ApiKey::parse(head).is_err() || cut == key.len());
            let grown = format!("{head}{insert}{tail}");
            prop_assert!(ApiKey::parse(&grown).is_err());
        }
    }
}

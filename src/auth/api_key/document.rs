//! The document that holds the hashes of all keys; never a key itself.

use std::{collections::HashSet, fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::format::is_id;

/// A key document that was read and found sound as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDocument {
    version: u32,
    keys: Vec<KeyRecord>,
}

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KeyRecord {
    /// The public part of the key.
    pub id: Arc<str>,
    /// SHA-256 of the whole text of the key. A key has 190 random bits: no slow hash is needed.
    pub sha256: KeyHash,
    /// The name under `[clients]`.
    pub client: Arc<str>,
    /// Whether it may be used at all.
    pub status: Status,
    /// The first moment at which it may be used.
    pub not_before: Timestamp,
    /// The first moment at which it may not be used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl KeyRecord {
    /// Whether it can be used now or later: it takes one of the client's two places.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.status == Status::Active && self.not_after.is_none_or(|end| now < end)
    }

    /// Whether it can be used now.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.is_live(now) && self.not_before <= now
    }
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Within its dates.
    Active,
    /// Not any more: another has taken its place.
    Retired,
    /// Not any more: it was lost or leaked.
    Revoked,
}

impl Status {
    /// As the document has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }
}

/// SHA-256 of a key, compared in constant time and never printed.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Compared with when there is nothing to compare with.
    pub(super) const NONE: Self = Self([0; 32]);

    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        from_hex(hex.as_bytes())
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl KeyDocument {
    /// Reads a document and checks all of it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadDocument> {
        if bytes.len() > MAX_BYTES {
            return Err(BadDocument::TooLarge);
        }
        let document: Self = serde_json::from_slice(bytes).map_err(|error| BadDocument::Json {
            line: error.line(),
            column: error.column(),
        })?;
        document.check()?;
        Ok(document)
    }

    /// A document of one key.
    pub fn of(key: KeyRecord) -> Self {
        Self {
            version: VERSION,
            keys: vec![key],
        }
    }

    /// All keys, in the order in which they were made.
    pub fn keys(&self) -> &[KeyRecord] {
        &self.keys
    }

    /// One key, to be changed.
    pub fn key_mut(&mut self, id: &str) -> Option<&mut KeyRecord> {
        self.keys.iter_mut().find(|key| &*key.id == id)
    }

    /// Adds a key.
    pub fn push(&mut self, key: KeyRecord) {
        self.keys.push(key);
    }

    /// The keys of a client that can be used now or later.
    pub fn live<'a>(&'a self, client: &str, now: Timestamp) -> impl Iterator<Item = &'a KeyRecord> {
        self.keys
            .iter()
            .filter(move |key| &*key.client == client && key.is_live(now))
    }

    /// The text to store.
    ///
    /// # Errors
    /// Why [`KeyDocument::parse`] would refuse it.
    pub fn to_json(&self) -> Result<Vec<u8>, BadDocument> {
        self.check()?;
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|_| BadDocument::TooLarge)?;
        bytes.push(b'\n');
        match bytes.len() {
            0..=MAX_BYTES => Ok(bytes),
            _ => Err(BadDocument::TooLarge),
        }
    }

    pub(super) fn into_keys(self) -> Vec<KeyRecord> {
        self.keys
    }

    fn check(&self) -> Result<(), BadDocument> {
        match (self.version, self.keys.len()) {
            (VERSION, 1..=MAX_KEYS) => {}
            (VERSION, 0) => return Err(BadDocument::Empty),
            (VERSION, _) => return Err(BadDocument::TooMany),
            _ => return Err(BadDocument::Version),
        }
        let mut ids = HashSet::with_capacity(self.keys.len());
        for (index, key) in self.keys.iter().enumerate() {
            if !is_id(&key.id) {
                return Err(BadDocument::Id { index });
            }
            if !is_client_name(&key.client) {
                return Err(BadDocument::Client { index });
            }
            if key.not_after.is_some_and(|end| end <= key.not_before) {
                return Err(BadDocument::Dates { index });
            }
            if !ids.insert(&key.id) {
                return Err(BadDocument::Duplicate { index });
            }
        }
        Ok(())
    }
}

/// Why a key document is refused. Names places, never content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadDocument {
    #[error("the key document is larger than 1 MiB")]
    TooLarge,
    #[error("the key document is not as expected at line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error("the key document's version is not 1")]
    Version,
    #[error("the key document holds no key")]
    Empty,
    #[error("the key document holds more than 10,000 keys")]
    TooMany,
    #[error("keys[{index}].id is not 10 letters or digits")]
    Id { index: usize },
    #[error("keys[{index}].client is empty, longer than 128 bytes or has control characters")]
    Client { index: usize },
    #[error("keys[{index}].notAfter is not after its notBefore")]
    Dates { index: usize },
    #[error("keys[{index}].id stands twice in the key document")]
    Duplicate { index: usize },
}

/// Whether a client can have this name: it stands in logs and on terminals as it is.
pub fn is_client_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn from_hex(hex: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, rest) = hex.as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(*high)? << 4 | value(*low)?).ok()?;
    }
    Some(bytes)
}

const VERSION: u32 = 1;
const MAX_KEYS: usize = 10_000;
const MAX_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn key(id: &str) -> Value {
        json!({
            "id": id, "sha256": "0F".repeat(32), "client": "agent", "status": "active",
            "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2027-01-01T00:00:00+01:00",
            "created": "2026-01-01T00:00:00Z",
        })
    }

    fn parse(document: &Value) -> Result<KeyDocument, BadDocument> {
        KeyDocument::parse(document.to_string().as_bytes())
    }

    fn with(field: &str, value: Value) -> Value {
        let mut key = key("AAAAAAAAA0");
        key[field] = value;
        json!({"version": 1, "keys": [key]})
    }

    #[test]
    fn a_document_is_written_as_it_was_read() {
        let document =
            parse(&json!({"version": 1, "keys": [key("AAAAAAAAA0"), key("AAAAAAAAA1")]})).unwrap();
        let again = KeyDocument::parse(&document.to_json().unwrap()).unwrap();
        assert_eq!(again.keys(), document.keys());
        assert_eq!(again.keys()[1].sha256.0, [15; 32]);
    }

    #[test]
    fn an_end_may_be_left_out() {
        let mut key = key("AAAAAAAAA0");
        key.as_object_mut().unwrap().remove("notAfter");
        let document = parse(&json!({"version": 1, "keys": [key]})).unwrap();
        assert_eq!(document.keys()[0].not_after, None);
    }

    #[test]
    fn every_kind_of_bad_document_is_refused() {
        let refused = |document: Value| parse(&document).map(|_| ()).unwrap_err();
        assert_eq!(
            refused(json!({"version": 1, "keys": []})),
            BadDocument::Empty
        );
        assert_eq!(
            refused(json!({"version": 2, "keys": [key("AAAAAAAAA0")]})),
            BadDocument::Version
        );
        assert_eq!(
            refused(with("id", json!("short"))),
            BadDocument::Id { index: 0 }
        );
        assert_eq!(
            refused(with("id", json!("AAAAAAAA\u{e9}"))),
            BadDocument::Id { index: 0 }
        );
        assert_eq!(
            refused(with("client", json!(""))),
            BadDocument::Client { index: 0 }
        );
        assert_eq!(
            refused(with("client", json!("a\nb"))),
            BadDocument::Client { index: 0 }
        );
        assert_eq!(
            refused(with("notAfter", json!("2026-01-01T00:00:00Z"))),
            BadDocument::Dates { index: 0 }
        );
        assert_eq!(
            refused(json!({"version": 1, "keys": [key("AAAAAAAAA0"), key("AAAAAAAAA0")]})),
            BadDocument::Duplicate { index: 1 }
        );
        for document in [
            with("sha256", json!("0f".repeat(31))),
            with("sha256", json!("0g".repeat(32))),
            with("status", json!("deleted")),
            with("notBefore", json!("yesterday")),
            with("secret", json!("x")),
            json!({"version": 1}),
            json!({"version": 1, "keys": [], "more": 1}),
            json!([]),
        ] {
            assert!(matches!(refused(document), BadDocument::Json { .. }));
        }
    }

    #[test]
    fn a_document_is_bounded_in_bytes_and_keys() {
        let big = vec![b' '; MAX_BYTES + 1];
        assert_eq!(
            KeyDocument::parse(&big).map(|_| ()),
            Err(BadDocument::TooLarge)
        );
        let record = parse(&with("client", json!("agent"))).unwrap().keys[0].clone();
        let document = KeyDocument {
            version: 1,
            keys: vec![record; MAX_KEYS + 1],
        };
        assert_eq!(document.check(), Err(BadDocument::TooMany));
    }

    #[test]
    fn a_hash_is_never_printed() {
        let document = parse(&with("client", json!("agent"))).unwrap();
        assert!(!format!("{document:?}").contains("15, 15"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            proptest::prop_assert!(KeyDocument::parse(&bytes).is_err());
        }

        #[test]
        fn a_damaged_document_is_refused_or_means_what_it_says(at: proptest::sample::Index, byte: u8) {
            let document = json!({"version": 1, "keys": [key("AAAAAAAAA0"), key("AAAAAAAAA1")]});
            let mut bytes = document.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(document) = KeyDocument::parse(&bytes) {
                let again = KeyDocument::parse(&document.to_json().unwrap()).unwrap();
                proptest::prop_assert_eq!(again.keys(), document.keys());
                proptest::prop_assert_eq!(document.keys().len(), 2);
            }
        }
    }
}

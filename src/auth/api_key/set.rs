//! The keys that are accepted right now.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{
    BadKey, Verified,
    document::{BadDocument, KeyDocument, KeyHash, KeyRecord, Status},
    format::ApiKey,
};

/// All keys of one document, by id.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: HashMap<Arc<str>, KeyRecord>,
}

impl KeySet {
    /// Reads a document; refused as a whole when anything in it is wrong, or when it is empty.
    pub fn from_document(bytes: &[u8]) -> Result<Self, BadDocument> {
        KeyDocument::parse(bytes).map(Self::from)
    }

    /// Whose key a text is.
    pub fn check(&self, presented: &str, now: Timestamp) -> Result<Verified, BadKey> {
        self.verify(&ApiKey::parse(presented)?, now)
    }

    /// Whose key it is. An unknown id costs what a wrong secret costs, and status and dates are
    /// looked at only once the secret is known to be right: time tells nothing about a key.
    pub fn verify(&self, key: &ApiKey<'_>, now: Timestamp) -> Result<Verified, BadKey> {
        let hash = key.hash();
        let record = self.keys.get(key.id());
        let same = record.map_or(&KeyHash::NONE, |record| &record.sha256) == &hash;
        match record {
            None => Err(BadKey::Unknown),
            Some(_) if !same => Err(BadKey::WrongSecret),
            Some(record) => standing(record, now).map(|()| Verified {
                client: Arc::clone(&record.client),
                key_id: Arc::clone(&record.id),
            }),
        }
    }

    /// Whether the key that proved a client still would.
    pub fn still_good(&self, id: &str, client: &str, now: Timestamp) -> Result<(), BadKey> {
        let record = self.keys.get(id).filter(|record| *record.client == *client);
        standing(record.ok_or(BadKey::Unknown)?, now)
    }

    /// How many keys could be used at that moment.
    pub fn usable(&self, now: Timestamp) -> usize {
        self.keys.values().filter(|key| key.is_usable(now)).count()
    }
}

impl From<KeyDocument> for KeySet {
    fn from(document: KeyDocument) -> Self {
        let keys = document.into_keys().into_iter();
        Self {
            keys: keys.map(|key| (Arc::clone(&key.id), key)).collect(),
        }
    }
}

/// The live set of keys. Starts empty; only a usable document replaces what is there.
#[derive(Debug, Default)]
pub struct Keys {
    set: ArcSwap<KeySet>,
}

impl Keys {
    /// Starts with a set.
    pub fn new(set: KeySet) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
        }
    }

    /// Takes the keys of a document from now on. An unusable document changes nothing.
    pub fn replace(&self, document: &[u8]) -> Result<(), BadDocument> {
        let set = KeySet::from_document(document)?;
        self.set.store(Arc::new(set));
        Ok(())
    }

    /// [`KeySet::verify`] with the live set.
    pub fn verify(&self, key: &ApiKey<'_>, now: Timestamp) -> Result<Verified, BadKey> {
        self.set.load().verify(key, now)
    }

    /// [`KeySet::still_good`] with the live set.
    pub fn still_good(&self, id: &str, client: &str, now: Timestamp) -> Result<(), BadKey> {
        self.set.load().still_good(id, client, now)
    }

    /// How many keys can be used now. With none, every caller is refused.
    pub fn usable(&self, now: Timestamp) -> usize {
        self.set.load().usable(now)
    }
}

fn standing(record: &KeyRecord, now: Timestamp) -> Result<(), BadKey> {
    match record.status {
        Status::Revoked => Err(BadKey::Revoked),
        Status::Retired => Err(BadKey::Retired),
        Status::Active if now < record.not_before => Err(BadKey::NotYetValid),
        Status::Active if record.is_live(now) => Ok(()),
        Status::Active => Err(BadKey::Expired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan as _;
    use secrecy::{ExposeSecret as _, SecretString};

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn key(change: impl FnOnce(&mut KeyRecord)) -> (SecretString, KeyRecord) {
        let end = NOW.checked_add(1.hour()).unwrap();
        let (text, mut record) = ApiKey::generate("live", "agent".into(), NOW, Some(end)).unwrap();
        change(&mut record);
        (text, record)
    }

    fn check(change: impl FnOnce(&mut KeyRecord), now: Timestamp) -> Result<Verified, BadKey> {
        let (text, record) = key(change);
        KeySet::from(KeyDocument::of(record)).check(text.expose_secret(), now)
    }

    #[test]
    fn a_key_is_accepted_within_its_dates_only() {
        let at = |seconds: i64| NOW.checked_add(seconds.seconds()).unwrap();
        assert_eq!(check(|_| (), at(-1)), Err(BadKey::NotYetValid));
        assert_eq!(&*check(|_| (), NOW).unwrap().client, "agent");
        assert!(check(|_| (), at(3599)).is_ok());
        assert_eq!(check(|_| (), at(3600)), Err(BadKey::Expired));
        assert!(check(|key| key.not_after = None, at(1_000_000_000)).is_ok());
    }

    #[test]
    fn a_key_that_was_ended_is_refused() {
        assert_eq!(
            check(|key| key.status = Status::Revoked, NOW),
            Err(BadKey::Revoked)
        );
        assert_eq!(
            check(|key| key.status = Status::Retired, NOW),
            Err(BadKey::Retired)
        );
    }

    #[test]
    fn the_status_of_a_key_is_kept_from_those_who_have_not_its_secret() {
        let (text, mut record) = key(|key| key.status = Status::Revoked);
        record.sha256 = KeyHash::of("another");
        let set = KeySet::from(KeyDocument::of(record));
        assert_eq!(
            set.check(text.expose_secret(), NOW),
            Err(BadKey::WrongSecret)
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let (stranger, _) = key(|_| ());
        let set = KeySet::from(KeyDocument::of(key(|_| ()).1));
        assert_eq!(
            set.check(stranger.expose_secret(), NOW),
            Err(BadKey::Unknown)
        );
        assert_eq!(set.check("hello", NOW), Err(BadKey::Malformed));
    }

    #[test]
    fn a_bad_document_leaves_the_old_keys_in_place() {
        let (text, record) = key(|_| ());
        let keys = Keys::new(KeySet::from(KeyDocument::of(record)));
        for bad in [
            &b""[..],
            b"{",
            br#"{"version":1,"keys":[]}"#,
            &[b' '; 2 << 20],
        ] {
            assert!(keys.replace(bad).is_err());
            assert!(
                keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), NOW)
                    .is_ok()
            );
        }
        let (other, record) = key(|_| ());
        keys.replace(&KeyDocument::of(record).to_json().unwrap())
            .unwrap();
        assert!(
            keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), NOW)
                .is_err()
        );
        assert!(
            keys.verify(&ApiKey::parse(other.expose_secret()).unwrap(), NOW)
                .is_ok()
        );
    }

    #[test]
    fn only_keys_that_can_be_used_are_counted() {
        let mut document = KeyDocument::of(key(|_| ()).1);
        document.push(key(|key| key.status = Status::Revoked).1);
        document.push(key(|key| key.not_after = Some(NOW)).1);
        assert_eq!(KeySet::from(document).usable(NOW), 1);
        assert_eq!(Keys::default().usable(NOW), 0);
    }

    #[test]
    fn revoking_the_last_key_is_not_a_bad_document() {
        let (text, record) = key(|_| ());
        let keys = Keys::new(KeySet::from(KeyDocument::of(record.clone())));
        let revoked = KeyRecord {
            status: Status::Revoked,
            ..record
        };
        keys.replace(&KeyDocument::of(revoked).to_json().unwrap())
            .unwrap();
        let key = ApiKey::parse(text.expose_secret()).unwrap();
        assert_eq!(keys.verify(&key, NOW), Err(BadKey::Revoked));
        assert_eq!(keys.usable(NOW), 0);
    }
}

//! The keys that are accepted right now.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    super::freshness::Freshness,
    BadKey, Verified,
    document::{BadDocument, KeyDocument, KeyHash, KeyRecord, Status},
    format::ApiKey,
    published::Published,
};

/// All keys that a store publishes, by id.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: HashMap<Arc<str>, Key>,
}

#[derive(Debug)]
struct Key {
    record: KeyRecord,
    /// The minute in which it was last used, since 1970; outlives the document.
    used: Arc<AtomicI64>,
}

impl KeySet {
    /// Reads a document.
    ///
    /// # Errors
    /// It is refused as a whole when anything in it is wrong, or when it is empty.
    pub fn from_document(bytes: &[u8]) -> Result<Self, BadDocument> {
        KeyDocument::parse(bytes).map(Self::from)
    }

    /// Whose key a text is.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn check(&self, presented: &str, now: Timestamp) -> Result<Verified, BadKey> {
        self.verify(&ApiKey::parse(presented)?, now)
    }

    /// Whose key it is. The work is the same whatever is wrong with it.
    ///
    /// # Errors
    /// Why it is nobody's.
    pub fn verify(&self, key: &ApiKey<'_>, now: Timestamp) -> Result<Verified, BadKey> {
        self.verify_and_note(key, now).map(|(verified, _)| verified)
    }

    /// Also whether the key had not been used for long.
    fn verify_and_note(
        &self,
        key: &ApiKey<'_>,
        now: Timestamp,
    ) -> Result<(Verified, bool), BadKey> {
        let presented = key.hash();
        let found = self.keys.get(key.id());
        let verified = judge(found.map(|key| &key.record), presented, now)?;
        Ok((verified, found.is_some_and(|key| key.note_use(now))))
    }

    /// How many keys could be used at that moment.
    pub fn usable(&self, now: Timestamp) -> usize {
        let usable = |key: &&Key| key.record.is_usable(now);
        self.keys.values().filter(usable).count()
    }

    /// Whether the key that proved a client still would.
    ///
    /// # Errors
    /// Why it would not.
    pub fn still_good(&self, id: &str, client: &str, now: Timestamp) -> Result<(), BadKey> {
        let key = self.keys.get(id).map(|key| &key.record);
        let record = key.filter(|record| *record.client == *client);
        standing(record.ok_or(BadKey::Unknown)?, now)
    }

    /// Keeps what is known of the use of keys that stay.
    fn remembering(mut self, old: &Self) -> Self {
        for (id, key) in &mut self.keys {
            if let Some(old) = old.keys.get(id) {
                key.used = Arc::clone(&old.used);
            }
        }
        self
    }
}

impl Key {
    /// Written once a minute at most: calls at the same time do not fight for the memory. True for
    /// the first use, and for one after a long pause.
    fn note_use(&self, now: Timestamp) -> bool {
        let minute = now.as_second() / 60;
        let before = self.used.load(Ordering::Relaxed);
        if before < minute {
            self.used.store(minute, Ordering::Relaxed);
        }
        minute - before >= PAUSE_MINUTES
    }

    fn last_used(&self) -> Option<Timestamp> {
        match self.used.load(Ordering::Relaxed) {
            0 => None,
            minute => Timestamp::from_second(minute * 60).ok(),
        }
    }
}

/// Whether what was presented opens what is stored. An unknown id is compared like a known one,
/// and status and dates are looked at only once the secret is known to be right: neither the
/// answer nor its time tells anything about a key to someone who has not its secret.
fn judge(
    stored: Option<&KeyRecord>,
    presented: KeyHash,
    now: Timestamp,
) -> Result<Verified, BadKey> {
    let same = stored.map_or(&KeyHash::NONE, |record| &record.sha256) == &presented;
    match stored {
        None => Err(BadKey::Unknown),
        Some(_) if !same => Err(BadKey::WrongSecret),
        Some(record) => standing(record, now).map(|()| Verified {
            client: Arc::clone(&record.client),
            key_id: Arc::clone(&record.id),
        }),
    }
}

impl From<KeyDocument> for KeySet {
    fn from(document: KeyDocument) -> Self {
        Self::from(Published::from(document))
    }
}

impl From<Published> for KeySet {
    fn from(published: Published) -> Self {
        let keys = published.into_keys().into_iter().map(|record| {
            let id = Arc::clone(&record.id);
            let used = Arc::default();
            (id, Key { record, used })
        });
        Self {
            keys: keys.collect(),
        }
    }
}

/// The live set of keys. Starts empty; only a usable document replaces what is there.
#[derive(Debug, Default)]
pub struct Keys {
    set: ArcSwap<KeySet>,
    first_use: Notify,
    freshness: Freshness,
}

impl Keys {
    /// Starts with a set.
    pub fn new(set: KeySet) -> Self {
        Self {
            set: ArcSwap::from_pointee(set),
            first_use: Notify::new(),
            freshness: Freshness::default(),
        }
    }

    /// Takes the keys of a document from now on.
    ///
    /// # Errors
    /// The document cannot be used, and so changes nothing.
    pub fn replace(&self, document: &[u8]) -> Result<(), BadDocument> {
        self.publish(Published::parse(document)?);
        Ok(())
    }

    /// When they were last read where they come from.
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Takes these keys from now on.
    pub fn publish(&self, published: Published) {
        let set = KeySet::from(published).remembering(&self.set.load());
        self.set.store(Arc::new(set));
    }

    /// [`KeySet::verify`] with the live set.
    ///
    /// # Errors
    /// As there.
    pub fn verify(&self, key: &ApiKey<'_>, now: Timestamp) -> Result<Verified, BadKey> {
        let (verified, is_news) = self.set.load().verify_and_note(key, now)?;
        if is_news {
            self.first_use.notify_one();
        }
        Ok(verified)
    }

    /// Waits until a key is used for the first time, or after a long pause.
    pub async fn first_used(&self) {
        self.first_use.notified().await;
    }

    /// [`KeySet::still_good`] with the live set. Cheap: for what lasts longer than a request.
    ///
    /// # Errors
    /// As there.
    pub fn still_good(&self, id: &str, client: &str, now: Timestamp) -> Result<(), BadKey> {
        self.set.load().still_good(id, client, now)
    }

    /// When each key was last used, to the minute, as far as this process has seen it.
    pub fn last_used(&self) -> Vec<(Arc<str>, Timestamp)> {
        let set = self.set.load();
        let used = set
            .keys
            .iter()
            .filter_map(|(id, key)| Some((Arc::clone(id), key.last_used()?)));
        used.collect()
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

/// A key that rested for so long looks unused to whoever wants to end it.
const PAUSE_MINUTES: i64 = 60;

#[cfg(test)]
mod tests;

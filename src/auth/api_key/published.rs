//! What a store publishes: a document, and for a while the one that it replaced.

use jiff::Timestamp;

use super::document::{BadDocument, KeyDocument, KeyRecord};

/// A key document, and for a while the one before it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The document that counts.
    pub current: KeyDocument,
    /// The one that it replaced. A key that stands there only still works until then.
    pub previous: Option<(KeyDocument, Timestamp)>,
}

impl Published {
    /// Reads a document that stands alone.
    ///
    /// # Errors
    /// When anything in it is wrong.
    pub fn parse(document: &[u8]) -> Result<Self, BadDocument> {
        KeyDocument::parse(document).map(Self::from)
    }

    /// All keys, each once. What the current document says of a key counts, so that a revocation
    /// is not undone by the document before it.
    pub(super) fn into_keys(self) -> Vec<KeyRecord> {
        let mut keys = self.current.into_keys();
        if let Some((previous, until)) = self.previous {
            let known: std::collections::HashSet<_> =
                keys.iter().map(|key| key.id.clone()).collect();
            let dropped = previous.into_keys().into_iter();
            let dropped = dropped.filter(|key| !known.contains(&key.id));
            keys.extend(dropped.map(|key| KeyRecord {
                not_after: Some(key.not_after.map_or(until, |end| end.min(until))),
                ..key
            }));
        }
        keys
    }
}

impl From<KeyDocument> for Published {
    fn from(current: KeyDocument) -> Self {
        Self {
            current,
            previous: None,
        }
    }
}

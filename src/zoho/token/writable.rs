//! Which fields were seen to keep what is written to them. Rights to fields are those of the user
//! behind the token, so that this is known of each by itself.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::{super::lock, Tokens};

/// A module and one of its fields.
pub(in crate::zoho) type FieldOf = (&'static str, &'static str);

/// When a field was last seen to keep its value.
#[derive(Default)]
pub(super) struct Writable(Mutex<HashMap<FieldOf, Instant>>);

impl Tokens {
    /// Whether that was seen not long ago.
    pub(in crate::zoho) fn keeps(&self, field: FieldOf, now: Instant) -> bool {
        let seen = lock(&self.0.writable.0).get(&field).copied();
        seen.is_some_and(|seen| now < seen + AGE)
    }

    /// It was seen now, or that it does not.
    pub(in crate::zoho) fn saw(&self, field: FieldOf, keeps: bool, now: Instant) {
        let mut writable = lock(&self.0.writable.0);
        match keeps {
            true => writable.insert(field, now),
            false => writable.remove(&field),
        };
    }
}

/// As long as what fields there are is kept.
const AGE: Duration = Duration::from_secs(3600);

//! What the log lacks, counted until it can say so itself: lines that found no room, and calls
//! that were not made because theirs would have found none.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use super::event::string;

/// What was lost since it was last told.
#[derive(Default)]
pub(super) struct Losses(Mutex<Option<Lost>>);

/// What was lost between two moments.
pub(super) struct Lost {
    /// By event.
    events: BTreeMap<&'static str, u64>,
    /// Calls that were refused, by client.
    refused: BTreeMap<Arc<str>, u64>,
    first: Timestamp,
    last: Timestamp,
}

impl Losses {
    /// Counts a line; true when it is the first loss since they were last told.
    pub(super) fn line(&self, event: &'static str) -> bool {
        self.add(|lost| *lost.events.entry(event).or_default() += 1)
    }

    /// Counts a call that was refused; true as above.
    pub(super) fn call(&self, client: &Arc<str>) -> bool {
        self.add(|lost| *lost.refused.entry(client.clone()).or_default() += 1)
    }

    fn add(&self, count: impl FnOnce(&mut Lost)) -> bool {
        let now = Timestamp::now();
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = lost.is_none();
        let lost = lost.get_or_insert_with(|| Lost {
            events: BTreeMap::new(),
            refused: BTreeMap::new(),
            first: now,
            last: now,
        });
        count(lost);
        lost.last = lost.last.max(now);
        is_first
    }

    pub(super) fn take(&self) -> Option<Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lost {
    /// `,"lostFrom":"…","lostUntil":"…","refusedCalls":{"client":1}`
    pub(super) fn fields(&self) -> String {
        let (first, last) = (self.first, self.last);
        let mut fields = format!(",\"lostFrom\":\"{first:.3}\",\"lostUntil\":\"{last:.3}\"");
        for (n, (client, count)) in self.refused.iter().take(MOST_CLIENTS).enumerate() {
            let before = if n == 0 { ",\"refusedCalls\":{" } else { "," };
            let mut name = Vec::new();
            string(&mut name, client, 64);
            let name = String::from_utf8_lossy(&name);
            // Writing into a string cannot fail.
            let _ = write!(fields, "{before}{name}:{count}");
        }
        if !self.refused.is_empty() {
            fields.push('}');
        }
        fields
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: u64 = self.refused.values().sum();
        let refused = (calls > 0).then_some(("tool_call_refused", calls));
        let events = self.events.iter().map(|(event, count)| (*event, *count));
        f.write_str("found no room:")?;
        for (n, (event, count)) in events.chain(refused).enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma} {event} {count}")?;
        }
        Ok(())
    }
}

/// Clients that are named one by one; the sum counts all of them.
const MOST_CLIENTS: usize = 100;

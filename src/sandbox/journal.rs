//! Every request that the sandbox saw, in the order in which they came.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use super::fault;

/// The newest entries.
#[derive(Default)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    next: u64,
}

/// A request. Without a status it was not answered: it is still running, or its connection ended.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Entry {
    seq: u64,
    time: String,
    method: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// The header of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    pub(super) user: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) credits: u32,
    pub(super) committed: Vec<Committed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<fault::Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coql: Option<String>,
}

/// A record that a request wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Committed {
    pub(super) module: &'static str,
    pub(super) id: String,
}

impl Journal {
    /// Notes that a request came in; the number is for [`Self::amend`].
    pub(super) fn open(
        &mut self,
        now: Timestamp,
        method: &str,
        path: &str,
        query: Option<&str>,
    ) -> u64 {
        if self.entries.len() >= MOST_ENTRIES {
            self.entries.pop_front();
        }
        let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
        self.next += 1;
        self.entries.push_back(Entry {
            seq: self.next,
            time: now.to_string(),
            method: cut(method),
            path: cut(path),
            // Token requests may carry secrets in the URL.
            query: query.filter(|_| !path.starts_with("/oauth")).map(cut),
            ..Entry::default()
        });
        self.next
    }

    /// Adds to an entry, unless it has left the journal.
    pub(super) fn amend(&mut self, seq: u64, amend: impl FnOnce(&mut Entry)) {
        let first = self.entries.front().map_or(0, |entry| entry.seq);
        let place = seq
            .checked_sub(first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            amend(entry);
        }
    }

    /// Forgets everything; numbers go on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

/// How much of a query or an address is kept.
pub(super) const LONGEST_TEXT: usize = 2_000;

const MOST_ENTRIES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_keeps_the_newest_and_amends_what_it_has() {
        let mut journal = Journal::default();
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..MOST_ENTRIES + 5 {
            journal.open(now, "GET", "/crm/v8/org", None);
        }
        assert_eq!(journal.entries().count(), MOST_ENTRIES);
        journal.amend(1, |entry| entry.status = Some(200));
        journal.amend(6, |entry| entry.status = Some(204));
        let status: Vec<_> = journal.entries().filter_map(|entry| entry.status).collect();
        assert_eq!(status, [204], "the first entry has left");
    }

    #[test]
    fn secrets_in_a_token_request_are_not_kept() {
        let mut journal = Journal::default();
        journal.open(
            Timestamp::UNIX_EPOCH,
            "POST",
            "/oauth/v2/token",
            Some("client_secret=x"),
        );
        assert!(journal.entries().all(|entry| entry.query.is_none()));
    }
}

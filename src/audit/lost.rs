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
    /// Lines that are about a client, by client.
    clients: BTreeMap<Arc<str>, u64>,
    /// Calls that were refused, by client.
    refused: BTreeMap<Arc<str>, u64>,
    first: Timestamp,
    last: Timestamp,
}

impl Losses {
    /// Counts a line, and whose it was; true when it is the first loss since they were last told.
    pub(super) fn line(&self, event: &'static str, client: Option<&Arc<str>>) -> bool {
        self.add(|lost| {
            *lost.events.entry(event).or_default() += 1;
            if let Some(client) = client {
                *lost.clients.entry(client.clone()).or_default() += 1;
            }
        })
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
            clients: BTreeMap::new(),
            refused: BTreeMap::new(),
            first: now,
            last: now,
        });
        count(lost);
        lost.last = lost.last.max(now);
        is_first
    }

    /// Whether something is not told yet.
    pub(super) fn is_any(&self) -> bool {
        let lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_some()
    }

    pub(super) fn take(&self) -> Option<Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Lost {
    /// `,"lostFrom":"…","lostUntil":"…","lostLines":{"client":2},"refusedCalls":{"client":1}`
    pub(super) fn fields(&self) -> String {
        let (first, last) = (self.first, self.last);
        let mut fields = format!(",\"lostFrom\":\"{first:.3}\",\"lostUntil\":\"{last:.3}\"");
        by_client(&mut fields, "lostLines", &self.clients);
        by_client(&mut fields, "refusedCalls", &self.refused);
        fields
    }
}

fn by_client(fields: &mut String, name: &str, counts: &BTreeMap<Arc<str>, u64>) {
    for (n, (client, count)) in counts.iter().take(MOST_CLIENTS).enumerate() {
        match n {
            0 => _ = write!(fields, ",\"{name}\":{{"),
            _ => fields.push(','),
        }
        let mut name = Vec::new();
        string(&mut name, client, 64);
        let name = String::from_utf8_lossy(&name);
        // Writing into a string cannot fail.
        let _ = write!(fields, "{name}:{count}");
    }
    if !counts.is_empty() {
        fields.push('}');
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

/// Clients that a line of losses names one by one, so that it stays short; the sum counts all of them.
pub const MOST_CLIENTS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_by_client_in_a_line_that_stays_short() {
        let losses = Losses::default();
        for n in 0..500 {
            let client: Arc<str> = format!("{n:0>64}").into();
            for _ in 0..2 {
                losses.line("auth_success", Some(&client));
            }
            losses.line("breaker_state", None);
            losses.call(&client);
        }
        let lost = losses.take().unwrap();
        let told = "found no room: auth_success 1000, breaker_state 500, tool_call_refused 500";
        assert_eq!(lost.to_string(), told);
        let fields = lost.fields();
        assert!(fields.len() < 14 << 10, "{}", fields.len());
        let object = fields.replacen(',', "{", 1) + "}";
        let fields: serde_json::Value = serde_json::from_str(&object).unwrap();
        let first = "0".repeat(64);
        assert_eq!(
            (
                &fields["lostLines"][&first],
                &fields["refusedCalls"][&first]
            ),
            (&2.into(), &1.into())
        );
        assert!(losses.take().is_none());
    }
}

//! What the log lacks, counted until it can say so itself: lines that found no room, and calls
//! that were not made because theirs would have found none.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::event::string;

/// What was lost since it was last told.
#[derive(Default)]
pub(super) struct Losses(Mutex<Untold>);

#[derive(Default)]
struct Untold {
    lost: Option<Lost>,
    /// How much the last line told of, lines and calls.
    told: u64,
}

/// What was lost between two moments.
pub(super) struct Lost {
    /// By event.
    events: BTreeMap<&'static str, u64>,
    /// Lines that are about a client, by client.
    clients: BTreeMap<Arc<str>, u64>,
    /// Calls that were refused, by client.
    refused: BTreeMap<Arc<str>, u64>,
    /// Lines and calls.
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Losses {
    /// Counts a line, and whose it was; true when it is the first loss since they were last told, or
    /// when they are due.
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
        let mut untold = self.untold();
        let due = 2 * untold.told;
        let lost = untold.lost.get_or_insert_with(|| Lost {
            events: BTreeMap::new(),
            clients: BTreeMap::new(),
            refused: BTreeMap::new(),
            count: 0,
            first: now,
            last: now,
        });
        count(lost);
        lost.count += 1;
        lost.last = lost.last.max(now);
        lost.count == 1 || lost.count == due
    }

    /// Whether something is not told yet.
    pub(super) fn is_any(&self) -> bool {
        self.untold().lost.is_some()
    }

    /// Whether twice as much is not told yet as the last line told of: so a line more tells of it
    /// although a sink has not taken that one, and there are few of them however much is lost.
    pub(super) fn is_due(&self) -> bool {
        let untold = self.untold();
        let lost = untold.lost.as_ref();
        lost.is_some_and(|lost| lost.count >= 2 * untold.told)
    }

    pub(super) fn take(&self) -> Option<Lost> {
        let mut untold = self.untold();
        let lost = untold.lost.take()?;
        untold.told = lost.count;
        Some(lost)
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_goes_on_being_lost_is_told_in_few_lines_that_never_lag_far(count in 1_u64..2_000) {
            let (losses, client) = (Losses::default(), Arc::from("a"));
            let (mut lines, mut told) = (0, 0);
            for n in 1..=count {
                let is_to_be_told = if n % 3 == 0 {
                    losses.call(&client)
                } else {
                    losses.line("auth_failed", Some(&client))
                };
                // No sink takes the line: only what is due is told.
                if is_to_be_told && losses.is_due() {
                    told += losses.take().unwrap().count;
                    lines += 1;
                }
                prop_assert!(n <= 2 * told, "{} of {} are told", told, n);
            }
            prop_assert!(lines <= 1 + count.ilog2(), "{} lines", lines);
        }
    }

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

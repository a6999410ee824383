//! What Zoho was asked during one call, as the log tells it: routes and outcomes, no values.

use std::io::Write as _;

/// One request to Zoho.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Upstream {
    method: &'static str,
    /// The path without ids.
    route: &'static str,
    /// The status that came back, or why none did, in a word of ours.
    outcome: Result<u16, &'static str>,
    /// Milliseconds until then; 0 for one that the call did not wait for.
    millis: u64,
    credits: u32,
}

/// The requests of one call, in order; of a call that makes many the first sixteen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    first: Vec<Upstream>,
    count: u32,
}

impl Requests {
    /// Zoho was not asked.
    pub const NONE: Self = Self {
        first: Vec::new(),
        count: 0,
    };

    /// Adds one that is sent now, and answers its place.
    pub fn sent(&mut self, method: &'static str, route: &'static str, credits: u32) -> usize {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MOST {
            self.first.push(Upstream {
                method,
                route,
                outcome: Err("no_answer"),
                millis: 0,
                credits,
            });
        }
        self.count as usize - 1
    }

    /// The one at that place has ended, after so many milliseconds.
    pub fn ended(&mut self, place: usize, outcome: Result<u16, &'static str>, millis: u64) {
        if let Some(request) = self.first.get_mut(place) {
            request.outcome = outcome;
            request.millis = millis;
        }
    }

    pub(super) fn write(&self, line: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        // Writing to memory cannot fail.
        let _ = write!(line, ",\"zohoRequests\":{},\"zoho\":[", self.count);
        for (n, request) in self.first.iter().enumerate() {
            let Upstream {
                method,
                route,
                outcome,
                millis,
                credits,
            } = request;
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(
                line,
                "{comma}{{\"method\":\"{method}\",\"route\":\"{route}\""
            );
            let _ = match outcome {
                Ok(status) => write!(line, ",\"status\":{status}"),
                Err(problem) => write!(line, ",\"problem\":\"{problem}\""),
            };
            let _ = write!(line, ",\"ms\":{millis},\"credits\":{credits}}}");
        }
        line.push(b']');
    }
}

const MOST: usize = 16;

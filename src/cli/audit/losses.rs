//! Which of the lines that the log lost may have been of what a story is about.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::telling::text;

/// Of what a story is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// What has no end, such as a client.
    All,
    /// A call, which a single run makes.
    Call,
    /// A session, which instances may share.
    Session,
}

/// Holds what the log lost until it is known when that began of which the story is.
pub(super) struct Losses {
    of: Of,
    before: VecDeque<Value>,
    /// The run of its first line, once that was read.
    boot: Option<Value>,
    end: Option<Timestamp>,
}

impl Losses {
    pub(super) const fn new(of: Of) -> Self {
        Self {
            of,
            before: VecDeque::new(),
            boot: None,
            end: None,
        }
    }

    /// Takes a loss, and hands it back where it is to be told here.
    pub(super) fn lost(&mut self, line: Value) -> Option<Value> {
        if self.of == Of::All {
            return Some(line);
        }
        if self.boot.is_none() {
            if self.before.len() == MOST {
                self.before.pop_front();
            }
            self.before.push_back(line);
            return None;
        }
        let from = time(&line, "lostFrom");
        let is_after = self
            .end
            .is_some_and(|end| from.is_some_and(|from| from > end));
        (!is_after && self.may_be_of(&line)).then_some(line)
    }

    /// What was lost before a line of the story, and may belong to it.
    pub(super) fn before(&mut self, line: &Value) -> Vec<Value> {
        let ends = match self.of {
            Of::All => return Vec::new(),
            Of::Call => line["durationMs"].is_u64(),
            Of::Session => line["event"] == "session_close",
        };
        if ends {
            self.end = time(line, "timestamp");
        }
        if self.boot.is_some() {
            return Vec::new();
        }
        self.boot = Some(line["boot"].clone());
        let since = self.began(line);
        let held = std::mem::take(&mut self.before).into_iter();
        held.filter(|lost| time(lost, "lostUntil") >= since && self.may_be_of(lost))
            .collect()
    }

    fn may_be_of(&self, lost: &Value) -> bool {
        self.of != Of::Call || self.boot.as_ref() == lost.get("boot")
    }

    /// When it began of which this is the first line, where that is known.
    fn began(&self, line: &Value) -> Option<Timestamp> {
        let at = time(line, "timestamp")?;
        let took = match (text(line, "event")?, self.of) {
            ("tool_call_start", Of::Call) | ("session_open", _) => 0,
            (_, Of::Call) => line["durationMs"].as_u64()?,
            _ => return None,
        };
        let took = SignedDuration::from_millis(took.try_into().ok()?);
        at.checked_sub(took).ok()
    }
}

fn time(line: &Value, name: &str) -> Option<Timestamp> {
    text(line, name)?.parse().ok()
}

/// Losses that are held back at most, the last ones.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loss(boot: &str, from: u8, until: u8) -> Value {
        let at = |second: u8| format!("2026-03-31T00:00:{second:02}.000Z");
        json!({ "event": "lines_lost", "boot": boot, "lostFrom": at(from), "lostUntil": at(until) })
    }

    fn line(event: &str, second: u8) -> Value {
        json!({ "event": event, "boot": "b", "timestamp": format!("2026-03-31T00:00:{second:02}.000Z") })
    }

    #[test]
    fn a_call_is_told_with_what_was_lost_while_it_ran() {
        let mut losses = Losses::new(Of::Call);
        for lost in [loss("b", 1, 2), loss("a", 1, 9), loss("b", 2, 9)] {
            assert_eq!(losses.lost(lost), None, "nothing has begun");
        }
        let before = losses.before(&line("tool_call_start", 5));
        assert_eq!(before, [loss("b", 2, 9)]);
        assert!(losses.lost(loss("b", 6, 7)).is_some());
        assert!(losses.lost(loss("c", 6, 7)).is_none(), "another run");
        let mut end = line("tool_call_success", 8);
        end["durationMs"] = json!(3000);
        assert_eq!(losses.before(&end), [] as [Value; 0]);
        assert!(losses.lost(loss("b", 8, 12)).is_some());
        assert!(losses.lost(loss("b", 9, 12)).is_none(), "it was over");
    }

    #[test]
    fn an_end_without_its_beginning_is_told_with_what_may_have_had_that() {
        let mut losses = Losses::new(Of::Call);
        losses.lost(loss("b", 1, 2));
        losses.lost(loss("b", 1, 6));
        let mut end = line("tool_call_success", 8);
        end["durationMs"] = json!(3000);
        assert_eq!(losses.before(&end), [loss("b", 1, 6)]);
        let mut losses = Losses::new(Of::Session);
        losses.lost(loss("a", 1, 2));
        let lost = losses.before(&line("tool_call_start", 8));
        assert_eq!(lost.len(), 1, "nobody knows when the session began");
    }
}

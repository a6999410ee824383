//! The calls of a run that have begun and not ended, as far as it has been read.

use std::collections::BTreeMap;

use super::{Line, run::kept};

/// Calls without an end.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// The places where they begin, by execution id.
    open: BTreeMap<Box<str>, u64>,
    /// Some were not kept, since so many were open at once.
    more: bool,
}

impl Calls {
    /// Takes a line; `room`: for so many more.
    pub(super) fn take(&mut self, line: &Line<'_>, room: usize) {
        let Some(execution) = line.execution_id.as_deref() else {
            return;
        };
        let execution = &*kept(execution);
        match &*line.event {
            "tool_call_start" if self.open.len() < MOST && room > 0 => {
                self.open.insert(execution.into(), line.seq);
            }
            "tool_call_start" => self.more = true,
            "tool_call_success" | "tool_call_error" | "tool_call_cancelled" => {
                self.open.remove(execution);
            }
            _ => {}
        }
    }

    /// How many there are, and whether these are only some of them.
    pub fn count(&self) -> (usize, bool) {
        (self.open.len(), self.more)
    }

    /// Their execution ids, in the order in which they began.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.open.iter().map(|(id, seq)| (*seq, &**id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }
}

/// Calls that are open at once in a run; a daemon lets far fewer run.
const MOST: usize = 10_000;

//! What the log itself says that it lost.

use super::{Line, MOST, Verifier};

/// What a line of the log says of others that found no room, and of calls refused for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The run that lost them.
    pub boot: Box<str>,
    /// The place of the line that says so.
    pub seq: u64,
    /// How many lines; 0 where it does not say.
    pub lines: u64,
    /// How many calls.
    pub calls: u64,
    /// When the first and the last was lost, as it says.
    pub from: Box<str>,
    #[expect(missing_docs, reason = "with the first")]
    pub until: Box<str>,
}

impl Verifier {
    pub(super) fn lost(&mut self, line: &Line<'_>) {
        if line.event != "lines_lost" {
            return;
        }
        if self.losses.len() >= MOST {
            self.more_losses += 1;
            return;
        }
        let mut loss = Loss {
            boot: (&*line.boot).into(),
            seq: line.seq,
            lines: 0,
            calls: 0,
            from: line.lost_from.as_deref().unwrap_or("?").into(),
            until: line.lost_until.as_deref().unwrap_or("?").into(),
        };
        for (event, count) in counted(line.reason.as_deref().unwrap_or_default()) {
            let sum = match event {
                "tool_call_refused" => &mut loss.calls,
                _ => &mut loss.lines,
            };
            *sum = sum.saturating_add(count);
        }
        self.losses.push(loss);
    }
}

/// What was lost by event, as the `reason` of the line counts it.
pub fn counted(reason: &str) -> impl Iterator<Item = (&str, u64)> {
    let counts = reason.strip_prefix("found no room:").unwrap_or_default();
    counts.split(',').filter_map(|part| {
        let (event, count) = part.trim().split_once(' ')?;
        Some((event, count.parse().ok()?))
    })
}

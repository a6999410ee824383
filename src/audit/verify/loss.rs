//! What the log itself says that it lost.

use super::{End, Line, MOST, Run, Verifier, run::kept};

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
    /// It is the last that the run tells of, which has no closing line: more may have been lost by then,
    /// and later.
    pub is_least: bool,
}

/// What further lines say of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many lines say so.
    pub told: u64,
    /// How many lines were lost.
    pub lines: u64,
    /// How many calls were refused.
    pub calls: u64,
    /// More may have been lost.
    pub is_least: bool,
}

impl Losses {
    /// Adds what another line says.
    pub fn add(&mut self, loss: &Loss) {
        self.told += 1;
        self.lines = self.lines.saturating_add(loss.lines);
        self.calls = self.calls.saturating_add(loss.calls);
        self.is_least |= loss.is_least;
    }
}

impl Verifier {
    pub(super) fn lost(&mut self, line: &Line<'_>) {
        if line.event != "lines_lost" {
            return;
        }
        let mut loss = Loss {
            boot: (&*line.boot).into(),
            seq: line.seq,
            lines: 0,
            calls: 0,
            from: kept(line.lost_from.as_deref().unwrap_or("?")),
            until: kept(line.lost_until.as_deref().unwrap_or("?")),
            is_least: false,
        };
        for (event, count) in counted(line.reason.as_deref().unwrap_or_default()) {
            let sum = match event {
                "tool_call_refused" => &mut loss.calls,
                _ => &mut loss.lines,
            };
            *sum = sum.saturating_add(count);
        }
        if self.losses.len() < MOST {
            self.losses.push(loss);
        } else {
            self.more_losses.add(&loss);
        }
    }

    /// Says of which losses more may come than the log tells so far.
    pub(super) fn lost_by_the_end(&mut self) {
        let open = |run: &&Run| run.end != End::Closed;
        for loss in &mut self.losses {
            let run = self.runs.get(&loss.boot).filter(open);
            loss.is_least = run.is_some_and(|run| run.told == Some(loss.seq));
        }
        let is_any = self
            .runs
            .values()
            .filter(open)
            .any(|run| run.told.is_some());
        self.more_losses.is_least = self.more_losses.told > 0 && is_any;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        chain::Chain,
        verify::{Expectations, Place, Verdict},
    };

    /// What is found of a run of these lines, each of which tells of so many lost ones.
    fn verdict(lines: &[(&str, usize)]) -> Verdict {
        let (mut chain, mut text) = (Chain::new(), Vec::new());
        for (event, lost) in lines {
            let open = format!(
                "{{\"timestamp\":\"2026-03-31T00:00:00.000Z\",\"event\":\"{event}\",\
                 \"reason\":\"found no room: auth_failed {lost}\",\
                 \"instance\":\"i\",\"boot\":\"0123456789abcdef\""
            );
            chain.close(&mut text, open.as_bytes(), None);
        }
        let mut verifier = Verifier::new(Expectations::default());
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            verifier.line(Place { file: 0, line: 0 }, line);
        }
        verifier.finish()
    }

    #[test]
    fn the_last_loss_of_a_run_is_the_least_until_the_run_is_closed() {
        let mut lines = vec![
            ("log_open", 0),
            ("lines_lost", 1),
            ("lines_lost", 2),
            ("drain_begin", 0),
        ];
        let least = |verdict: Verdict| {
            verdict
                .losses
                .iter()
                .map(|loss| loss.is_least)
                .collect::<Vec<_>>()
        };
        assert_eq!(least(verdict(&lines)), [false, true]);
        lines.push(("log_close", 0));
        assert_eq!(least(verdict(&lines)), [false, false]);
    }

    #[test]
    fn losses_beyond_the_first_hundred_are_summed_up() {
        let mut lines = vec![("log_open", 0)];
        lines.extend((0..103).map(|n| ("lines_lost", n)));
        let open = verdict(&lines);
        assert_eq!(
            (
                open.losses.len(),
                open.losses.iter().any(|loss| loss.is_least)
            ),
            (100, false)
        );
        let more = Losses {
            told: 3,
            lines: 100 + 101 + 102,
            calls: 0,
            is_least: true,
        };
        assert_eq!(open.more_losses, more);
        lines.push(("log_close", 0));
        assert!(!verdict(&lines).more_losses.is_least);
    }
}

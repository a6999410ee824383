//! One run of one process, as far as it has been read, and what is wrong with it by itself.

use std::fmt;

use jiff::Timestamp;

use super::{Expectations, Finding, Line, Place, Wrong};

/// One run of one process: its chain, as far as it has been read.
#[derive(Clone, Debug)]
pub struct Run {
    /// Who wrote it.
    pub instance: Box<str>,
    /// Lines that were read.
    pub lines: u64,
    /// The time of the first and of the last line, as they say.
    pub first: Box<str>,
    #[expect(missing_docs, reason = "with the first")]
    pub last: Box<str>,
    /// How it ended.
    pub end: End,
    /// The key that it says signs it, or that was found to where its first line is gone.
    pub signer: Option<Box<str>>,
    /// What was before it, or before its first line that is here, is gone as `partial` allows.
    pub after_gap: bool,
    /// It is from before signing was turned on, and not signed.
    pub excused: bool,
    /// The place of the first line that is here.
    pub begins_with: u64,
    /// Whether its first line could tell what came before.
    pub knows_previous: bool,
    /// Lines after the last one that a good signature of its own vouches for.
    pub unsigned: u64,
    /// Whether the next run says that it could not verify this one.
    pub doubted: bool,
    pub(super) seq: u64,
    pub(super) hash: Box<str>,
    pub(super) at: Place,
    pub(super) checkpoint_lines: Option<u64>,
    pub(super) checkpoint_seconds: Option<u64>,
    /// The time of the last good signature.
    pub(super) signed_at: Option<Timestamp>,
    /// The last line that came too long after it.
    pub(super) late: Option<Finding>,
    /// Its last line, as a later run names it.
    pub(super) named: Option<u64>,
    /// Its first line is here, and a good signature was seen.
    pub(super) opened: bool,
    pub(super) vouched: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its last line says so.
    Closed,
    /// Without a last line, but the next run of the instance names it as it is here.
    Named,
    /// Without anything that says that no line is missing.
    Unknown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Named => "cut off, and named to its last line by the next run",
            Self::Unknown => "still open, or cut off",
        })
    }
}

impl Run {
    pub(super) fn advance(&mut self, at: Place, line: &Line<'_>) {
        self.lines += 1;
        self.last = (&*line.timestamp).into();
        self.seq = line.seq;
        self.hash = (&*line.hash).into();
        self.at = at;
        self.end = match &*line.event {
            "log_close" => End::Closed,
            _ => End::Unknown,
        };
    }

    /// A signed line says how often there is one, in case the first is gone.
    pub(super) fn paced(&mut self, line: &Line<'_>) {
        self.checkpoint_lines = line.checkpoint_lines.or(self.checkpoint_lines);
        self.checkpoint_seconds = line.checkpoint_seconds.or(self.checkpoint_seconds);
    }

    pub(super) fn wrong_at_its_end(&self, expected: &Expectations) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let mut add = |what| {
            wrong.push(Finding {
                at: self.at,
                seq: Some(self.seq),
                what,
            });
        };
        let with_keys = !expected.keys.is_empty() && !self.excused;
        // Another process of that name may have written on; then its signature says so, or its
        // closing line where nothing is signed.
        let signed = self.seq.saturating_sub(self.unsigned);
        let is_its_own = |named| match with_keys {
            true => signed > named,
            false => self.end == End::Closed,
        };
        match self.named {
            Some(named) if self.seq > named && !is_its_own(named) => add(Wrong::Inserted {
                seq: (named + 1, self.seq),
            }),
            _ if self.end == End::Unknown && !expected.open => add(Wrong::NoEnd),
            _ => {}
        }
        if with_keys && !self.opened && !self.vouched {
            add(Wrong::NotSigned);
        } else if with_keys && self.is_overdue() {
            let lines = self.unsigned;
            add(Wrong::Unsigned { lines });
        }
        wrong.extend(self.late.clone().filter(|_| with_keys));
        wrong
    }

    /// Seconds after the last good signature, if that is longer than the daemon ever waits: what
    /// it writes after its time for a checkpoint has come, it writes together with one.
    pub(super) fn lateness(&self, line: &Line<'_>) -> Option<u64> {
        let at: Timestamp = line.timestamp.parse().ok()?;
        let since = u64::try_from(at.duration_since(self.signed_at?).as_secs()).ok()?;
        let every = self.checkpoint_seconds?;
        let most = every
            .saturating_add(every / 2)
            .saturating_add(SLACK_SECONDS);
        (since > most).then_some(since)
    }

    /// More lines than there ever are between two checkpoints.
    pub(super) fn is_overdue(&self) -> bool {
        let most = self.checkpoint_lines.unwrap_or(0).saturating_add(SLACK);
        self.checkpoint_lines.is_some() && self.unsigned > most
    }

    /// The hash of its last line: whoever keeps it elsewhere can tell later that nothing is missing.
    pub fn head(&self) -> &str {
        &self.hash
    }

    /// The place of its last line in the chain.
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

/// A checkpoint waits for the batch that it falls due in.
const SLACK: u64 = 2 * crate::audit::sink::MOST_LINES as u64;
/// Clocks are set, and disks make a batch wait.
const SLACK_SECONDS: u64 = 10;

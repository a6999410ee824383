//! One run of one process, as far as it has been read, and what is wrong with it by itself.

use std::{collections::VecDeque, fmt};

use jiff::Timestamp;

use super::{Calls, Expectations, Finding, Line, Place, Wrong};

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
    /// The id of the key that its pseudonyms are made with, as its first line says; that of a key
    /// that was forgotten with its process is no id.
    pub pseudonym_key: Option<Box<str>>,
    /// What was before it, or before its first line that is here, is gone as `partial` allows.
    pub after_gap: bool,
    /// It is from before signing was turned on, and not signed.
    pub excused: bool,
    /// It went to standard output, and another sink has a copy that may name what came before.
    pub is_a_copy: bool,
    /// The place of the first line that is here.
    pub begins_with: u64,
    /// Whether its first line could tell what came before.
    pub knows_previous: bool,
    /// Lines after the last one that a good signature of its own vouches for.
    pub unsigned: u64,
    /// Whether the next run says that it could not verify this one.
    pub doubted: bool,
    /// Its calls that have no end.
    pub calls: Calls,
    /// What its first line says of the run before: that it did not close its log, and how many calls
    /// of it have no end.
    pub before: Option<Option<u64>>,
    pub(super) seq: u64,
    pub(super) hash: Box<str>,
    /// The hashes of the lines before that, the last ones.
    pub(super) hashes: VecDeque<Box<str>>,
    pub(super) at: Place,
    pub(super) checkpoint_lines: Option<u64>,
    pub(super) checkpoint_seconds: Option<u64>,
    /// The time of the last good signature.
    pub(super) signed_at: Option<Timestamp>,
    /// The last line that came too long after it.
    pub(super) late: Option<Finding>,
    /// The first line after it that is older than one before it.
    pub(super) early: Option<Finding>,
    /// The youngest time since then of what is written in the order of its time, and the last.
    pub(super) newest: Option<Timestamp>,
    pub(super) waited: Option<Timestamp>,
    /// The first line without a signature from after signing was turned on.
    pub(super) unexcused: Option<Finding>,
    /// Its last line, as a later run names it.
    pub(super) named: Option<u64>,
    /// The place of its last line that tells of losses.
    pub(super) told: Option<u64>,
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
            Self::Named => {
                "did not close its log (killed, or could not write its end), and named to its last line by the next run"
            }
            Self::Unknown => "still open, or did not close its log",
        })
    }
}

impl Run {
    /// Takes the next line; `room`: for so many more open calls.
    pub(super) fn advance(&mut self, at: Place, line: &Line<'_>, room: usize) {
        self.lines += 1;
        self.calls.take(line, room);
        self.last = kept(&line.timestamp);
        self.seq = line.seq;
        let before = std::mem::replace(&mut self.hash, kept(&line.hash));
        if self.hashes.len() == MOST_HASHES {
            self.hashes.pop_front();
        }
        self.hashes.push_back(before);
        self.at = at;
        if line.event == "lines_lost" {
            self.told = Some(line.seq);
        }
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
        match self.behind() {
            Some(named) if !self.went_on(named, with_keys) => add(Wrong::Inserted {
                seq: (named + 1, self.seq),
            }),
            _ if self.end == End::Unknown && !expected.open => add(Wrong::NoEnd),
            _ => {}
        }
        if with_keys && !self.opened && !self.vouched && self.end != End::Closed {
            add(Wrong::NotSigned);
        } else if with_keys && self.is_overdue() {
            let lines = self.unsigned;
            add(Wrong::Unsigned { lines });
        }
        let late = self.late.iter().chain(&self.early);
        wrong.extend(late.filter(|_| with_keys).cloned());
        wrong.extend(self.unexcused.clone());
        wrong
    }

    /// The place that the next run found as its last, where the run wrote on behind it: that two
    /// daemons of one name ran at once.
    pub fn outlived(&self, with_keys: bool) -> Option<u64> {
        let with_keys = with_keys && !self.excused;
        self.behind()
            .filter(|named| self.went_on(*named, with_keys))
    }

    /// The place that the next run found as its last, where there are lines behind it.
    fn behind(&self) -> Option<u64> {
        self.named.filter(|named| self.seq > *named)
    }

    /// Whether the run itself wrote what is behind that place.
    fn went_on(&self, named: u64, with_keys: bool) -> bool {
        match with_keys {
            true => self.seq.saturating_sub(self.unsigned) > named,
            false => self.end == End::Closed,
        }
    }

    /// The hash of an earlier line, where it is still known.
    pub(super) fn hash_at(&self, seq: u64) -> Option<&str> {
        let back = usize::try_from(self.seq.checked_sub(seq)?).ok()?;
        let place = self.hashes.len().checked_sub(back)?;
        self.hashes.get(place).map(|hash| &**hash)
    }

    /// Holds the time of a line against those before it.
    pub(super) fn timed(&mut self, at: Place, line: &Line<'_>) {
        let finding = |what| Finding {
            at,
            seq: Some(line.seq),
            what,
        };
        if let Some(seconds) = self.lateness(line) {
            self.late = Some(finding(Wrong::Late { seconds }));
        }
        // What the log says about itself on its way is stamped as it is written, and what else is
        // there may have waited for a sink that took nothing.
        let waited = !matches!(&*line.event, "checkpoint" | "lines_lost" | "log_healed");
        let Some(time) = line.time().filter(|_| waited) else {
            return;
        };
        let newest = self.newest.map_or(time, |newest| newest.max(time));
        let seconds = u64::try_from(newest.duration_since(time).as_secs()).unwrap_or(0);
        if seconds > SLACK_SECONDS {
            self.early.get_or_insert(finding(Wrong::Early { seconds }));
        }
        self.newest = Some(newest);
        self.waited = Some(time);
    }

    /// A good signature vouches for what is before it, however its clock went.
    pub(super) fn proven(&mut self, line: &Line<'_>) {
        self.unsigned = 0;
        self.vouched = true;
        self.signed_at = line.time();
        self.newest = self.waited;
        self.late = None;
        self.early = None;
        if !self.opened {
            // Its first line is gone, and it was one that signs after all.
            self.excused = false;
            self.unexcused = None;
        }
    }

    /// Whether a good signature is in it.
    pub const fn is_vouched(&self) -> bool {
        self.vouched
    }

    /// Seconds after the last good signature, if that is longer than the daemon ever waits: what
    /// it writes after its time for a checkpoint has come, it writes behind one.
    pub(super) fn lateness(&self, line: &Line<'_>) -> Option<u64> {
        let since = line.time()?.duration_since(self.signed_at?);
        let since = u64::try_from(since.as_secs()).ok()?;
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

/// A text of a line as it is kept: nothing that we write there is longer.
pub(super) fn kept(text: &str) -> Box<str> {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or_default().into()
}

/// Bytes of a hash in hex.
const LONGEST: usize = 64;
/// Lines of which the hash is kept, until the next run names one.
const MOST_HASHES: usize = 64;
/// A checkpoint waits for the batch that it falls due in.
const SLACK: u64 = 2 * crate::audit::sink::MOST_LINES as u64;
/// Clocks are set, and disks make a batch wait.
const SLACK_SECONDS: u64 = 10;

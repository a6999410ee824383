//! Proves a log complete and unaltered, or says where it is not. Reads each line once; what it
//! keeps grows with the number of runs in the log, not with its lines.

mod finding;

use std::{collections::BTreeMap, fmt};

pub use finding::{Finding, Place, Wrong};

use jiff::Timestamp;

use super::{head::Head, line::Line, sign::PublicKey};

/// What a log is held against.
#[derive(Clone, Default)]
pub struct Expectations {
    /// Keys that may have signed it. Without one, signatures are not looked at.
    pub keys: Vec<PublicKey>,
    /// It is still written to, so that its last line may be missing.
    pub open: bool,
    /// Older files are gone, so that the first lines may be missing.
    pub partial: bool,
    /// Lines that it has to hold, since they were known elsewhere.
    pub heads: Vec<Head>,
}

/// Takes the lines of a log, in order.
pub struct Verifier {
    expected: Expectations,
    runs: BTreeMap<Box<str>, Run>,
    findings: Vec<Finding>,
    more: u64,
    last: Option<Place>,
}

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
    /// The key that it says signs it.
    pub signer: Option<Box<str>>,
    /// Whether its first line could tell what came before.
    pub knows_previous: bool,
    /// Lines after the last one that a good signature of its own vouches for.
    pub unsigned: u64,
    /// Whether the next run says that it could not verify this one.
    pub doubted: bool,
    seq: u64,
    hash: Box<str>,
    at: Place,
    checkpoint_lines: Option<u64>,
    checkpoint_seconds: Option<u64>,
    /// The time of the last good signature.
    signed_at: Option<Timestamp>,
    /// The last line that came too long after it.
    late: Option<Finding>,
    /// Its last line, as a later run names it.
    named: Option<u64>,
    /// Its first line is here, and a good signature was seen.
    opened: bool,
    vouched: bool,
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

/// What came of it.
pub struct Verdict {
    /// By the id of the process.
    pub runs: BTreeMap<Box<str>, Run>,
    /// What is wrong, in order; the first hundred.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
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

impl Verifier {
    /// Nothing read yet.
    pub fn new(expected: Expectations) -> Self {
        Self {
            expected,
            runs: BTreeMap::new(),
            findings: Vec::new(),
            more: 0,
            last: None,
        }
    }

    /// Takes the next line, without its line end.
    pub fn line(&mut self, at: Place, text: &[u8]) {
        self.last = Some(at);
        let line = std::str::from_utf8(text).ok().and_then(Line::parse);
        let Some(line) = line else {
            self.wrong(at, None, Wrong::NoLine);
            return;
        };
        if !line.is_unaltered() {
            self.wrong(at, Some(line.seq), Wrong::Altered);
        } else if !self.expected.heads.is_empty() {
            let heads = &mut self.expected.heads;
            heads.retain(|head| *head.hash() != *line.hash);
        }
        match self.runs.remove(&*line.boot) {
            None => self.begins(at, &line),
            Some(run) => self.goes_on(at, &line, run),
        }
    }

    /// Says what is missing at the end.
    pub fn finish(mut self) -> Verdict {
        let mut ends = Vec::new();
        for run in self.runs.values() {
            ends.extend(run.wrong_at_its_end(&self.expected));
        }
        for Finding { at, seq, what } in ends {
            self.wrong(at, seq, what);
        }
        let end = self.last.unwrap_or(Place { file: 0, line: 0 });
        for head in std::mem::take(&mut self.expected.heads) {
            let hash = head.hash().into();
            self.wrong(end, None, Wrong::NoHead { hash });
        }
        Verdict {
            runs: self.runs,
            findings: self.findings,
            more: self.more,
        }
    }

    fn begins(&mut self, at: Place, line: &Line<'_>) {
        let opens = line.seq == 1 && line.event == "log_open" && is_zeros(&line.prev_hash);
        if !opens && !self.expected.partial {
            self.wrong(at, Some(line.seq), Wrong::NoBeginning);
        }
        self.names(at, line);
        let mut run = Run {
            instance: (&*line.instance).into(),
            lines: 0,
            first: (&*line.timestamp).into(),
            last: "".into(),
            end: End::Unknown,
            signer: line.signer.as_deref().map(Into::into),
            knows_previous: line.previous.as_deref().is_some_and(|it| it != "unknown"),
            unsigned: 0,
            doubted: false,
            seq: 0,
            hash: "".into(),
            at,
            checkpoint_seconds: line.checkpoint_seconds,
            signed_at: None,
            late: None,
            named: None,
            checkpoint_lines: line.checkpoint_lines.or((!opens).then_some(ASSUMED)),
            opened: opens,
            vouched: false,
        };
        if opens && !self.expected.keys.is_empty() && !line.has_signature() {
            self.wrong(at, Some(line.seq), Wrong::NotSigned);
        }
        self.vouched(at, line, &mut run);
        run.advance(at, line);
        self.runs.insert((&*line.boot).into(), run);
    }

    fn goes_on(&mut self, at: Place, line: &Line<'_>, mut run: Run) {
        let expected = run.seq.saturating_add(1);
        if line.seq <= run.seq {
            self.wrong(at, Some(line.seq), Wrong::OutOfPlace { after: run.seq });
            self.runs.insert((&*line.boot).into(), run);
            return;
        }
        if line.seq > expected {
            let missing = (expected, line.seq - 1);
            self.wrong(at, Some(line.seq), Wrong::Missing { seq: missing });
        } else if *line.prev_hash != *run.hash {
            self.wrong(at, Some(line.seq), Wrong::Broken { before: run.at });
        }
        if run.end == End::Closed {
            self.wrong(at, Some(line.seq), Wrong::AfterEnd);
        }
        if *line.instance != *run.instance {
            self.wrong(at, Some(line.seq), Wrong::Broken { before: run.at });
        }
        self.vouched(at, line, &mut run);
        run.advance(at, line);
        self.runs.insert((&*line.boot).into(), run);
    }

    /// A signature vouches for every line up to its own.
    fn vouched(&mut self, at: Place, line: &Line<'_>, run: &mut Run) {
        run.unsigned += 1;
        if let Some(seconds) = run.lateness(line) {
            run.late = Some(Finding {
                at,
                seq: Some(line.seq),
                what: Wrong::Late { seconds },
            });
        }
        let must = matches!(&*line.event, "log_open" | "checkpoint" | "log_close");
        if self.expected.keys.is_empty() || !(must || line.has_signature()) {
            return;
        }
        if line.is_signed_by(&self.expected.keys) {
            if run.is_overdue() {
                let lines = run.unsigned;
                self.wrong(at, Some(line.seq), Wrong::Unsigned { lines });
            }
            run.unsigned = 0;
            run.vouched = true;
            run.signed_at = line.timestamp.parse().ok();
            run.late = None;
        } else if line.has_signature() || line.event != "log_open" {
            self.wrong(at, Some(line.seq), Wrong::BadSignature);
        }
    }

    /// The first line of a run names the last line of the run before it.
    fn names(&mut self, at: Place, line: &Line<'_>) {
        let (Some(boot), Some(seq)) = (&line.previous_boot, line.previous_seq) else {
            return;
        };
        let wrong = match self.runs.get_mut(&**boot) {
            None if self.expected.partial => None,
            None => Some(Wrong::NoRun { seq }),
            Some(run) if run.seq < seq => Some(Wrong::Missing {
                seq: (run.seq + 1, seq),
            }),
            // Whether what follows belongs there is known at its end.
            Some(run) if run.seq > seq => {
                run.named.get_or_insert(seq);
                None
            }
            Some(run) if line.previous_hash.as_deref() != Some(&*run.hash) => {
                Some(Wrong::Broken { before: run.at })
            }
            Some(run) => {
                run.named.get_or_insert(seq);
                run.doubted = line.previous.as_deref() == Some("unverified");
                if run.end == End::Unknown {
                    run.end = End::Named;
                }
                None
            }
        };
        if let Some(wrong) = wrong {
            self.wrong(at, Some(line.seq), wrong);
        }
    }

    fn wrong(&mut self, at: Place, seq: Option<u64>, what: Wrong) {
        if self.findings.len() < MOST {
            self.findings.push(Finding { at, seq, what });
        } else {
            self.more += 1;
        }
    }
}

impl Run {
    fn advance(&mut self, at: Place, line: &Line<'_>) {
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

    fn wrong_at_its_end(&self, expected: &Expectations) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let mut add = |what| {
            wrong.push(Finding {
                at: self.at,
                seq: Some(self.seq),
                what,
            });
        };
        let with_keys = !expected.keys.is_empty();
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
    fn lateness(&self, line: &Line<'_>) -> Option<u64> {
        let at: Timestamp = line.timestamp.parse().ok()?;
        let since = u64::try_from(at.duration_since(self.signed_at?).as_secs()).ok()?;
        let every = self.checkpoint_seconds?;
        let most = every
            .saturating_add(every / 2)
            .saturating_add(SLACK_SECONDS);
        (since > most).then_some(since)
    }

    /// More lines than there ever are between two checkpoints.
    fn is_overdue(&self) -> bool {
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

fn is_zeros(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|digit| digit == b'0')
}

const MOST: usize = 100;
/// Lines between checkpoints of a run whose first line, which says it, is gone.
const ASSUMED: u64 = 1000;
/// A checkpoint waits for the batch that it falls due in.
const SLACK: u64 = 2 * super::sink::MOST_LINES as u64;
/// Clocks are set, and disks make a batch wait.
const SLACK_SECONDS: u64 = 10;

#[cfg(test)]
pub(super) mod tests;

//! Proves a log complete and unaltered, or says where it is not. Reads each line once; what it
//! keeps grows with the number of runs in the log, not with its lines.

mod begins;
mod finding;
mod torn;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

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
    /// When signing was turned on: a run that began before may be without signatures.
    pub signed_since: Option<Timestamp>,
}

impl Expectations {
    fn is_before_signing(&self, line: &Line<'_>) -> bool {
        let at = line.timestamp.parse::<Timestamp>().ok();
        at.zip(self.signed_since)
            .is_some_and(|(at, since)| at < since)
    }
}

/// Takes the lines of a log, in order.
pub struct Verifier {
    expected: Expectations,
    runs: BTreeMap<Box<str>, Run>,
    /// Instances of which something was read.
    instances: BTreeSet<Box<str>>,
    /// Runs that the next run of their instance names, and that are not before it.
    gone: BTreeSet<Box<str>>,
    /// Instances that sign.
    signing: BTreeSet<Box<str>>,
    left: Vec<torn::Left>,
    torn: u64,
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
    /// Lines that a kill left unfinished.
    pub torn: u64,
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
            instances: BTreeSet::new(),
            gone: BTreeSet::new(),
            signing: BTreeSet::new(),
            left: Vec::new(),
            torn: 0,
            findings: Vec::new(),
            more: 0,
            last: None,
        }
    }

    /// Takes the next line, without its line end.
    pub fn line(&mut self, at: Place, text: &[u8]) {
        self.last = Some(at);
        match Line::read(text) {
            Some(line) => self.next(at, &line),
            None => self.no_line(at, text),
        }
    }

    fn next(&mut self, at: Place, line: &Line<'_>) {
        self.resolve(line.event == "log_open");
        if !line.is_unaltered() {
            self.wrong(at, Some(line.seq), Wrong::Altered);
        } else if !self.expected.heads.is_empty() {
            let heads = &mut self.expected.heads;
            heads.retain(|head| *head.hash() != *line.hash);
        }
        match self.runs.remove(&*line.boot) {
            None => self.begins(at, line),
            Some(run) => self.goes_on(at, line, run),
        }
    }

    /// Says what is missing at the end.
    pub fn finish(mut self) -> Verdict {
        self.resolve(true);
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
            torn: self.torn,
        }
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
        if run.excused && !line.has_signature() {
            if !self.expected.is_before_signing(line) {
                self.wrong(at, Some(line.seq), Wrong::NotSigned);
            }
            return;
        }
        if self.expected.keys.is_empty() || !(must || line.has_signature()) {
            return;
        }
        if let Some(key) = line.signed_by(&self.expected.keys) {
            run.paced(line);
            run.signer.get_or_insert_with(|| key.id().into());
            if run.is_overdue() {
                let lines = run.unsigned;
                self.wrong(at, Some(line.seq), Wrong::Unsigned { lines });
            }
            self.signing.insert(run.instance.clone());
            run.unsigned = 0;
            run.vouched = true;
            run.signed_at = line.timestamp.parse().ok();
            run.late = None;
        } else if line.has_signature() || line.event != "log_open" {
            self.wrong(at, Some(line.seq), Wrong::BadSignature);
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

    /// A signed line says how often there is one, in case the first is gone.
    fn paced(&mut self, line: &Line<'_>) {
        self.checkpoint_lines = line.checkpoint_lines.or(self.checkpoint_lines);
        self.checkpoint_seconds = line.checkpoint_seconds.or(self.checkpoint_seconds);
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
/// Lines between checkpoints of a run of which no line that says it has been read.
const ASSUMED: u64 = 1000;
/// A checkpoint waits for the batch that it falls due in.
const SLACK: u64 = 2 * super::sink::MOST_LINES as u64;
/// Clocks are set, and disks make a batch wait.
const SLACK_SECONDS: u64 = 10;

#[cfg(test)]
pub(super) mod tests;

//! Proves a log complete and unaltered, or says where it is not. Reads each line once; what it
//! keeps grows with the number of runs in the log, up to a bound, and not with its lines.

mod begins;
mod calls;
mod finding;
mod loss;
mod run;
mod torn;

use std::collections::{BTreeMap, BTreeSet};

pub use calls::Calls;
pub use finding::{Finding, Place, Wrong};
pub use loss::{Loss, Losses, counted};
pub use run::{End, Run};

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
        let since = line.time().zip(self.signed_since);
        since.is_some_and(|(at, since)| at < since)
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
    /// Instances of which a file's copy of a run was read.
    in_files: BTreeSet<Box<str>>,
    /// Calls of all runs that have no end yet.
    calls: usize,
    left: Vec<torn::Left>,
    torn: u64,
    losses: Vec<Loss>,
    more_losses: Losses,
    findings: Vec<Finding>,
    more: u64,
    last: Option<Place>,
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
    /// What the log says that it lost, in order; the first hundred.
    pub losses: Vec<Loss>,
    /// What more lines say so.
    pub more_losses: Losses,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
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
            in_files: BTreeSet::new(),
            calls: 0,
            left: Vec::new(),
            torn: 0,
            losses: Vec::new(),
            more_losses: Losses::default(),
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
        if line.event == "log_open" && line.seq != 1 {
            self.wrong(at, Some(line.seq), Wrong::OpensAgain);
        }
        self.lost(line);
        match self.runs.remove(&*line.boot) {
            None if self.runs.len() >= MOST_RUNS => {
                self.wrong(at, Some(line.seq), Wrong::TooManyRuns);
            }
            None => self.begins(at, line),
            Some(run) => self.goes_on(at, line, run),
        }
    }

    /// Says what is missing at the end.
    pub fn finish(mut self) -> Verdict {
        self.resolve(true);
        self.lost_by_the_end();
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
            losses: self.losses,
            more_losses: self.more_losses,
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
        self.advances(at, line, &mut run);
        self.runs.insert((&*line.boot).into(), run);
    }

    fn advances(&mut self, at: Place, line: &Line<'_>, run: &mut Run) {
        let (before, _) = run.calls.count();
        run.advance(at, line, MOST_CALLS.saturating_sub(self.calls));
        let (after, _) = run.calls.count();
        self.calls = self.calls + after - before;
    }

    /// A signature vouches for every line up to its own.
    fn vouched(&mut self, at: Place, line: &Line<'_>, run: &mut Run) {
        run.unsigned += 1;
        run.timed(at, line);
        let must = matches!(&*line.event, "log_open" | "checkpoint" | "log_close");
        if run.excused && !line.has_signature() {
            if !self.expected.is_before_signing(line) {
                let seq = Some(line.seq);
                let what = Wrong::NotSigned;
                run.unexcused.get_or_insert(Finding { at, seq, what });
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
            run.proven(line);
        } else if line.has_signature() || run.vouched {
            self.wrong(at, Some(line.seq), Wrong::BadSignature);
        } else if line.event != "log_open" {
            self.wrong(at, Some(line.seq), Wrong::NotSigned);
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

fn is_zeros(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|digit| digit == b'0')
}

const MOST: usize = 100;
/// Runs that are told apart, and calls of theirs that are open at once.
const MOST_RUNS: usize = 20_000;
const MOST_CALLS: usize = 100_000;
/// Lines between checkpoints of a run of which no line that says it has been read.
const ASSUMED: u64 = 1000;
#[cfg(test)]
mod bounds;
#[cfg(test)]
pub(super) mod tests;

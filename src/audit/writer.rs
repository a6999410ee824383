//! The thread that makes the lines: batches of what has come meanwhile, chained, signed from time to
//! time, and given to every sink.

mod keeper;
mod lane;
mod state;

use std::{
    collections::HashSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use uuid::Uuid;

use self::lane::{Batch, Lane};
use super::{config::Pace, lifecycle, sign::SigningKey, sink::Opened};

pub(super) use state::State;

/// A call that a line begins or ends.
pub(super) enum Call {
    Begins(Uuid),
    Ends(Uuid),
}

/// What the writer is asked to do.
pub(super) enum Job {
    Line {
        open: Vec<u8>,
        call: Option<Call>,
        /// Given back once the line is written.
        room: OwnedSemaphorePermit,
        written: Option<oneshot::Sender<Written>>,
    },
    /// Something was lost here, of which the log has to tell.
    Lost,
    /// Time may have come for a checkpoint.
    Tick,
    Close,
}

/// Every sink has taken a batch. Whoever is told so first tells the others: woken each by itself, from
/// the thread that writes, they would take its core in turns, and their next lines would come one by
/// one.
#[derive(Default)]
pub(super) struct Written(Vec<oneshot::Sender<Self>>);

impl Drop for Written {
    fn drop(&mut self) {
        for other in self.0.drain(..) {
            let _ = other.send(Self::default());
        }
    }
}

pub(super) struct Writer {
    /// One to each sink.
    lanes: Vec<Lane>,
    /// Lines of a batch, at most.
    most: usize,
    who: lifecycle::Writer,
    /// Lines so far, in every chain.
    seq: u64,
    /// The place of the last line that tells of losses; 0 when there is none.
    told: u64,
    /// Calls that have a line where they begin and none where they end.
    calls: HashSet<Uuid>,
    key: Option<SigningKey>,
    pace: Pace,
    /// The last line that says how far the log has come.
    checked: Checked,
    state: Arc<State>,
    jobs: mpsc::UnboundedReceiver<Job>,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        who: lifecycle::Writer,
        (key, pace): (Option<SigningKey>, Pace),
        state: Arc<State>,
        jobs: mpsc::UnboundedReceiver<Job>,
    ) -> Self {
        let sinks = opened.sinks.into_iter().zip(&state.sinks);
        let lanes = sinks
            .map(|((sink, _), health)| Lane::to(sink, health.clone(), state.clone(), opened.batch));
        Self {
            lanes: lanes.collect(),
            most: opened.batch,
            who,
            seq: 0,
            told: 0,
            calls: HashSet::new(),
            key,
            pace,
            checked: Checked::now(0),
            state,
            jobs,
        }
    }

    /// Writes until it is told to close, or until nobody is left to record; true when the sinks
    /// have taken everything and the closing line.
    ///
    /// `openings`: the first line for each sink.
    pub(super) fn run(mut self, openings: Vec<Vec<u8>>) -> bool {
        let mut batch = Batch::default();
        self.open(openings, &mut batch);
        let mut open = true;
        while open {
            self.vouch_in_time(&mut batch);
            if !self.hand_over(&mut batch) {
                return false;
            }
            let Some(first) = self.jobs.blocking_recv() else {
                return false;
            };
            // On one core, whoever woke this thread has more to hand over: one write for all of it.
            thread::yield_now();
            open = self.gather(first, &mut batch);
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.add(job, &mut batch);
            self.vouch_in_time(&mut batch);
        }
        self.confess(&mut batch);
        self.heal(&mut batch);
        let pace = self.key.is_some().then_some(self.pace);
        self.signed(lifecycle::closing(pace), &mut batch);
        self.state.closes();
        // Those that have not given up get all of it, whatever became of another.
        let given = self.hand_over(&mut batch);
        let ends: Vec<_> = self.lanes.into_iter().map(Lane::close).collect();
        let given = ends.into_iter().fold(given, |all, ended| ended() && all);
        self.state.keeper.ends();
        given
    }

    /// Takes what has come, up to a batch; false when it is time to close.
    fn gather(&mut self, first: Job, batch: &mut Batch) -> bool {
        let mut next = Some(first);
        while let Some(job) = next {
            if !self.add(job, batch) {
                return false;
            }
            let full = batch.lines >= self.most || batch.bytes >= BATCH;
            next = if full {
                None
            } else {
                self.jobs.try_recv().ok()
            };
        }
        true
    }

    fn add(&mut self, job: Job, batch: &mut Batch) -> bool {
        match job {
            Job::Line {
                open,
                call,
                room,
                written,
            } => {
                self.heal(batch);
                self.line(open, batch);
                match call {
                    Some(Call::Begins(id)) => _ = self.calls.insert(id),
                    Some(Call::Ends(id)) => _ = self.calls.remove(&id),
                    None => {}
                }
                batch.waiting.room.push(room);
                batch.waiting.acknowledge.extend(written);
                true
            }
            Job::Lost => {
                // Such a line has no room of its own: one at a time, whose taker reminds us, and
                // few more where a sink takes none.
                if self.told <= self.state.through() || self.state.lost.is_due() {
                    self.confess(batch);
                }
                true
            }
            Job::Tick => true,
            Job::Close => false,
        }
    }

    fn is_behind(&self) -> bool {
        let lines = self.seq - self.checked.seq;
        // Without a signature it would say nothing that the chain does not.
        self.key.is_some() && lines > 0 && (lines >= self.pace.lines.get() || self.is_late())
    }

    fn is_late(&self) -> bool {
        self.checked.age() >= self.pace.every.duration()
    }

    /// A checkpoint, where one is due.
    fn vouch_in_time(&mut self, batch: &mut Batch) {
        if self.is_behind() {
            self.vouch(batch);
        }
    }

    /// A checkpoint. How many calls are open it says for as long as no line was lost: afterwards a
    /// call may end that has no line where it began.
    fn vouch(&mut self, batch: &mut Batch) {
        let open = (self.told == 0).then_some(self.calls.len());
        self.signed(lifecycle::checkpoint(self.pace, open), batch);
    }

    /// A line that vouches for everything before it.
    fn signed(&mut self, open: Vec<u8>, batch: &mut Batch) {
        self.chained(open, batch, true);
        self.checked = Checked::now(self.seq);
    }

    /// A line that is not signed. Where its time for a checkpoint has come, that stands before it:
    /// who is killed in the middle of a batch leaves no line that is too late for the last one.
    fn line(&mut self, open: Vec<u8>, batch: &mut Batch) {
        if self.key.is_some() && self.is_late() {
            self.vouch(batch);
        }
        self.chained(open, batch, false);
    }

    fn open(&mut self, openings: Vec<Vec<u8>>, batch: &mut Batch) {
        for (lane, mut open) in self.lanes.iter_mut().zip(openings) {
            self.who.sign(&mut open);
            lane.add(&open, self.key.as_ref());
        }
        self.seq = 1;
        batch.lines = 1;
        self.checked = Checked::now(self.seq);
    }

    fn chained(&mut self, mut open: Vec<u8>, batch: &mut Batch, sign: bool) {
        self.who.sign(&mut open);
        let key = self.key.as_ref().filter(|_| sign);
        let lengths = self.lanes.iter_mut().map(|lane| lane.add(&open, key));
        batch.bytes += lengths.max().unwrap_or(0);
        batch.lines += 1;
        self.seq += 1;
    }

    /// Says what the log lacks, or what was mended in its files.
    fn confess(&mut self, batch: &mut Batch) {
        if let Some(lost) = self.state.lost.take() {
            tracing::error!(%lost, "the audit log says what it lacks");
            self.line(lifecycle::lost(&lost), batch);
            self.told = self.seq;
        }
    }

    fn heal(&mut self, batch: &mut Batch) {
        let healed: u64 = self.state.sinks.iter().map(|sink| sink.healed()).sum();
        if healed > 0 {
            self.line(lifecycle::healed(healed), batch);
        }
    }

    /// Gives the batch to every sink; false when one has given up.
    fn hand_over(&mut self, batch: &mut Batch) -> bool {
        let Some(first) = self.lanes.first().filter(|_| batch.lines > 0) else {
            return true;
        };
        let given = batch.give(self.lanes.len(), (self.seq, first.chain()));
        let lanes = self.lanes.iter_mut();
        lanes.fold(true, |all, lane| all & lane.give(&given))
    }
}

/// Where a signature stands, and when it was made.
struct Checked {
    seq: u64,
    at: Instant,
    clock: Timestamp,
}

impl Checked {
    fn now(seq: u64) -> Self {
        let (at, clock) = (Instant::now(), Timestamp::now());
        Self { seq, at, clock }
    }

    /// How long ago that was, also by the clock that lines are stamped with: it goes on while the
    /// machine sleeps, and may be set forward.
    fn age(&self) -> Duration {
        let by_clock = Timestamp::now().duration_since(self.clock);
        let by_clock = Duration::try_from(by_clock).unwrap_or_default();
        self.at.elapsed().max(by_clock)
    }
}

/// Bytes that are written at once.
const BATCH: usize = 256 << 10;

#[cfg(test)]
mod tests;

//! The thread that writes: batches of what has come meanwhile, chained, signed from time to time,
//! and tried again for as long as the sinks do not take them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    chain::Chain,
    config::Pace,
    head::HeadFile,
    lifecycle,
    lost::Losses,
    sign::SigningKey,
    sink::{Claim, Opened, Sink},
};

/// What the writer is asked to do.
pub(super) enum Job {
    Line {
        open: Vec<u8>,
        /// Given back once the line is written.
        room: OwnedSemaphorePermit,
        written: Option<oneshot::Sender<()>>,
    },
    /// Something was lost here, of which the log has to tell.
    Lost,
    /// Time may have come for a checkpoint.
    Tick,
    Close,
}

/// What the writer and those who record tell each other.
pub(super) struct State {
    began: Instant,
    broken: AtomicBool,
    /// Milliseconds after `began` at which the batch in hand was begun, or a sink last took a part
    /// of it; 0 when there is none.
    busy: AtomicU64,
    /// How many times a sink took something.
    progress: AtomicU64,
    /// Whether somebody was told that a sink neither takes nor refuses.
    stuck: AtomicBool,
    pub(super) lost: Losses,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            broken: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            lost: Losses::default(),
        }
    }

    /// Whether lines go through: the last batch was taken, and none is stuck in a sink.
    pub(super) fn is_writable(&self) -> bool {
        let busy = self.busy.load(Ordering::Relaxed);
        let stuck = busy > 0 && self.now() > busy + STUCK;
        if stuck && !self.is_known() && !self.stuck.swap(true, Ordering::Relaxed) {
            tracing::error!("the audit log cannot be written: a sink neither takes nor refuses");
        }
        !stuck && !self.broken.load(Ordering::Relaxed)
    }

    /// Another number once a sink has taken something.
    pub(super) fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    fn is_known(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.stuck.load(Ordering::Relaxed)
    }

    /// A sink has taken a part of the batch in hand.
    fn goes_on(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        self.busy.store(self.now(), Ordering::Relaxed);
    }

    /// Every sink has taken the batch in hand.
    fn goes_through(&self) {
        self.busy.store(0, Ordering::Relaxed);
        let was_broken = self.broken.swap(false, Ordering::Relaxed);
        if self.stuck.swap(false, Ordering::Relaxed) || was_broken {
            tracing::info!("the audit log is written again");
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - STUCK) + 1
    }
}

pub(super) struct Writer {
    outlets: Vec<Outlet>,
    /// Lines of a batch, at most.
    most: usize,
    who: lifecycle::Writer,
    /// Where it is noted how far the first sink has come.
    head: Option<HeadFile>,
    /// That no other process writes in this one's name, and when that was last looked at.
    claims: (Vec<Claim>, Instant),
    /// Lines so far, in every chain.
    seq: u64,
    key: Option<SigningKey>,
    pace: Pace,
    /// The last line that says how far the log has come.
    checked: (u64, Instant),
    state: Arc<State>,
    jobs: mpsc::UnboundedReceiver<Job>,
}

/// Lines that are written together, and who waits for them.
#[derive(Default)]
struct Batch {
    bytes: usize,
    lines: usize,
    room: Vec<OwnedSemaphorePermit>,
    acknowledge: Vec<oneshot::Sender<()>>,
}

/// A sink, its chain, and what it has not taken yet.
struct Outlet {
    sink: Box<dyn Sink>,
    chain: Chain,
    bytes: Vec<u8>,
    /// Of these, what it has taken already.
    taken: usize,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        who: lifecycle::Writer,
        (key, pace): (Option<SigningKey>, Pace),
        state: Arc<State>,
        jobs: mpsc::UnboundedReceiver<Job>,
    ) -> Self {
        let outlets = opened.sinks.into_iter().map(|(sink, _)| Outlet {
            sink,
            chain: Chain::new(),
            bytes: Vec::new(),
            taken: 0,
        });
        Self {
            outlets: outlets.collect(),
            most: opened.batch,
            who,
            head: opened.head,
            claims: (opened.claims, Instant::now()),
            seq: 0,
            key,
            pace,
            checked: (0, Instant::now()),
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
            if self.is_behind() {
                self.signed(lifecycle::checkpoint(self.pace), &mut batch);
            }
            if !self.put(&mut batch, true) {
                return false;
            }
            let Some(first) = self.jobs.blocking_recv() else {
                return false;
            };
            self.renew_claims();
            // On one core, whoever woke this thread has more to hand over: one write for all of it.
            thread::yield_now();
            open = self.gather(first, &mut batch);
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.add(job, &mut batch);
            if self.is_behind() {
                self.signed(lifecycle::checkpoint(self.pace), &mut batch);
            }
        }
        self.confess(&mut batch);
        self.heal(&mut batch);
        let pace = self.key.is_some().then_some(self.pace);
        self.signed(lifecycle::closing(pace), &mut batch);
        self.put(&mut batch, false)
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
                room,
                written,
            } => {
                self.heal(batch);
                self.line(open, batch, false);
                batch.room.push(room);
                batch.acknowledge.extend(written);
                true
            }
            Job::Lost => {
                self.confess(batch);
                true
            }
            Job::Tick => true,
            Job::Close => false,
        }
    }

    fn is_behind(&self) -> bool {
        let (seq, at) = self.checked;
        let lines = self.seq - seq;
        let due = lines >= self.pace.lines.get() || at.elapsed() >= self.pace.every.duration();
        // Without a signature it would say nothing that the chain does not.
        self.key.is_some() && lines > 0 && due
    }

    /// A line that vouches for everything before it.
    fn signed(&mut self, open: Vec<u8>, batch: &mut Batch) {
        self.line(open, batch, true);
        self.checked = (self.seq, Instant::now());
    }

    fn open(&mut self, openings: Vec<Vec<u8>>, batch: &mut Batch) {
        for (outlet, mut open) in self.outlets.iter_mut().zip(openings) {
            self.who.sign(&mut open);
            outlet.add(&open, self.key.as_ref());
        }
        self.seq = 1;
        batch.lines = 1;
        self.checked = (self.seq, Instant::now());
    }

    fn line(&mut self, mut open: Vec<u8>, batch: &mut Batch, sign: bool) {
        self.who.sign(&mut open);
        let key = self.key.as_ref().filter(|_| sign);
        let outlets = self.outlets.iter_mut();
        batch.bytes += outlets
            .map(|outlet| outlet.add(&open, key))
            .max()
            .unwrap_or(0);
        batch.lines += 1;
        self.seq += 1;
    }

    fn renew_claims(&mut self) {
        let (claims, looked) = &mut self.claims;
        if looked.elapsed() >= LOOK {
            claims.iter_mut().for_each(Claim::renew);
            *looked = Instant::now();
        }
    }

    /// Says what the log lacks, or what was mended in its files.
    fn confess(&mut self, batch: &mut Batch) {
        if let Some(lost) = self.state.lost.take() {
            tracing::error!(%lost, "the audit log takes lines again, and says what it lacks");
            self.line(lifecycle::lost(&lost), batch, false);
        }
    }

    fn heal(&mut self, batch: &mut Batch) {
        let sinks = self.outlets.iter_mut();
        let healed: u64 = sinks.map(|outlet| outlet.sink.healed()).sum();
        if healed > 0 {
            self.line(lifecycle::healed(healed), batch, false);
        }
    }

    /// Writes all of it to every sink, to one after the other, trying again for as long as the
    /// daemon runs: what comes meanwhile waits, and whoever waits for it is told.
    fn put(&mut self, batch: &mut Batch, patient: bool) -> bool {
        self.state.busy.store(self.state.now(), Ordering::Relaxed);
        let (mut tries, mut taken) = (0, self.state.progress());
        for outlet in &mut self.outlets {
            while let Err(error) = outlet.write(&self.state) {
                metrics::counter!("zoho_mcp_audit_write_failures_total").increment(1);
                if !self.state.broken.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the audit log cannot be written");
                }
                let taken_before = std::mem::replace(&mut taken, self.state.progress());
                tries = if taken == taken_before { tries + 1 } else { 0 };
                if !patient && tries > LAST_TRIES || self.jobs.is_closed() {
                    return false;
                }
                thread::park_timeout(RETRY);
            }
        }
        if let (Some(head), Some(first)) = (&mut self.head, self.outlets.first())
            && batch.lines > 0
        {
            head.note(self.seq, first.chain.hash(), self.who.fields());
        }
        self.state.goes_through();
        metrics::counter!("zoho_mcp_audit_lines_total").increment(batch.lines as u64);
        for written in batch.acknowledge.drain(..) {
            let _ = written.send(());
        }
        batch.room.clear();
        batch.bytes = 0;
        batch.lines = 0;
        true
    }
}

impl Outlet {
    /// Adds a line, closed by the chain of this sink.
    fn add(&mut self, open: &[u8], key: Option<&SigningKey>) -> usize {
        self.chain.close(&mut self.bytes, open, key)
    }

    fn write(&mut self, state: &State) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.bytes.get(self.taken..) {
            self.taken += self.sink.take(rest)?;
            state.goes_on();
        }
        self.bytes.clear();
        self.taken = 0;
        Ok(())
    }
}

/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
const RETRY: Duration = Duration::from_millis(100);
/// Between two looks at the claims, while lines are written.
const LOOK: Duration = Duration::from_secs(1);
const LAST_TRIES: u32 = 20;
/// Milliseconds after which a sink that neither takes nor refuses anything counts as one that
/// refuses.
const STUCK: u64 = 2_000;

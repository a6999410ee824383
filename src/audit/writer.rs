//! The thread that writes: batches of what has come meanwhile, chained, signed from time to time,
//! and tried again for as long as the sinks do not take them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
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
    sign::SigningKey,
    sink::{Opened, Sink},
};

/// What the writer is asked to do.
pub(super) enum Job {
    Line {
        open: Vec<u8>,
        /// Given back once the line is written.
        room: OwnedSemaphorePermit,
        written: Option<oneshot::Sender<()>>,
    },
    /// Time may have come for a checkpoint.
    Tick,
    Close,
}

/// What the writer and those who record tell each other.
pub(super) struct State {
    began: Instant,
    broken: AtomicBool,
    /// Milliseconds after `began` at which the batch in hand was begun; 0 when there is none.
    busy: AtomicU64,
    pub(super) lost: Mutex<Lost>,
}

/// Lines that found no room, by event.
#[derive(Default)]
pub(super) struct Lost(pub(super) BTreeMap<&'static str, u64>);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("found no room:")?;
        for (n, (event, count)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma} {event} {count}")?;
        }
        Ok(())
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            broken: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            lost: Mutex::default(),
        }
    }

    /// Whether lines go through: the last batch was taken, and none is stuck in a sink.
    pub(super) fn is_writable(&self) -> bool {
        let busy = self.busy.load(Ordering::Relaxed);
        let stuck = busy > 0 && self.now() > busy + STUCK;
        !stuck && !self.broken.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - STUCK) + 1
    }
}

pub(super) struct Writer {
    sinks: Vec<Box<dyn Sink>>,
    /// Lines of a batch, at most.
    most: usize,
    who: lifecycle::Writer,
    chain: Chain,
    head: Option<HeadFile>,
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
    bytes: Vec<u8>,
    lines: usize,
    room: Vec<OwnedSemaphorePermit>,
    acknowledge: Vec<oneshot::Sender<()>>,
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        who: lifecycle::Writer,
        (key, pace): (Option<SigningKey>, Pace),
        state: Arc<State>,
        jobs: mpsc::UnboundedReceiver<Job>,
    ) -> Self {
        Self {
            sinks: opened.sinks,
            most: opened.batch,
            who,
            chain: Chain::new(),
            head: opened.head,
            key,
            pace,
            checked: (0, Instant::now()),
            state,
            jobs,
        }
    }

    /// Writes until it is told to close, or until nobody is left to record; true when the sinks
    /// have taken everything and the closing line.
    pub(super) fn run(mut self, opening: Vec<u8>) -> bool {
        let mut batch = Batch::default();
        self.signed(opening, &mut batch);
        let mut open = true;
        while open {
            if self.is_behind() {
                self.signed(lifecycle::checkpoint(), &mut batch);
            }
            if !self.put(&mut batch, true) {
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
            if self.is_behind() {
                self.signed(lifecycle::checkpoint(), &mut batch);
            }
        }
        self.confess(&mut batch);
        self.signed(lifecycle::closing(), &mut batch);
        self.put(&mut batch, false)
    }

    /// Takes what has come, up to a batch; false when it is time to close.
    fn gather(&mut self, first: Job, batch: &mut Batch) -> bool {
        let mut next = Some(first);
        while let Some(job) = next {
            if !self.add(job, batch) {
                return false;
            }
            let full = batch.lines >= self.most || batch.bytes.len() >= BATCH;
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
                self.confess(batch);
                self.line(open, batch, false);
                batch.room.push(room);
                batch.acknowledge.extend(written);
                true
            }
            Job::Tick => {
                self.confess(batch);
                true
            }
            Job::Close => false,
        }
    }

    fn is_behind(&self) -> bool {
        let (seq, at) = self.checked;
        let lines = self.chain.seq() - seq;
        let due = lines >= self.pace.lines.get() || at.elapsed() >= self.pace.every.duration();
        // Without a signature it would say nothing that the chain does not.
        self.key.is_some() && lines > 0 && due
    }

    /// A line that vouches for everything before it.
    fn signed(&mut self, open: Vec<u8>, batch: &mut Batch) {
        self.line(open, batch, true);
        self.checked = (self.chain.seq(), Instant::now());
    }

    fn line(&mut self, mut open: Vec<u8>, batch: &mut Batch, sign: bool) {
        self.who.sign(&mut open);
        let key = self.key.as_ref().filter(|_| sign);
        self.chain.close(&mut open, key);
        batch.bytes.append(&mut open);
        batch.lines += 1;
    }

    /// Says what the log lacks.
    fn confess(&mut self, batch: &mut Batch) {
        let lost = {
            let mut lost = self
                .state
                .lost
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *lost)
        };
        if !lost.0.is_empty() {
            self.line(lifecycle::lost(&lost), batch, false);
        }
        let healed: u64 = self.sinks.iter_mut().map(|sink| sink.healed()).sum();
        if healed > 0 {
            self.line(lifecycle::healed(healed), batch, false);
        }
    }

    /// Writes all of it to every sink, trying again for as long as the daemon runs: what comes
    /// meanwhile waits, and whoever waits for it is told.
    fn put(&mut self, batch: &mut Batch, patient: bool) -> bool {
        self.state.busy.store(self.state.now(), Ordering::Relaxed);
        let mut waiting: Vec<&mut Box<dyn Sink>> = self.sinks.iter_mut().collect();
        let mut tries = 0;
        while !batch.bytes.is_empty() {
            let mut failed = None;
            waiting.retain_mut(|sink| match sink.take(&batch.bytes) {
                Ok(()) => false,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            });
            let Some(error) = failed else {
                break;
            };
            metrics::counter!("zoho_mcp_audit_write_failures_total").increment(1);
            if !self.state.broken.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the audit log cannot be written");
            }
            tries += 1;
            if !patient && tries > LAST_TRIES || self.jobs.is_closed() {
                return false;
            }
            thread::park_timeout(RETRY);
        }
        if let Some(head) = self.head.as_mut().filter(|_| batch.lines > 0) {
            head.note(&self.chain, self.who.fields());
        }
        self.state.busy.store(0, Ordering::Relaxed);
        if self.state.broken.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log is written again");
        }
        metrics::counter!("zoho_mcp_audit_lines_total").increment(batch.lines as u64);
        for written in batch.acknowledge.drain(..) {
            let _ = written.send(());
        }
        batch.room.clear();
        batch.bytes.clear();
        batch.lines = 0;
        true
    }
}

/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
const RETRY: Duration = Duration::from_millis(100);
const LAST_TRIES: u32 = 20;
/// Milliseconds after which a batch that a sink neither takes nor refuses counts as refused.
const STUCK: u64 = 2_000;

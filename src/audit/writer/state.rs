//! What the threads that write and those who record tell each other: how each sink is doing, and
//! how far all of them have come.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{Job, keeper::Keeper};
use crate::audit::{
    lifecycle,
    lost::Losses,
    sink::{Opened, Sink},
};

pub(in crate::audit) struct State {
    /// One for each sink, in their order.
    pub(super) sinks: Vec<Arc<Health>>,
    /// The place of the last line that every sink has taken.
    through: AtomicU64,
    /// Where that is noted.
    pub(super) keeper: Keeper,
    /// No more lines come, and whoever fails may not fail for ever.
    closing: AtomicBool,
    /// Nobody is left who could be told anything.
    abandoned: AtomicBool,
    /// For as long as somebody records.
    jobs: mpsc::WeakUnboundedSender<Job>,
    pub(in crate::audit) lost: Losses,
}

impl State {
    /// Of a log that goes to these sinks.
    pub(in crate::audit) fn new(
        opened: &mut Opened,
        who: &lifecycle::Writer,
        jobs: mpsc::WeakUnboundedSender<Job>,
    ) -> Self {
        let keeper = Keeper::of(opened, who.fields());
        let sinks = opened.sinks.iter_mut();
        Self {
            sinks: sinks
                .map(|(sink, _)| Arc::new(Health::of(&mut **sink)))
                .collect(),
            through: AtomicU64::new(0),
            keeper,
            closing: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            jobs,
            lost: Losses::default(),
        }
    }

    /// Whether lines go through: every sink took what it was last given, and none is stuck.
    pub(in crate::audit) fn is_writable(&self) -> bool {
        self.watch();
        self.sinks
            .iter()
            .fold(true, |all, sink| all & sink.is_writable())
    }

    /// Whether there is a head to look after.
    pub(in crate::audit) const fn has_head(&self) -> bool {
        self.keeper.has_head()
    }

    /// Says once where the head is not written.
    pub(in crate::audit) fn watch(&self) {
        self.keeper.watch();
    }

    /// Another number once a sink has taken something.
    pub(in crate::audit) fn progress(&self) -> u64 {
        let sinks = self.sinks.iter();
        sinks.map(|it| it.progress.load(Ordering::Relaxed)).sum()
    }

    /// The sinks that have the whole log, or those that do not, by name.
    pub(in crate::audit) fn names(&self, whole: bool) -> String {
        let sinks = self.sinks.iter();
        let names = sinks.filter(|it| it.is_whole.load(Ordering::Relaxed) == whole);
        let names: Vec<&str> = names.map(|it| &*it.name).collect();
        names.join(", ")
    }

    /// Waits a while for the last head, and no longer than so.
    pub(in crate::audit) fn keep(&self, patience: Duration) {
        self.keeper.wait(patience);
    }

    /// Nobody records any more.
    pub(in crate::audit) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn closes(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether it is no use to try again after so many failures.
    pub(super) fn is_hopeless(&self, tries: u32) -> bool {
        self.abandoned.load(Ordering::Relaxed)
            || self.closing.load(Ordering::Relaxed) && tries > LAST_TRIES
    }

    /// The place of the last line that every sink has taken.
    pub(super) fn through(&self) -> u64 {
        self.through.load(Ordering::Relaxed)
    }

    /// Every sink has taken the line at that place, which has that hash in the first of them.
    pub(super) fn is_through(&self, seq: u64, hash: &str) {
        self.keeper.note(seq, hash);
        self.through.store(seq, Ordering::Relaxed);
    }

    /// Wakes the writer where something was lost that is not told yet.
    pub(super) fn remind(&self) {
        if self.lost.is_any()
            && let Some(jobs) = self.jobs.upgrade()
        {
            let _ = jobs.send(Job::Lost);
        }
    }
}

/// How one sink is doing.
pub(super) struct Health {
    name: String,
    began: Instant,
    broken: AtomicBool,
    /// Milliseconds after `began` at which the lines in hand were begun, or the sink last took a
    /// part of them; 0 when there are none.
    busy: AtomicU64,
    /// How many times it took something.
    progress: AtomicU64,
    /// Whether somebody was told that it neither takes nor refuses.
    stuck: AtomicBool,
    /// Bytes of unfinished lines that it removed and that no line tells of yet.
    healed: AtomicU64,
    /// It has the closing line.
    is_whole: AtomicBool,
}

impl Health {
    fn of(sink: &mut dyn Sink) -> Self {
        Self {
            name: sink.name(),
            began: Instant::now(),
            broken: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            healed: AtomicU64::new(sink.healed()),
            is_whole: AtomicBool::new(false),
        }
    }

    /// Whether it took what it was last given, and is not stuck.
    fn is_writable(&self) -> bool {
        let busy = self.busy.load(Ordering::Relaxed);
        let stuck = busy > 0 && self.now() > busy + STUCK;
        if stuck && !self.is_known() && !self.stuck.swap(true, Ordering::Relaxed) {
            let sink = &self.name;
            tracing::error!(%sink, "the audit log cannot be written: a sink neither takes nor refuses");
        }
        !stuck && !self.broken.load(Ordering::Relaxed)
    }

    fn is_known(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.stuck.load(Ordering::Relaxed)
    }

    /// It is given lines.
    pub(super) fn begins(&self) {
        self.busy.store(self.now(), Ordering::Relaxed);
    }

    /// It has taken a part of them, and removed so many bytes before.
    pub(super) fn goes_on(&self, healed: u64) {
        self.healed.fetch_add(healed, Ordering::Relaxed);
        self.progress.fetch_add(1, Ordering::Relaxed);
        self.begins();
    }

    /// It has refused them.
    pub(super) fn fails(&self, error: &io::Error) {
        metrics::counter!("zoho_mcp_audit_write_failures_total").increment(1);
        if !self.broken.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "the audit log cannot be written");
        }
    }

    /// It has taken all of them.
    pub(super) fn goes_through(&self) {
        self.busy.store(0, Ordering::Relaxed);
        let was_broken = self.broken.swap(false, Ordering::Relaxed);
        if self.stuck.swap(false, Ordering::Relaxed) || was_broken {
            let sink = &self.name;
            tracing::info!(%sink, "the audit log is written again");
        }
    }

    /// It has every line.
    pub(super) fn is_whole(&self) {
        self.is_whole.store(true, Ordering::Relaxed);
    }

    pub(super) fn healed(&self) -> u64 {
        self.healed.swap(0, Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - STUCK) + 1
    }
}

/// Milliseconds after which a sink that neither takes nor refuses anything counts as one that
/// refuses.
const STUCK: u64 = 2_000;
const LAST_TRIES: u32 = 20;

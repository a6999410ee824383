//! Keeps what stands beside the log: the claims to its places, and the head in a second place. Either
//! may be on a disk that hangs, so that this has a thread of its own, for which no line waits.

use std::{
    io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::audit::{
    head::HeadFile,
    sink::{Claim, Opened},
};

/// What is asked of the thread. It ends once this is dropped.
pub(super) struct Keeper {
    /// The place of the head; none where no head is kept.
    place: Option<String>,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    changed: Condvar,
}

#[derive(Default)]
struct Papers {
    /// Where the log stands, if that is not in hand yet: the newest alone.
    newest: Option<(u64, Box<str>)>,
    /// When the oldest head came that neither was written nor failed since.
    since: Option<Instant>,
    /// Somebody was told that it cannot be written.
    is_failing: bool,
    ends: bool,
    has_ended: bool,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.ends();
    }
}

impl Keeper {
    /// Of what was opened with the sinks; `who`: the fields that name the run.
    pub(super) fn of(opened: &mut Opened, who: &[u8]) -> Self {
        let (head, claims) = (opened.head.take(), mem::take(&mut opened.claims));
        let keeper = Self {
            place: head.as_ref().map(HeadFile::place),
            desk: Arc::default(),
        };
        if head.is_none() && claims.is_empty() {
            keeper.desk.papers().has_ended = true;
            return keeper;
        }
        let (desk, who) = (keeper.desk.clone(), who.to_vec());
        thread::spawn(move || desk.keep(head.as_ref(), claims, &who));
        keeper
    }

    /// Every sink has taken the line at that place, which has that hash in the first of them.
    pub(super) fn note(&self, seq: u64, hash: &str) {
        if self.place.is_none() {
            return;
        }
        let mut papers = self.desk.papers();
        papers.since.get_or_insert_with(Instant::now);
        let had = papers.newest.replace((seq, hash.into()));
        drop(papers);
        if had.is_none() {
            self.desk.changed.notify_all();
        }
        self.watch();
    }

    pub(super) const fn has_head(&self) -> bool {
        self.place.is_some()
    }

    /// Says once if a head is not written after so long.
    fn look(&self, patience: Duration) {
        let Some(place) = &self.place else { return };
        let mut papers = self.desk.papers();
        let hangs = papers
            .since
            .is_some_and(|since| since.elapsed() >= patience);
        let is_news = hangs && !mem::replace(&mut papers.is_failing, true);
        drop(papers);
        if is_news {
            let why = "its disk, or that of a log file, neither takes nor refuses";
            failed(place, &io::Error::new(io::ErrorKind::TimedOut, why));
        }
    }

    /// Says once if a head hangs. It is asked with every head, by those who ask whether the log is
    /// written, and every second.
    pub(super) fn watch(&self) {
        self.look(HANGS);
    }

    /// Nothing more is noted: it is ended with the last head, and lets go of the claims.
    pub(super) fn ends(&self) {
        self.desk.papers().ends = true;
        self.desk.changed.notify_all();
    }

    /// Waits a while, and no longer than so, until what was noted is written, and for the end, where
    /// it is to end.
    pub(super) fn wait(&self, patience: Duration) {
        let waits =
            |papers: &mut Papers| !papers.has_ended && (papers.ends || papers.since.is_some());
        let papers = self.desk.papers();
        let patience = patience.min(HANGS);
        drop(
            self.desk
                .changed
                .wait_timeout_while(papers, patience, waits),
        );
        self.look(Duration::ZERO);
    }
}

impl Desk {
    fn keep(&self, head: Option<&HeadFile>, mut claims: Vec<Claim>, who: &[u8]) {
        let mut looked = Instant::now();
        loop {
            let papers = self.papers();
            let rests = |papers: &mut Papers| papers.newest.is_none() && !papers.ends;
            let left = LOOK.saturating_sub(looked.elapsed());
            let woken = self.changed.wait_timeout_while(papers, left, rests);
            let (mut papers, _) = woken.unwrap_or_else(PoisonError::into_inner);
            let (newest, ends) = (papers.newest.take(), papers.ends);
            drop(papers);
            match (newest, head) {
                (Some((seq, hash)), Some(head)) => {
                    self.has_tried(head, head.write(seq, &hash, who));
                }
                _ if ends => break,
                _ => {}
            }
            if looked.elapsed() >= LOOK {
                claims.iter_mut().for_each(Claim::renew);
                looked = Instant::now();
            }
        }
        drop(claims);
        self.papers().has_ended = true;
        self.changed.notify_all();
    }

    /// A head that cannot be written is an old one, not a false one, so that the log goes on.
    fn has_tried(&self, head: &HeadFile, written: io::Result<()>) {
        let mut papers = self.papers();
        papers.since = papers.newest.as_ref().map(|_| Instant::now());
        let was_failing = mem::replace(&mut papers.is_failing, written.is_err());
        drop(papers);
        self.changed.notify_all();
        match written {
            Err(error) if !was_failing => failed(&head.place(), &error),
            Ok(()) if was_failing => tracing::info!("audit.heads: the head is written again"),
            Ok(()) | Err(_) => {}
        }
    }
}

fn failed(place: &str, error: &io::Error) {
    tracing::error!(%error, "audit.heads: cannot write {place}, which says where the log ends");
}

/// Between two looks at the claims.
const LOOK: Duration = Duration::from_secs(1);
/// After so long what is neither done nor refused counts as what cannot be done.
const HANGS: Duration = Duration::from_secs(2);

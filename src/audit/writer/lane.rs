//! The way of the lines to one sink. Each has its own pace: a sink that takes nothing keeps no line
//! from another. What waits for all of them is the room of a line, and whoever waits for it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    Written,
    state::{Health, State},
};
use crate::audit::{chain::Chain, sign::SigningKey, sink::Sink};

/// Lines that are written together, and who waits for them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: usize,
    pub(super) lines: usize,
    pub(super) waiting: Waiting,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) room: Vec<OwnedSemaphorePermit>,
    pub(super) acknowledge: Vec<oneshot::Sender<Written>>,
}

/// A batch that is on its way.
pub(super) struct Given {
    lines: usize,
    /// The place of its last line, and where the chain of the first sink stands behind it.
    end: (u64, Chain),
    /// Sinks that have not taken it.
    left: AtomicUsize,
    waiting: Mutex<Waiting>,
}

impl Batch {
    /// Gives it to so many sinks; the next one is begun.
    pub(super) fn give(&mut self, sinks: usize, end: (u64, Chain)) -> Arc<Given> {
        let Self { lines, waiting, .. } = std::mem::take(self);
        Arc::new(Given {
            lines,
            end,
            left: AtomicUsize::new(sinks),
            waiting: Mutex::new(waiting),
        })
    }
}

impl Given {
    /// One more sink has taken it; after the last one its room is free again. Each sink takes one
    /// batch after the other, so that none is through before those in front of it.
    fn taken(&self, state: &State) {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let (seq, chain) = &self.end;
        state.is_through(*seq, chain.hash());
        metrics::counter!("zoho_mcp_audit_lines_total").increment(self.lines as u64);
        let mut waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        if let Some(first) = waiting.acknowledge.pop() {
            // If that one has left, this is dropped here, and tells the others from here.
            let _ = first.send(Written(waiting.acknowledge));
        }
        drop(waiting.room);
        state.remind();
    }
}

/// A sink, its chain, and the lines that were closed by it and not yet given to it.
pub(super) struct Lane {
    chain: Chain,
    bytes: Vec<u8>,
    way: Way,
}

enum Way {
    /// The only sink: whoever makes the lines writes them, at the price of no other thread.
    Here(Outlet),
    /// One of several, any of which may keep its thread for ever.
    Own(Sender<Part>, thread::JoinHandle<bool>),
}

/// The lines of a batch, as one sink has them.
struct Part {
    bytes: Vec<u8>,
    of: Arc<Given>,
}

impl Lane {
    /// To the sink whose health that is; `most`: lines of a batch.
    pub(super) fn to(
        sink: Box<dyn Sink>,
        health: Arc<Health>,
        state: Arc<State>,
        most: usize,
    ) -> Self {
        let alone = state.sinks.len() == 1;
        let outlet = Outlet {
            sink,
            health,
            state,
        };
        let way = if alone {
            Way::Here(outlet)
        } else {
            let (parts, given) = channel();
            Way::Own(parts, thread::spawn(move || outlet.run(&given, most)))
        };
        Self {
            chain: Chain::new(),
            bytes: Vec::new(),
            way,
        }
    }

    /// Where its chain stands.
    pub(super) fn chain(&self) -> Chain {
        self.chain.clone()
    }

    /// Adds a line, closed by the chain of this sink; answers its length.
    pub(super) fn add(&mut self, open: &[u8], key: Option<&SigningKey>) -> usize {
        self.chain.close(&mut self.bytes, open, key)
    }

    /// Gives the batch to the sink; false when that has given up.
    pub(super) fn give(&mut self, batch: &Arc<Given>) -> bool {
        match &mut self.way {
            Way::Here(outlet) => {
                let written = outlet.put(&self.bytes);
                if written {
                    self.bytes.clear();
                    batch.taken(&outlet.state);
                }
                written
            }
            Way::Own(parts, _) => {
                let part = Part {
                    bytes: std::mem::take(&mut self.bytes),
                    of: batch.clone(),
                };
                parts.send(part).is_ok()
            }
        }
    }

    /// Nothing more comes. What that gives is to be waited for: it is true once the sink has all of
    /// it, and false where it has given up.
    pub(super) fn close(self) -> impl FnOnce() -> bool {
        let waits = match self.way {
            Way::Here(outlet) => {
                let whole = self.bytes.is_empty();
                if whole {
                    outlet.health.is_whole();
                }
                Err(whole)
            }
            Way::Own(_, thread) => Ok(thread),
        };
        move || waits.map_or_else(|whole| whole, |thread| thread.join().unwrap_or(false))
    }
}

/// What writes to one sink.
struct Outlet {
    sink: Box<dyn Sink>,
    health: Arc<Health>,
    state: Arc<State>,
}

impl Outlet {
    /// Writes what it is given, as much as has come meanwhile at once, until nothing more comes.
    fn run(mut self, parts: &Receiver<Part>, most: usize) -> bool {
        let mut next = parts.recv().ok();
        while let Some(Part { mut bytes, of }) = next {
            let mut lines = of.lines;
            let mut batches = vec![of];
            next = loop {
                match parts.try_recv() {
                    Ok(part) if lines + part.of.lines <= most && bytes.len() < super::BATCH => {
                        lines += part.of.lines;
                        bytes.extend_from_slice(&part.bytes);
                        batches.push(part.of);
                    }
                    Ok(part) => break Some(part),
                    Err(_) => break None,
                }
            };
            if !self.put(&bytes) {
                return false;
            }
            for batch in batches {
                batch.taken(&self.state);
            }
            if next.is_none() {
                next = parts.recv().ok();
            }
        }
        self.health.is_whole();
        true
    }

    /// Writes all of it, trying again for as long as there is a use in it: what comes meanwhile
    /// waits, and whoever waits for it is told.
    fn put(&mut self, mut lines: &[u8]) -> bool {
        self.health.begins();
        let mut tries = 0;
        while !lines.is_empty() {
            match self.sink.take(lines) {
                Ok(taken) => {
                    lines = lines.get(taken..).unwrap_or_default();
                    tries = 0;
                    self.health.goes_on(self.sink.healed());
                }
                Err(error) => {
                    self.health.fails(&error);
                    tries += 1;
                    if self.state.is_hopeless(tries) {
                        return false;
                    }
                    thread::park_timeout(RETRY);
                }
            }
        }
        self.health.goes_through();
        true
    }
}

const RETRY: Duration = Duration::from_millis(100);

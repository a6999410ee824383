//! Connections that have proven nothing yet. They get little time, and when every place is taken,
//! the one of them that has asked for nothing for longest makes room.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

/// All of them, in the order in which they last asked for something.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    last: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl Line {
    fn join(&mut self, leave: Arc<Notify>) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, leave);
        self.last
    }
}

/// What one connection has proven.
#[derive(Debug, Default)]
pub(super) struct Standing {
    is_proven: AtomicBool,
    leave: Arc<Notify>,
    /// Where it stands in the line, if it does.
    number: AtomicU64,
    line: Strangers,
}

impl Strangers {
    /// A connection that begins.
    pub(super) fn arrive(&self) -> Arc<Standing> {
        let leave = Arc::<Notify>::default();
        let number = self.lock().join(leave.clone());
        Arc::new(Standing {
            is_proven: AtomicBool::new(false),
            leave,
            number: AtomicU64::new(number),
            line: self.clone(),
        })
    }

    /// Sends away the one that has asked for nothing for longest; false when there is none.
    pub(super) fn send_one_away(&self) -> bool {
        let first = self.lock().waiting.pop_first();
        first.inspect(|(_, leave)| leave.notify_one()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// That of a connection that needs to prove nothing to stay.
    pub(super) fn proven() -> Arc<Self> {
        let standing = Self::default();
        standing.prove();
        Arc::new(standing)
    }

    /// Whether a request over it had a good credential.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// A request over it had one.
    pub(super) fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.line.lock().waiting.remove(&self.number());
        }
    }

    /// It asks for something: to the end of the line. Who was sent away does not come back.
    pub(super) fn asks(&self) {
        if self.is_proven() {
            return;
        }
        let mut line = self.line.lock();
        if let Some(leave) = line.waiting.remove(&self.number()) {
            self.number.store(line.join(leave), Ordering::Relaxed);
        }
    }

    /// Returns when it has to make room.
    pub(super) async fn sent_away(&self) {
        self.leave.notified().await;
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.line.lock().waiting.remove(&self.number());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn has_to_go(standing: &Standing) -> bool {
        let soon = timeout(Duration::from_millis(1), standing.sent_away());
        soon.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_for_nothing_for_longest_goes_first() {
        let strangers = Strangers::default();
        let [first, second, third] = std::array::from_fn(|_| strangers.arrive());
        first.asks();
        assert!(strangers.send_one_away());
        assert!(has_to_go(&second).await && !has_to_go(&first).await);
        assert!(strangers.send_one_away());
        assert!(has_to_go(&third).await && !has_to_go(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_proven_something_stays() {
        let strangers = Strangers::default();
        let (known, gone) = (strangers.arrive(), strangers.arrive());
        known.prove();
        known.asks();
        drop(gone);
        assert!(!strangers.send_one_away());
        assert!(!has_to_go(&known).await);
    }
}

//! What connections have proven, and in which order they make room. Strangers, who have proven nothing
//! or nothing lately, get little time; when every place is taken, the one of them that has asked for
//! nothing for longest goes first, and only then whoever else has been at rest for longest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// All that can make room: every stranger, and everybody else without a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    by_number: BTreeMap<Number, Arc<Notify>>,
}

/// Strangers stand before others, and each kind in the order in which they asked for something.
type Number = (bool, u64);

/// What one connection has proven.
#[derive(Debug, Default)]
pub(super) struct Standing {
    proofs: Mutex<Proofs>,
    leave: Arc<Notify>,
    /// None where nothing has to be proven to stay.
    line: Option<Line>,
}

#[derive(Debug, Default)]
struct Proofs {
    /// When a request with a good credential last began or ended, unless a bad one came since.
    last: Option<Instant>,
    /// Requests with a good credential that are being answered: nobody has to go in the middle of one.
    in_flight: usize,
    number: Number,
}

/// A request with a good credential, until its answer is handed over.
#[derive(Debug)]
pub(crate) struct Proven(Arc<Standing>);

impl Line {
    /// A connection that begins.
    pub(super) fn arrive(&self) -> Arc<Standing> {
        let leave = Arc::<Notify>::default();
        let number = self.lock().join(false, leave.clone());
        let proofs = Proofs {
            number,
            ..Proofs::default()
        };
        Arc::new(Standing {
            proofs: Mutex::new(proofs),
            leave,
            line: Some(self.clone()),
        })
    }

    /// Sends away whoever stands first; false when nobody does.
    pub(super) fn send_one_away(&self) -> bool {
        let first = self.lock().by_number.pop_first();
        first.inspect(|(_, leave)| leave.notify_one()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn join(&mut self, is_known: bool, leave: Arc<Notify>) -> Number {
        self.last += 1;
        let number = (is_known, self.last);
        self.by_number.insert(number, leave);
        number
    }
}

impl Standing {
    /// That of a connection that needs to prove nothing to stay.
    pub(super) fn proven() -> Arc<Self> {
        Arc::default()
    }

    /// For how long it has not proven anything; `None` for a stranger.
    pub(super) fn proven_for(&self) -> Option<Duration> {
        match self.line {
            None => Some(Duration::ZERO),
            Some(_) => self.lock().last.map(|last| last.elapsed()),
        }
    }

    /// A request over it had a good credential.
    pub(super) fn prove(self: &Arc<Self>) -> Proven {
        if let Some(line) = &self.line {
            let mut proofs = self.lock();
            proofs.last = Some(Instant::now());
            proofs.in_flight += 1;
            line.lock().by_number.remove(&proofs.number);
        }
        Proven(self.clone())
    }

    /// A request over it had a bad one, and whatever was proven before counts no longer.
    pub(super) fn disprove(&self) {
        let mut proofs = self.lock();
        if proofs.last.take().is_some() {
            self.to_the_end(&mut proofs);
        }
    }

    /// It asks for something, which proves nothing yet. What was proven counts for no longer than
    /// `lasts` by itself.
    pub(super) fn asks(&self, lasts: Duration) {
        let mut proofs = self.lock();
        if proofs.in_flight == 0 && proofs.last.is_none_or(|last| last.elapsed() >= lasts) {
            proofs.last = None;
            self.to_the_end(&mut proofs);
        }
    }

    /// Returns when it has to make room.
    pub(super) async fn sent_away(&self) {
        loop {
            self.leave.notified().await;
            // Whoever has proven something meanwhile stays.
            if self.lock().in_flight == 0 {
                return;
            }
        }
    }

    /// Who was sent away does not come back.
    fn to_the_end(&self, proofs: &mut Proofs) {
        let Some(line) = &self.line else {
            return;
        };
        let mut line = line.lock();
        if let Some(leave) = line.by_number.remove(&proofs.number) {
            proofs.number = line.join(proofs.last.is_some(), leave);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            let number = self.lock().number;
            line.lock().by_number.remove(&number);
        }
    }
}

impl Clone for Proven {
    fn clone(&self) -> Self {
        self.0.lock().in_flight += 1;
        Self(self.0.clone())
    }
}

impl Drop for Proven {
    fn drop(&mut self) {
        let Some(line) = &self.0.line else {
            return;
        };
        let mut proofs = self.0.lock();
        if let Some(last) = &mut proofs.last {
            *last = Instant::now();
        }
        proofs.in_flight -= 1;
        if proofs.in_flight == 0 {
            let is_known = proofs.last.is_some();
            proofs.number = line.lock().join(is_known, self.0.leave.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const LASTS: Duration = Duration::from_secs(75);

    async fn has_to_go(standing: &Standing) -> bool {
        let soon = timeout(Duration::from_millis(1), standing.sent_away());
        soon.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_for_nothing_for_longest_goes_first() {
        let line = Line::default();
        let [first, second, third] = std::array::from_fn(|_| line.arrive());
        first.asks(LASTS);
        assert!(line.send_one_away());
        assert!(has_to_go(&second).await && !has_to_go(&first).await);
        assert!(line.send_one_away());
        assert!(has_to_go(&third).await && !has_to_go(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_proven_something_goes_after_every_stranger_and_never_within_a_request() {
        let line = Line::default();
        let [busy, one, other, stranger, gone] = std::array::from_fn(|_| line.arrive());
        let request = busy.prove();
        drop((one.prove(), other.prove(), one.prove(), gone));
        // That asks for nothing that would prove it.
        other.asks(LASTS);
        for next in [&stranger, &other, &one] {
            assert!(line.send_one_away());
            assert!(has_to_go(next).await);
        }
        assert!(!line.send_one_away() && !has_to_go(&busy).await);
        drop((request.clone(), request));
        assert!(line.send_one_away() && has_to_go(&busy).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_credential_and_time_make_a_stranger_of_whoever_has_proven_something() {
        let line = Line::default();
        let [known, refused, late] = std::array::from_fn(|_| line.arrive());
        drop((late.prove(), refused.prove()));
        refused.disprove();
        assert_eq!(refused.proven_for(), None);
        advance(LASTS).await;
        drop(known.prove());
        late.asks(LASTS);
        assert_eq!(late.proven_for(), None);
        for next in [&refused, &late, &known] {
            assert!(line.send_one_away());
            assert!(has_to_go(next).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_proves_something_after_all_stays_until_it_is_its_turn_again() {
        let line = Line::default();
        let known = line.arrive();
        assert!(line.send_one_away());
        let request = known.prove();
        assert!(!has_to_go(&known).await);
        known.disprove();
        drop(request);
        assert!(line.send_one_away() && has_to_go(&known).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_needs_to_prove_nothing_stays() {
        let trusted = Standing::proven();
        drop(trusted.prove());
        trusted.disprove();
        advance(LASTS).await;
        trusted.asks(LASTS);
        assert_eq!(trusted.proven_for(), Some(Duration::ZERO));
        assert!(!has_to_go(&trusted).await);
    }
}

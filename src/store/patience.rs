//! How long to wait for an answer: a time that is short, unless the delay is not Redis's.

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

/// When Redis last answered anybody.
pub(super) struct Patience {
    timeout: Duration,
    started: Instant,
    /// In microseconds since the start.
    answered: AtomicU64,
    /// The same of the last answer that came within the timeout.
    in_time: AtomicU64,
}

impl Patience {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            started: Instant::now(),
            answered: AtomicU64::new(0),
            in_time: AtomicU64::new(0),
        }
    }

    /// The deadline of a question that is asked now.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Whether nobody would have waited for that.
    pub(super) fn is_too_long(&self, took: Duration) -> bool {
        took > self.timeout
    }

    /// The answer, if it comes in time. A busy process is late to hear of an answer that is there,
    /// and to take that for an outage would admit too much: while Redis answers others, or the
    /// clock itself is late, the wait goes on for a few times as long. A Redis that has been in time
    /// for nobody lately is not busy for a moment but too slow, and is not waited for.
    pub(super) async fn wait<T>(
        &self,
        mut deadline: Instant,
        question: impl Future<Output = T>,
    ) -> Option<T> {
        let asked = Instant::now();
        let mut question = pin!(question);
        for _ in 0..EXTENSIONS {
            if let Ok(answer) = timeout_at(deadline, &mut question).await {
                self.answered(asked);
                return Some(answer);
            }
            let is_late = deadline.elapsed() > self.timeout / 5;
            if !is_late && !self.is_busy(asked) {
                return None;
            }
            deadline = self.deadline();
        }
        None
    }

    fn answered(&self, asked: Instant) {
        let now = self.micros(Instant::now());
        self.answered.store(now, Ordering::Relaxed);
        if !self.is_too_long(asked.elapsed()) {
            self.in_time.store(now, Ordering::Relaxed);
        }
    }

    /// Whether it has answered somebody since, and still does so in time now and then.
    fn is_busy(&self, asked: Instant) -> bool {
        let in_time = Duration::from_micros(self.in_time.load(Ordering::Relaxed));
        self.answered.load(Ordering::Relaxed) > self.micros(asked)
            && self.started.elapsed().saturating_sub(in_time) <= LATELY
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

const EXTENSIONS: u32 = 8;
/// As long as a burst of calls may last.
const LATELY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const MS: Duration = Duration::from_millis(1);

    async fn ask(patience: &Patience, takes: u32) -> (bool, Duration) {
        let asked = Instant::now();
        let answer = patience.wait(patience.deadline(), sleep(takes * MS)).await;
        (answer.is_some(), asked.elapsed() / 1_000_000 * 1_000_000)
    }

    #[tokio::test(start_paused = true)]
    async fn a_redis_that_answers_nobody_is_given_up_at_once() {
        let patience = Patience::new(50 * MS);
        assert!(ask(&patience, 10).await.0);
        let (answered, waited) = ask(&patience, 60).await;
        assert!(!answered && waited < 53 * MS, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_answers_others_an_answer_may_be_late_but_not_for_ever() {
        let patience = Patience::new(50 * MS);
        let others = async {
            for _ in 0..100 {
                ask(&patience, 20).await;
            }
        };
        let (late, never) = tokio::select! {
            () = others => unreachable!("they go on for two seconds"),
            waited = async { (ask(&patience, 190).await, ask(&patience, 10_000).await) } => waited,
        };
        assert!(late.0, "{late:?}");
        assert!(!never.0 && never.1 < 410 * MS, "{never:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_late_for_everybody_is_given_up_after_a_while() {
        let patience = Patience::new(50 * MS);
        ask(&patience, 10).await;
        let begun = Instant::now();
        let others = async {
            loop {
                let asked = Instant::now();
                sleep(10 * MS).await;
                patience.answered(asked - 80 * MS);
            }
        };
        let given_up = async {
            while ask(&patience, 90).await.0 {}
            begun.elapsed()
        };
        let after = tokio::select! {
            () = others => unreachable!("they never end"),
            after = given_up => after,
        };
        assert!((1_900 * MS..2_300 * MS).contains(&after), "{after:?}");
        assert!(!ask(&patience, 60).await.0);
    }
}

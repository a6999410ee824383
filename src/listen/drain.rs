//! How the daemon ends without losing a call: readiness first, then no new connections, then the
//! requests in flight, then the streams, then whatever is left.

use std::time::Duration;

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// The end, shared by everyone who has to take part in it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    begun: CancellationToken,
    cut: CancellationToken,
    streams: CancellationToken,
    calls: TaskTracker,
    connections: TaskTracker,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every call was answered and every connection closed.
    Clean,
    /// The deadline cut some off.
    CutOff,
}

/// Marks a response that ends with the daemon only: the drain ends it instead of waiting for it.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

impl Drain {
    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Cancelled when no new work is taken.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Cancelled when calls have had all the time there is.
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Cancelled when long streams have to end.
    pub fn streams(&self) -> &CancellationToken {
        &self.streams
    }

    /// Held while a call is answered, until the last byte of the answer is handed over.
    pub fn call(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Does what has to be done before the process leaves, whoever else has left already.
    pub fn see_off(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(work);
    }

    /// Where connections are counted.
    pub(super) fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// Begins the end: [`Drain::has_begun`] from here on.
    pub fn begin(&self) {
        self.begun.cancel();
        self.calls.close();
        self.connections.close();
    }

    /// Waits for the calls in flight, until `deadline` or until `hurried` is ready; tells those
    /// that are left to stop; then ends the streams and waits for the connections.
    pub async fn finish(&self, deadline: Duration, hurried: impl Future<Output = ()>) -> Outcome {
        let in_time = tokio::select! {
            waited = tokio::time::timeout(deadline, self.calls.wait()) => waited.is_ok(),
            () = hurried => false,
        };
        self.cut.cancel();
        let told = tokio::time::timeout(LAST_WORDS, self.calls.wait()).await;
        self.streams.cancel();
        let gone = tokio::time::timeout(LAST_WORDS, self.connections.wait()).await;
        if in_time && told.is_ok() && gone.is_ok() {
            Outcome::Clean
        } else {
            Outcome::CutOff
        }
    }
}

/// For calls that were cut off to say so, and for streams to say goodbye.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(25);

    #[tokio::test(start_paused = true)]
    async fn it_ends_clean_once_the_last_call_is_answered() {
        let drain = Drain::default();
        let call = drain.call();
        let streams = drain.streams().clone();
        drain.see_off(async move { streams.cancelled().await });
        drain.begin();
        tokio::spawn(async move {
            tokio::time::sleep(LONG / 2).await;
            drop(call);
        });
        assert_eq!(drain.finish(LONG, pending()).await, Outcome::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_told_to_stop_and_waited_for() {
        for hurried in [false, true] {
            let drain = Drain::default();
            let (call, cut) = (drain.call(), drain.cut().clone());
            let stopped = tokio::spawn(async move {
                cut.cancelled().await;
                drop(call);
            });
            drain.begin();
            let outcome = if hurried {
                drain.finish(LONG, ready(())).await
            } else {
                drain.finish(LONG, pending()).await
            };
            assert_eq!(outcome, Outcome::CutOff);
            assert!(stopped.is_finished(), "hurried: {hurried}");
        }
    }
}

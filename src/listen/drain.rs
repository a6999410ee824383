//! How the daemon ends without losing a call: readiness first, then no new connections, then a
//! moment for requests that are already on their way, then the requests in flight, then the
//! streams, then whatever is left.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// The end, shared by everyone who has to take part in it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    begun: CancellationToken,
    accepting: CancellationToken,
    requests: CancellationToken,
    streams: CancellationToken,
    cut: CancellationToken,
    over: CancellationToken,
    calls: TaskTracker,
    connections: TaskTracker,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every call was answered, and who had asked for nothing was sent away.
    Clean,
    /// The deadline cut some calls off.
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

    /// Cancelled when this instance says that it is not ready any more. It still takes calls.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Cancelled when calls have had all the time there is.
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Cancelled when those that were told to stop have had their last word.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Cancelled when long streams have to end.
    pub fn streams(&self) -> &CancellationToken {
        &self.streams
    }

    /// Cancelled when no connection is accepted any more.
    pub(super) fn accepting(&self) -> &CancellationToken {
        &self.accepting
    }

    /// Cancelled when connections take no further request.
    pub(super) fn requests(&self) -> &CancellationToken {
        &self.requests
    }

    /// Returns a moment after connections take no further request: who has not even come as far as
    /// to a first one, within a handshake say, is waited for no longer.
    pub(super) async fn last_arrivals(&self) {
        self.requests.cancelled().await;
        sleep(LAST_ARRIVALS).await;
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

    /// Goes on accepting for `delay`, which load balancers need to notice; then takes what has
    /// already come, waits for the calls in flight until `deadline`, ends the streams, and waits
    /// for the connections. What is left then, or once `hurried` is ready, is told to stop.
    pub async fn finish(
        &self,
        delay: Duration,
        deadline: Duration,
        hurried: impl Future<Output = ()>,
    ) -> Outcome {
        let ended = tokio::select! {
            ended = self.wind_down(delay, deadline) => ended,
            () = hurried => false,
        };
        if ended {
            return Outcome::Clean;
        }
        let cuts_off = !self.calls.is_empty();
        self.accepting.cancel();
        self.requests.cancel();
        self.cut.cancel();
        let _ = timeout(LAST_WORDS, self.calls.wait()).await;
        self.streams.cancel();
        self.over.cancel();
        let _ = timeout(LAST_WORDS, self.connections.wait()).await;
        match cuts_off {
            true => Outcome::CutOff,
            false => Outcome::Clean,
        }
    }

    /// Whether everything ended by itself.
    async fn wind_down(&self, delay: Duration, deadline: Duration) -> bool {
        sleep(delay).await;
        self.accepting.cancel();
        // A client that has just been answered may have sent its next request before it could
        // know: closing under it would lose that one.
        let _ = timeout(LAST_REQUESTS, self.connections.wait()).await;
        self.requests.cancel();
        let until = Instant::now() + deadline;
        if timeout_at(until, self.calls.wait()).await.is_err() {
            return false;
        }
        self.streams.cancel();
        if timeout(LAST_WORDS, self.connections.wait()).await.is_ok() {
            return true;
        }
        // A call that came in at the last moment, over HTTP/2 say, has what is left of the time.
        timeout_at(until, self.calls.wait()).await.is_ok()
            && timeout(LAST_WORDS, self.connections.wait()).await.is_ok()
    }
}

/// For requests that were sent before the connection could be closed.
const LAST_REQUESTS: Duration = Duration::from_millis(300);
/// For handshakes that have begun.
const LAST_ARRIVALS: Duration = Duration::from_secs(1);
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
        assert_eq!(
            drain.finish(Duration::ZERO, LONG, pending()).await,
            Outcome::Clean
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_for_nothing_is_no_call_that_is_cut_off() {
        for hurried in [false, true] {
            let drain = Drain::default();
            drain.see_off(pending());
            drain.begin();
            let hurry = async { tokio::time::sleep(if hurried { LONG / 100 } else { LONG }).await };
            let outcome = drain.finish(Duration::ZERO, LONG, hurry).await;
            assert_eq!(outcome, Outcome::Clean, "hurried: {hurried}");
        }
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
                drain.finish(Duration::ZERO, LONG, ready(())).await
            } else {
                drain.finish(Duration::ZERO, LONG, pending()).await
            };
            assert_eq!(outcome, Outcome::CutOff);
            assert!(stopped.is_finished(), "hurried: {hurried}");
        }
    }
}

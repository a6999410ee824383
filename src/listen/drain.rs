//! How the daemon ends without losing a call: readiness first, then no new connections, then a
//! moment for requests that are already on their way, then the calls in flight, then the streams,
//! then whatever is left.

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

impl Drain {
    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Cancelled when this instance says that it is not ready any more. It still takes calls.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Cancelled when long streams have to end.
    pub fn streams(&self) -> &CancellationToken {
        &self.streams
    }

    /// Cancelled when whatever is still going on is given up.
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Held while a request or a call is answered.
    pub fn call(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Cancelled when no connection is accepted any more.
    pub(super) fn accepting(&self) -> &CancellationToken {
        &self.accepting
    }

    /// Cancelled when connections take no further request.
    pub(super) fn requests(&self) -> &CancellationToken {
        &self.requests
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
    /// for the connections.
    pub async fn finish(&self, delay: Duration, deadline: Duration) -> Outcome {
        sleep(delay).await;
        self.accepting.cancel();
        // A client that has just been answered may have sent its next request before it could
        // know: closing under it would lose that one.
        let _ = timeout(LAST_REQUESTS, self.connections.wait()).await;
        self.requests.cancel();
        let until = Instant::now() + deadline;
        let _ = timeout_at(until, self.calls.wait()).await;
        self.streams.cancel();
        if timeout(LAST_WORDS, self.connections.wait()).await.is_ok() {
            return Outcome::Clean;
        }
        // A call that came in at the last moment, over HTTP/2 say, has what is left of the time.
        let _ = timeout_at(until, self.calls.wait()).await;
        self.cut.cancel();
        match timeout(LAST_WORDS, self.connections.wait()).await {
            Ok(()) if Instant::now() < until => Outcome::Clean,
            _ => Outcome::CutOff,
        }
    }
}

/// For requests that were sent before the connection could be closed.
const LAST_REQUESTS: Duration = Duration::from_millis(300);
/// For streams to say goodbye once they have been told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

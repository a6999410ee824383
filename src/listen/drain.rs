//! How the daemon ends without losing a call: readiness first, then no new connections, then the
//! calls in flight, then the streams, then whatever is left.

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

impl Drain {
    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Cancelled when no new work is taken.
    pub fn begun(&self) -> &CancellationToken {
        &self.begun
    }

    /// Cancelled when the calls that are left have to end.
    pub fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Cancelled when long streams have to end.
    pub fn streams(&self) -> &CancellationToken {
        &self.streams
    }

    /// Held while a call is answered.
    pub fn call(&self) -> TaskTrackerToken {
        self.calls.token()
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

    /// Waits for the calls in flight and cuts off what is left of them, ends the streams, waits for
    /// the connections.
    pub async fn finish(&self, deadline: Duration) -> Outcome {
        let calls = tokio::time::timeout(deadline, self.calls.wait()).await;
        if calls.is_err() {
            self.cut.cancel();
            // What is cut off is still recorded and answered.
            let _ = tokio::time::timeout(LAST_WORDS, self.calls.wait()).await;
        }
        // A call has ended a moment before its answer is on the wire, and ending the streams would
        // take the answer with it. Connections without a stream close once they have answered.
        let _ = tokio::time::timeout(ON_THE_WIRE, self.connections.wait()).await;
        self.streams.cancel();
        let connections = tokio::time::timeout(LAST_WORDS, self.connections.wait()).await;
        if calls.is_ok() && connections.is_ok() {
            Outcome::Clean
        } else {
            Outcome::CutOff
        }
    }
}

/// From the end of a call to the end of its answer.
const ON_THE_WIRE: Duration = Duration::from_millis(300);
/// For streams to say goodbye once they have been told to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

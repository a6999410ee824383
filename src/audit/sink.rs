//! The writer: a bounded queue, a thread that writes, back-pressure instead of loss.

use super::Event;

/// `[audit]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub sinks: Vec<SinkName>,
    pub on_failure: OnFailure,
    pub pseudonym_key: Option<crate::setting::SecretRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkName {
    Stdout,
}

/// What to do with calls while the sink cannot take a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    RefuseAll,
    RefuseWrites,
    Continue,
}

/// The handle that every room records through. Cheap to clone.
#[derive(Clone)]
pub struct Audit {}

/// The sink cannot take a line now.
#[derive(Debug, thiserror::Error)]
#[error("the audit log cannot take a line")]
pub struct SinkUnavailable;

impl Audit {
    /// Starts the writer on standard output (`out` in tests).
    pub fn start(_config: &Config, _out: Box<dyn std::io::Write + Send>) -> Self {
        todo!()
    }

    /// Queues an event; waits for room when the queue is full.
    pub async fn record(&self, _event: Event) {
        todo!()
    }

    /// Queues an event and returns once the sink has taken its line (written and flushed).
    pub async fn accept(&self, _event: Event) -> Result<(), SinkUnavailable> {
        todo!()
    }

    /// Whether the last line was taken.
    pub fn is_writable(&self) -> bool {
        todo!()
    }

    /// What calls may go on while it is not.
    pub fn on_failure(&self) -> OnFailure {
        todo!()
    }

    /// Writes what is queued and ends the writer.
    pub async fn close(&self) {
        todo!()
    }
}

//! The end of a log: what waits is written, or said to be missing.

use std::sync::PoisonError;

use tokio::time::{Instant, timeout_at};

use super::{Audit, PATIENCE};
use crate::audit::writer::Job;

/// A sink did not take the last lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "up to {lines} lines, and the closing line, are not in the audit log: {missing} did not take them{whole}"
)]
pub struct Unwritten {
    lines: usize,
    missing: String,
    whole: String,
}

impl Audit {
    /// Writes what is queued and the closing line, and ends the writer. What comes later is lost. A
    /// slow sink has until `until` for it, and at least five seconds.
    ///
    /// # Errors
    /// When the sinks have not taken all of it until then, or nothing for five seconds.
    pub async fn close(&self, until: Instant) -> Result<(), Unwritten> {
        let written = self.written(until).await;
        let state = self.0.state.clone();
        let _ = tokio::task::spawn_blocking(move || state.keep()).await;
        written
    }

    async fn written(&self, until: Instant) -> Result<(), Unwritten> {
        let _ = self.0.jobs.send(Job::Close);
        let writer = self
            .0
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(writer) = writer else { return Ok(()) };
        let mut joined = tokio::task::spawn_blocking(move || writer.join());
        let mut next = Instant::now() + PATIENCE;
        loop {
            // A writer that gives up lets go of what it had.
            let lines = self.waiting();
            let before = self.0.state.progress();
            match timeout_at(next, &mut joined).await {
                Ok(Ok(Ok(true))) => return Ok(()),
                Ok(_) => return Err(self.unwritten(lines)),
                Err(_) if next >= until || self.0.state.progress() == before => {
                    return Err(self.unwritten(lines));
                }
                Err(_) => next = until.min(next + PATIENCE),
            }
        }
    }

    fn unwritten(&self, lines: usize) -> Unwritten {
        let whole = self.0.state.names(true);
        Unwritten {
            lines,
            missing: self.0.state.names(false),
            whole: match whole.is_empty() {
                true => whole,
                false => format!("; {whole} has all of it"),
            },
        }
    }
}

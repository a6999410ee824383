//! When something that could not be used is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::secrets::refresh::Pace;

/// When a document that was refused is tried again: what it refers to may be there by then.
#[derive(Default)]
pub(super) struct Retry {
    /// In a row.
    failures: u32,
    next: Option<Instant>,
}

impl Retry {
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let pause = Pace::at_least_every(SLOWEST).pause(self.failures);
        self.next = Some(Instant::now() + pause);
    }

    pub(super) fn is_due(&self) -> bool {
        self.next.is_some_and(|next| next <= Instant::now())
    }
}

const SLOWEST: Duration = Duration::from_secs(30);

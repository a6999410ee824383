//! What the traffic tells of Zoho's health.

use std::{sync::Mutex, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    client::{State, Status},
    lock,
};

/// The last that was seen of one organisation.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    down: bool,
    latency: Duration,
    answered: Option<Instant>,
    ahead: Option<SignedDuration>,
}

impl Pulse {
    /// Zoho answered.
    pub(super) fn answered(&self, latency: Duration, now: Instant) {
        let mut seen = lock(&self.0);
        seen.down = false;
        seen.latency = latency;
        seen.answered = Some(now);
    }

    /// Zoho's clock showed `theirs` when ours showed `ours`.
    pub(super) fn clock(&self, theirs: Timestamp, ours: Timestamp) {
        lock(&self.0).ahead = Some(theirs.duration_since(ours));
    }

    /// How far Zoho's clock is ahead of ours, to the second.
    pub(super) fn ahead(&self) -> Option<SignedDuration> {
        lock(&self.0).ahead
    }

    /// Zoho did not answer, or with a server error.
    pub(super) fn silent(&self, latency: Duration) {
        let mut seen = lock(&self.0);
        seen.down = true;
        seen.latency = latency;
    }

    /// There was no token for a request; they are missing since then, if for longer than a moment. An
    /// API that answered meanwhile is there all the same.
    pub(super) fn tokenless(&self, latency: Duration, missing: Option<Instant>) {
        let answered = lock(&self.0).answered;
        if missing.is_none() || answered < missing {
            self.silent(latency);
        }
    }

    /// Whether Zoho answered last, and not longer ago than `fresh`.
    pub(super) fn answered_within(&self, fresh: Duration, now: Instant) -> bool {
        let seen = lock(&self.0);
        let recent = |at: Instant| now.saturating_duration_since(at) <= fresh;
        !seen.down && seen.answered.is_some_and(recent)
    }

    /// Sums it up with what is known besides: but for what Zoho refuses, silence tells more.
    pub(super) fn status(&self, known: Option<State>) -> Status {
        let seen = lock(&self.0);
        Status {
            state: match known {
                Some(known @ (State::CredentialsRefused | State::TokenRefused)) => known,
                _ if seen.down => State::Down,
                known => known.unwrap_or(State::Ok),
            },
            latency: seen.latency,
            back: None,
        }
    }
}

//! What only turns up during a call: that Zoho has no credits or no places for it.

use std::sync::{Arc, OnceLock};

use super::Verdict;
use crate::{
    call::Call,
    refusal::{OverLimit, Refusal},
};

/// Where the handler notes what only turned up during the call, for the guard to answer with. There
/// is none where the answer is a tool result.
#[derive(Clone, Debug, Default)]
pub struct Slip(Arc<OnceLock<Shortage>>);

/// A call that Zoho has no room for.
#[derive(Clone, Debug)]
pub struct Shortage {
    /// Of what.
    pub of: Scarce,
    /// What the caller is told.
    pub message: String,
    /// After how many seconds the same call can succeed.
    pub retry_after_seconds: u64,
}

/// What Zoho gives only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scarce {
    /// Credits of a day.
    Credits,
    /// Places among the requests in flight, for which too many wait already.
    Places,
}

impl Scarce {
    /// The name of the limit.
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Credits => "zoho-credits",
            Self::Places => "zoho-places",
        }
    }
}

impl Slip {
    /// The guard answers with this instead of what the handler answers.
    pub fn note(&self, shortage: Shortage) {
        // The first one is as good as another.
        let _ = self.0.set(shortage);
    }

    pub(super) fn refusal(&self, verdict: &Verdict, call: &Call) -> Option<Refusal> {
        let shortage = self.0.get()?;
        let (id, retry_after_seconds) = (call.id.clone(), shortage.retry_after_seconds);
        Some(match shortage.of {
            Scarce::Credits => Refusal::OverLimit(Box::new(OverLimit {
                id,
                message: shortage.message.clone(),
                retry_after_seconds,
                policies: vec![Scarce::Credits.policy()],
                headers: verdict.headers().collect(),
            })),
            Scarce::Places => Refusal::Overloaded {
                id,
                retry_after_seconds,
            },
        })
    }
}

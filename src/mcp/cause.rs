//! Why a call was cut: what its audit line says where nobody but the client could have been meant.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;

use crate::{auth::Lapse, permit::Effect};

/// Goes with a request, and is told by whoever cancels its call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    why: OnceLock<Box<str>>,
    reads: CancellationToken,
    writes: CancellationToken,
}

impl Cause {
    /// Says it before the call is cancelled. The first word counts.
    pub(super) fn tell(&self, why: &str) {
        let _ = self.0.why.set(why.into());
    }

    /// Says it and cancels the call, which is answered all the same: its caller hears what it may
    /// have done.
    pub(super) fn cut(&self, why: &str) {
        self.tell(why);
        self.0.reads.cancel();
        self.0.writes.cancel();
    }

    /// The same since its caller is not believed any more. A write that has begun is not cut because a
    /// token has run out meanwhile: nobody took it away, and the truth is worth the wait.
    pub(super) fn lapse(&self, lapse: Lapse) {
        match lapse.is_end_of_token() {
            true => {
                self.tell(lapse.reason());
                self.0.reads.cancel();
            }
            false => self.cut(lapse.reason()),
        }
    }

    /// Returns once a call of a tool with that effect is cut.
    pub(super) async fn is_cut(&self, effect: Effect) {
        match effect {
            Effect::Read => self.0.reads.cancelled().await,
            Effect::Write => self.0.writes.cancelled().await,
        }
    }

    /// Whether it was not the client.
    pub(super) fn is_told(&self) -> bool {
        self.0.why.get().is_some()
    }

    /// For the log, in the words that it has for the end of a session.
    pub(super) fn word(&self) -> Cow<'static, str> {
        let told = self.0.why.get();
        told.map_or(CLIENT_GONE.into(), |why| why.to_string().into())
    }
}

const CLIENT_GONE: &str = "client_gone";
/// For a call that was cut to have its last word.
pub(super) const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(2);

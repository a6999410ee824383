//! Why a call was cut: what its audit line says where nobody but the client could have been meant.

use std::{
    borrow::Cow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::{auth::Lapse, permit::Effect};

/// Goes with a request, and is told by whoever cancels its call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    inner: Arc<Inner>,
    /// Whether the client has said that it does not want this one call any more.
    cancelled: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Inner {
    why: OnceLock<Box<str>>,
    reads: CancellationToken,
    writes: CancellationToken,
}

impl Cause {
    /// Of one call of several that end together.
    pub(super) fn of_one(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            cancelled: Arc::default(),
        }
    }

    /// Says that the client cancels the call, before it is.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Says it before the call is cancelled. The first word counts.
    pub(super) fn tell(&self, why: &str) {
        let _ = self.inner.why.set(why.into());
    }

    /// Says it and cancels the call, which is answered all the same: its caller hears what it may
    /// have done.
    pub(super) fn cut(&self, why: &str) {
        self.tell(why);
        self.inner.reads.cancel();
        self.inner.writes.cancel();
    }

    /// The same since its caller is not believed any more. A write that has begun is not cut because a
    /// token has run out meanwhile: nobody took it away, and the truth is worth the wait.
    pub(super) fn lapse(&self, lapse: Lapse) {
        match lapse.is_end_of_token() {
            true => {
                self.tell(lapse.reason());
                self.inner.reads.cancel();
            }
            false => self.cut(lapse.reason()),
        }
    }

    /// Returns once a call of a tool with that effect is cut.
    pub(super) async fn is_cut(&self, effect: Effect) {
        match effect {
            Effect::Read => self.inner.reads.cancelled().await,
            Effect::Write => self.inner.writes.cancelled().await,
        }
    }

    /// Whether it was not the client.
    pub(super) fn is_told(&self) -> bool {
        self.inner.why.get().is_some()
    }

    /// For the log, in the words that it has for the end of a session.
    pub(super) fn word(&self) -> Cow<'static, str> {
        match self.inner.why.get() {
            Some(why) => why.to_string().into(),
            None if self.cancelled.load(Ordering::Relaxed) => CANCELLED.into(),
            None => CLIENT_GONE.into(),
        }
    }
}

/// By `notifications/cancelled`.
const CANCELLED: &str = "cancelled";
/// The connection that a call came by is closed, or its stream.
const CLIENT_GONE: &str = "client_gone";
/// For a call that was cut to have its last word.
pub(super) const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(2);

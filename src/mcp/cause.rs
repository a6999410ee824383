//! Why a call was cut: what its audit line says where nobody but the client could have been meant.

use std::{
    borrow::Cow,
    future::pending,
    sync::{Arc, OnceLock},
};

use axum::http::request::Parts;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{auth::Lapse, listen::Peer, permit::Effect};

/// Goes with a request, and is told by whoever cancels its call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    inner: Arc<Inner>,
    /// The request with which the client has said that it does not want this one call any more; nil where
    /// an instance of an earlier version does not say which.
    cancelled: Arc<OnceLock<Uuid>>,
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

    /// Says with which request the client cancels the call, before it is.
    pub(super) fn cancel(&self, by: Uuid) {
        let _ = self.cancelled.set(by);
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

    /// Whether it was not the client.
    pub(super) fn is_told(&self) -> bool {
        self.inner.why.get().is_some()
    }

    /// The request that cancelled the call, where the client did.
    pub(super) fn canceller(&self) -> Option<Uuid> {
        let by = self.cancelled.get().filter(|_| !self.is_told());
        by.copied().filter(|by| !by.is_nil())
    }
}

/// Returns once a call of a tool with that effect is cut, where somebody can cut it.
pub(super) async fn is_cut(cause: Option<&Cause>, effect: Effect) {
    match (cause, effect) {
        (Some(cause), Effect::Read) => cause.inner.reads.cancelled().await,
        (Some(cause), Effect::Write) => cause.inner.writes.cancelled().await,
        (None, _) => pending().await,
    }
}

/// For the log, in the words that it has for the end of a session.
pub(super) fn word(cause: Option<&Cause>) -> Cow<'static, str> {
    let told = cause.and_then(|cause| cause.inner.why.get());
    match (told, cause) {
        (Some(why), _) => why.to_string().into(),
        (None, Some(cause)) if cause.cancelled.get().is_some() => CANCELLED.into(),
        (None, _) => CLIENT_GONE.into(),
    }
}

/// What the log calls the request that a message came with.
pub(super) fn request_id(parts: &Parts) -> Uuid {
    let peer = parts.extensions.get::<Peer>();
    peer.map(|peer| peer.request_id).unwrap_or_default()
}

/// By `notifications/cancelled`.
const CANCELLED: &str = "cancelled";
/// The connection that a call came by is closed, or its stream.
const CLIENT_GONE: &str = "client_gone";
/// For a call that was cut to have its last word.
pub(super) const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(2);

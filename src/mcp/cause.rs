//! Why a call was cut: what its audit line says where nobody but the client could have been meant.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

/// Goes with a request, and is told by whoever cancels its call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause(Arc<OnceLock<Box<str>>>);

impl Cause {
    /// Says it before the call is cancelled. The first word counts.
    pub(super) fn tell(&self, why: &str) {
        let _ = self.0.set(why.into());
    }

    /// Whether it was not the client.
    pub(super) fn is_told(&self) -> bool {
        self.0.get().is_some()
    }

    /// For the log, in the words that it has for the end of a session.
    pub(super) fn word(&self) -> Cow<'static, str> {
        let told = self.0.get();
        told.map_or(CLIENT_GONE.into(), |why| why.to_string().into())
    }
}

const CLIENT_GONE: &str = "client_gone";

//! What the first guards have found out of a request, for those after them.

use std::sync::Arc;

use axum::http::Extensions;

use super::Call;
use crate::{audit::Event, auth::Caller, listen::Peer, refusal::Refusal};

/// Who asks what, and from where.
#[expect(missing_docs, reason = "the types say it")]
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub caller: &'a Caller,
    pub call: &'a Arc<Call>,
    pub peer: &'a Peer,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// [`Refusal::Internal`] when one of the guards that find it out is missing.
    pub fn of(extensions: &'a Extensions) -> Result<Self, Refusal> {
        let found = || {
            Some(Self {
                caller: extensions.get::<Arc<Caller>>()?,
                call: extensions.get()?,
                peer: extensions.get()?,
            })
        };
        found().ok_or(Refusal::Internal)
    }

    /// Says in an event whose it is.
    pub fn sign(&self, event: Event) -> Event {
        self.caller.sign(self.peer.sign(event))
    }
}

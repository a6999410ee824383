//! The id of a session that others may be asked for: it says itself where the session is and whose, to
//! whoever has the key. So nothing of it has to stand in Redis, which might lose it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::Relay;
use crate::auth::{Caller, Proof};

/// What an id says.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) instance: Box<str>,
    owner: Box<str>,
    proven_by: Proof,
}

impl Ticket {
    /// Whether this is who opened the session, proven in all the ways in which they were.
    pub(super) fn is_of(&self, relay: &Relay, caller: &Caller) -> bool {
        *self.owner == *relay.name_of(caller) && caller.proven_by.covers(self.proven_by)
    }
}

impl Relay {
    /// A new id for a session of the caller's on this instance. Nobody can make one up without the key,
    /// and it tells nothing to who has none.
    pub(in crate::mcp) fn new_session(&self, caller: &Caller) -> Option<Box<str>> {
        let ticket = Ticket {
            instance: self.instance.clone(),
            owner: self.name_of(caller).into(),
            proven_by: caller.proven_by,
        };
        let sealed = self.seal.seal(SUBJECT, serde_json::to_vec(&ticket).ok()?)?;
        Some(URL_SAFE_NO_PAD.encode(sealed).into())
    }

    /// What an id says that one of the instances gave.
    pub(super) fn read_ticket(&self, id: &str) -> Option<Ticket> {
        let sealed = URL_SAFE_NO_PAD.decode(id).ok()?;
        serde_json::from_slice(&self.seal.open(SUBJECT, &sealed)?).ok()
    }

    fn name_of(&self, caller: &Caller) -> String {
        let user = caller.user.as_ref();
        let (issuer, subject) = user.map_or(("", ""), |user| (&user.issuer, &user.subject));
        self.seal.name(&["owner", &caller.client, issuer, subject])
    }
}

/// Instances are called otherwise, so that no letter is taken for an id.
const SUBJECT: &str = "session";

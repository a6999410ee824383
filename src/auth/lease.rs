//! For how long a caller is believed: a stream is as trusted as the credential that opened it.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::{Caller, Gate, Lapse, api_key::BadKey};
use crate::{
    audit::{Event, Kind},
    listen::Peer,
    refusal::{Refusal, Unproven},
};

/// A caller, and who can say whether it still is one.
#[derive(Clone)]
pub struct Lease {
    gate: Arc<Gate>,
    caller: Arc<Caller>,
}

impl Lease {
    /// For a caller who was proven, here or by an instance that said so.
    pub fn new(gate: Arc<Gate>, caller: Arc<Caller>) -> Self {
        Self { gate, caller }
    }

    /// Waits until what proved the caller no longer does, and says why.
    pub async fn lapsed(self) -> Lapse {
        loop {
            let now = Timestamp::now();
            if let Err(lapse) = self.gate.authenticator.still_good(&self.caller, now) {
                return lapse;
            }
            tokio::time::sleep(self.next_look(now)).await;
        }
    }

    /// The same for somebody else who was proven, perhaps by another instance.
    #[must_use]
    pub fn of(&self, caller: Arc<Caller>) -> Self {
        Self::new(self.gate.clone(), caller)
    }

    /// Why what the caller opened at `since`, perhaps on another instance, is taken away, if it is. A
    /// token just ends, and its successor goes on.
    pub fn withdrawn(&self, since: Timestamp) -> Option<Lapse> {
        let now = Timestamp::now();
        let authenticator = &self.gate.authenticator;
        let lapse = authenticator.still_good(&self.caller, now).err()?;
        match lapse {
            Lapse::Token(_) | Lapse::Key(BadKey::NotYetValid) => None,
            // A new key may have come to the other instance first.
            Lapse::Key(BadKey::Unknown) => {
                let read = now.checked_sub(authenticator.keys().freshness().age());
                read.is_ok_and(|read| read > since).then_some(lapse)
            }
            _ => Some(lapse),
        }
    }

    /// Whether something that lasts may begin. A token that is good for its leeway alone is not
    /// enough: what it opened would end at once.
    ///
    /// # Errors
    /// As the guard answers a token that has expired.
    pub fn may_last(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let now = Timestamp::now();
        if self.caller.token_ends().is_none_or(|end| now < end) {
            return Ok(());
        }
        let why = Unproven::TokenExpired;
        let challenge = self.gate.discovery().challenge(headers, Some(why.text()));
        Err(Refusal::Unauthenticated { why, challenge })
    }

    /// The challenge of a token whose scopes do not reach.
    pub fn scope_challenge(&self, headers: &HeaderMap, scope: &str) -> HeaderValue {
        self.gate.discovery().scope_challenge(headers, scope)
    }

    /// Records that the caller, who is known, named another caller's session. As with requests that
    /// prove nothing an address has so many lines, and what comes beyond them is counted.
    pub async fn record_foreign_session(&self, peer: &Peer) {
        let authenticator = &self.gate.authenticator;
        if authenticator.is_repeated(&self.caller, FOREIGN_SESSION, peer.ip) {
            return;
        }
        let event = Event {
            reason: Some(FOREIGN_SESSION.into()),
            ..Event::new(Kind::AuthFailed)
        };
        let event = self.caller.sign(peer.sign(event));
        self.gate.audit.record(event).await;
    }

    fn next_look(&self, now: Timestamp) -> Duration {
        let left = self.caller.token_ends().map(|end| end.duration_since(now));
        let left = left.and_then(|left| Duration::try_from(left).ok());
        left.map_or(LOOK, |left| left.min(LOOK))
    }
}

/// How often it is asked. What a reload changed counts on open streams within this.
const LOOK: Duration = Duration::from_secs(1);
const FOREIGN_SESSION: &str = "foreign_session";

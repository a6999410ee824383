//! What is kept of a session, and where: in this process alone, or in Redis for all instances.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use rmcp::model::{InitializeRequestParams, ProtocolVersion};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{own::Own, shared::Shared};
use crate::{
    audit::{Event, Kind},
    auth::{Caller, whole},
    listen::{Door, Peer},
    telemetry::TraceId,
};

/// What the handshake settled, and for whom.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(with = "whole")]
    pub(super) caller: Arc<Caller>,
    pub(super) revision: ProtocolVersion,
    /// As text, which takes a small part of the memory.
    pub(super) capabilities: Box<RawValue>,
    pub(super) opening: Opening,
}

/// What the log says of a session that comes to its end by itself, whoever finds it.
#[derive(Serialize, Deserialize)]
pub(super) struct Opening {
    /// What the log calls the session.
    session: Arc<str>,
    request_id: Uuid,
    trace: Option<[u8; 16]>,
    ip: IpAddr,
    at: Timestamp,
}

impl Opening {
    /// By this request, just now.
    pub(super) fn by(peer: &Peer, session: Arc<str>) -> Self {
        Self {
            session,
            request_id: peer.request_id,
            trace: peer.trace.map(TraceId::to_bytes),
            ip: peer.ip,
            at: Timestamp::now(),
        }
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }
}

impl Kept {
    /// The beginning or the end of the session, as the request that opened it would be signed.
    pub(super) fn event(&self, kind: Kind) -> Event {
        let (path, transport) = Door::Mcp.names();
        let opening = &self.opening;
        self.caller.sign(Event {
            request_id: Some(opening.request_id),
            trace_id: opening.trace.map(TraceId::from_bytes),
            session_id: Some(opening.session.clone()),
            ip: Some(opening.ip),
            path,
            transport,
            ..Event::new(kind)
        })
    }

    /// As the protocol library wants to know a client.
    pub(super) fn known_as(&self) -> InitializeRequestParams {
        let mut client = InitializeRequestParams::default();
        client.protocol_version = self.revision.clone();
        let capabilities = serde_json::from_str(self.capabilities.get());
        client.capabilities = capabilities.unwrap_or_default();
        client
    }
}

/// What was found under an id.
pub(super) enum Lookup {
    Nothing,
    /// Somebody else opened it.
    Anothers,
    Theirs(Arc<Kept>),
}

impl Lookup {
    pub(super) fn of(kept: Option<Arc<Kept>>, caller: &Caller) -> Self {
        match kept {
            None => Self::Nothing,
            Some(kept) if kept.caller.shares_with(caller) => Self::Theirs(kept),
            Some(_) => Self::Anothers,
        }
    }
}

/// How many sessions there may be, and for how long.
pub(super) struct Bounds {
    pub(super) idle: Duration,
    pub(super) age: Duration,
    pub(super) total: usize,
    pub(super) per_client: usize,
    pub(super) per_user: usize,
}

/// Why a session is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKept {
    #[error("too many sessions are open")]
    Full {
        /// Until one of them ends, if nobody uses it.
        wait: Duration,
    },
    #[error("sessions cannot be kept at the moment")]
    Away,
}

/// Redis cannot be asked.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("sessions cannot be looked up at the moment")]
pub(super) struct Away;

/// Where sessions are kept.
pub(super) enum Keeper {
    Own(Own),
    Shared(Box<Shared>),
}

impl Keeper {
    pub(super) const fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    pub(super) async fn open(
        &self,
        id: &str,
        kept: &Arc<Kept>,
        bounds: &Bounds,
    ) -> Result<(), NotKept> {
        match self {
            Self::Own(own) => own.open(id, kept.clone(), bounds),
            Self::Shared(shared) => shared.open(id, kept, bounds).await,
        }
    }

    pub(super) async fn find(
        &self,
        id: &str,
        caller: &Caller,
        bounds: &Bounds,
    ) -> Result<Lookup, Away> {
        match self {
            Self::Own(own) => Ok(own.find(id, caller, bounds)),
            Self::Shared(shared) => shared.find(id, caller, bounds).await.map_err(|_| Away),
        }
    }

    /// Nothing has to be asked that is known to get no answer.
    pub(super) fn reachable(&self) -> Result<(), Away> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Shared(shared) => shared.reachable().map_err(|_| Away),
        }
    }

    /// Whether it was this that ended it: of all who try, one is told so, whenever it asks under the
    /// same mark.
    pub(super) async fn end(
        &self,
        id: &str,
        owner: &Caller,
        (reason, mark): (&str, Uuid),
    ) -> Result<bool, Away> {
        match self {
            Self::Own(own) => Ok(own.end(id)),
            Self::Shared(shared) => {
                let ended = shared.end(id, owner, reason, mark);
                ended.await.map_err(|_| Away)
            }
        }
    }

    /// Whether it was whoever asked under that mark that ended it.
    pub(super) async fn ender(&self, id: &str, mark: Uuid) -> Result<Ender, Away> {
        match self {
            // It answers always, and nobody has to ask again.
            Self::Own(_) => Ok(Ender::Another),
            Self::Shared(shared) => shared.ender(id, mark).await.map_err(|_| Away),
        }
    }

    /// The other instances that may have a call of the session.
    pub(super) async fn elsewhere(&self, id: &str) -> Result<Vec<Box<str>>, Away> {
        match self {
            Self::Own(_) => Ok(Vec::new()),
            Self::Shared(shared) => shared.elsewhere(id).await.map_err(|_| Away),
        }
    }

    /// Forgets instances that are gone, so that nobody asks them again. Without Redis it is tried again.
    pub(super) async fn forget(&self, id: &str, gone: &[Box<str>]) {
        if let Self::Shared(shared) = self {
            let _ = shared.forget(id, gone).await;
        }
    }

    /// What has become of each.
    pub(super) async fn look(&self, ids: &[Box<str>], bounds: &Bounds) -> Result<Vec<Look>, Away> {
        match self {
            Self::Own(own) => Ok(own.look(ids, bounds)),
            Self::Shared(shared) => shared.look(ids).await.map_err(|_| Away),
        }
    }

    /// Whether this is the first to find that it is lost, whenever it asks under the same mark.
    pub(super) async fn is_first_to_miss(&self, id: &str, mark: Uuid) -> Result<bool, Away> {
        match self {
            Self::Own(_) => Ok(true),
            Self::Shared(shared) => shared.is_first_to_miss(id, mark).await.map_err(|_| Away),
        }
    }

    /// Ends some of the sessions that nobody used in time, whoever opened them. In this process they
    /// end when they are looked at.
    pub(super) async fn expire(&self) -> Vec<(Kept, &'static str)> {
        match self {
            Self::Own(_) => Vec::new(),
            Self::Shared(shared) => shared.expire().await,
        }
    }
}

/// Who has ended a session.
pub(super) enum Ender {
    This,
    Another,
    /// It lasts, or is lost.
    Nobody,
}

/// What has become of a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    Lasts,
    /// It is not there, and nobody may have said so yet.
    Lost,
    /// And whoever ended it has recorded that.
    Ended(&'static str),
}

impl Look {
    /// In the words of Redis, where nobody may write others.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "" => Self::Lasts,
            "lost" => Self::Lost,
            _ => Self::Ended(reason(word)),
        }
    }
}

/// One of the words that the log has for the end of a session, whoever wrote it to Redis.
pub(super) fn reason(word: &str) -> &'static str {
    let own = [EXPIRED, TOO_OLD, DELETED];
    let mut known = own.iter().chain(WITHDRAWN);
    known
        .find(|known| **known == word)
        .copied()
        .unwrap_or(ENDED)
}

/// What became of a credential: all that [`crate::auth::Lapse::reason`] says but for tokens.
const WITHDRAWN: &[&str] = &[
    "client_removed",
    "another_credential_needed",
    "key_revoked",
    "key_retired",
    "key_expired",
    "key_removed",
    "wrong_key_usage",
    "no_certificate_name",
    "several_certificate_names",
    "certificate_names_disagree",
    "unknown_certificate_name",
    "no_certificate",
    "malformed_certificate",
    "certificate_expired",
    "certificate_not_yet_valid",
    "unknown_issuer",
    "certificate_revoked",
    "revocation_unknown",
    "crl_expired",
    "crl_untrusted",
    "wrong_purpose",
    "bad_signature",
    "weak_signature",
    "untrusted_chain",
];

/// Nobody used it, or Redis has lost it.
pub(super) const EXPIRED: &str = "expired";
pub(super) const TOO_OLD: &str = "too_old";
/// By its caller.
pub(super) const DELETED: &str = "deleted";
/// By the daemon, or for another reason.
pub(super) const ENDED: &str = "ended";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_credential_has_its_word_and_what_is_made_up_has_none() {
        let sources = [
            include_str!("../../auth/failure.rs"),
            include_str!("../../auth/mtls.rs"),
            include_str!("../../listen/tls/trust.rs"),
        ];
        for source in sources {
            let (_, said) = source.split_once("pub const fn reason(self)").unwrap();
            let (said, _) = said.split_once("\n    }\n").unwrap();
            let words = said.split('"').skip(1).step_by(2);
            for word in words.filter(|word| !word.starts_with("token_")) {
                assert_eq!(reason(word), word);
            }
        }
        assert_eq!(Look::of("key_revoked\" forged"), Look::Ended(ENDED));
    }
}

//! What is kept of a session, and where: in this process alone, or in Redis for all instances.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rmcp::model::{ClientCapabilities, InitializeRequestParams, ProtocolVersion};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::shared::Shared;
use crate::auth::Caller;

/// What the handshake settled, and for whom.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) caller: Caller,
    pub(super) revision: ProtocolVersion,
    pub(super) capabilities: ClientCapabilities,
}

impl Kept {
    /// As the protocol library wants to know a client.
    pub(super) fn known_as(&self) -> InitializeRequestParams {
        let mut client = InitializeRequestParams::default();
        client.protocol_version = self.revision.clone();
        client.capabilities = self.capabilities.clone();
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
    Full,
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

    pub(super) async fn open(&self, id: &str, kept: Kept, bounds: &Bounds) -> Result<(), NotKept> {
        match self {
            Self::Own(own) => own.open(id, kept, bounds),
            Self::Shared(shared) => shared.open(id, &kept, bounds).await,
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

    pub(super) async fn end(&self, id: &str, owner: &Caller, reason: &str) -> Result<(), Away> {
        match self {
            Self::Own(own) => {
                own.end(id, reason);
                Ok(())
            }
            Self::Shared(shared) => shared.end(id, owner, reason).await.map_err(|_| Away),
        }
    }

    /// Why each has ended; empty while it lasts.
    pub(super) async fn look(
        &self,
        ids: &[Box<str>],
        bounds: &Bounds,
    ) -> Result<Vec<String>, Away> {
        match self {
            Self::Own(own) => Ok(own.look(ids, bounds)),
            Self::Shared(shared) => shared.look(ids).await.map_err(|_| Away),
        }
    }
}

/// Keeps sessions in this process.
#[derive(Default)]
pub(super) struct Own(Mutex<HashMap<Box<str>, Entry>>);

struct Entry {
    kept: Arc<Kept>,
    opened: Instant,
    used: Instant,
    ended: Option<Box<str>>,
}

impl Entry {
    fn lasts(&self, bounds: &Bounds) -> bool {
        self.ended.is_none()
            && self.used.elapsed() < bounds.idle
            && self.opened.elapsed() < bounds.age
    }
}

impl Own {
    fn open(&self, id: &str, kept: Kept, bounds: &Bounds) -> Result<(), NotKept> {
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.lasts(bounds) || entry.ended.is_some());
        let (mut total, mut of_client, mut of_user) = (0, 0, 0);
        for entry in entries.values().filter(|entry| entry.ended.is_none()) {
            let is_clients = entry.kept.caller.client == kept.caller.client;
            total += 1;
            of_client += usize::from(is_clients);
            of_user += usize::from(is_clients && entry.kept.caller.user == kept.caller.user);
        }
        if total >= bounds.total || of_client >= bounds.per_client || of_user >= bounds.per_user {
            return Err(NotKept::Full);
        }
        let now = Instant::now();
        let entry = Entry {
            kept: kept.into(),
            opened: now,
            used: now,
            ended: None,
        };
        entries.insert(id.into(), entry);
        Ok(())
    }

    fn find(&self, id: &str, caller: &Caller, bounds: &Bounds) -> Lookup {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).filter(|entry| entry.lasts(bounds));
        let Some(entry) = entry else {
            return Lookup::Nothing;
        };
        let found = Lookup::of(Some(entry.kept.clone()), caller);
        if let Lookup::Theirs(_) = found {
            entry.used = Instant::now();
        }
        found
    }

    fn end(&self, id: &str, reason: &str) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.ended.get_or_insert_with(|| reason.into());
        }
    }

    /// What is told to have ended is kept no longer.
    fn look(&self, ids: &[Box<str>], bounds: &Bounds) -> Vec<String> {
        let mut entries = self.lock();
        let mut why = |id: &str| match entries.get(id) {
            Some(entry) if entry.lasts(bounds) => String::new(),
            _ => {
                let ended = entries.remove(id).and_then(|entry| entry.ended);
                ended.map_or_else(|| EXPIRED.to_owned(), Into::into)
            }
        };
        ids.iter().map(|id| why(id)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a session that is not there any more.
pub(super) const EXPIRED: &str = "expired";

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        idle: Duration::from_secs(60),
        age: Duration::from_secs(600),
        total: 4,
        per_client: 3,
        per_user: 2,
    };

    fn kept(client: &str) -> Kept {
        Kept {
            caller: Caller::sample(client),
            revision: ProtocolVersion::V_2025_11_25,
            capabilities: ClientCapabilities::default(),
        }
    }

    fn is_theirs(own: &Own, id: &str, client: &str) -> bool {
        let found = own.find(id, &Caller::sample(client), &BOUNDS);
        matches!(found, Lookup::Theirs(_))
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_while_it_is_used_and_no_longer_than_its_age() {
        let own = Own::default();
        own.open("a", kept("one"), &BOUNDS).unwrap();
        for _ in 0..11 {
            tokio::time::advance(Duration::from_secs(50)).await;
            assert!(is_theirs(&own, "a", "one"));
        }
        tokio::time::advance(Duration::from_secs(50)).await;
        assert!(!is_theirs(&own, "a", "one"), "it is too old");
        own.open("b", kept("one"), &BOUNDS).unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(!is_theirs(&own, "b", "one"), "nobody used it");
        let ids = ["a".into(), "b".into()];
        assert_eq!(own.look(&ids, &BOUNDS), [EXPIRED, EXPIRED]);
    }

    #[tokio::test(start_paused = true)]
    async fn anothers_session_is_not_used_and_one_that_ended_says_why_once() {
        let own = Own::default();
        own.open("a", kept("one"), &BOUNDS).unwrap();
        tokio::time::advance(Duration::from_secs(50)).await;
        let found = own.find("a", &Caller::sample("two"), &BOUNDS);
        assert!(matches!(found, Lookup::Anothers));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!is_theirs(&own, "a", "one"));
        own.open("b", kept("one"), &BOUNDS).unwrap();
        own.end("b", "deleted");
        assert!(!is_theirs(&own, "b", "one"));
        assert_eq!(own.look(&["b".into()], &BOUNDS), ["deleted"]);
        assert!(own.lock().is_empty(), "nothing is left");
    }

    #[tokio::test(start_paused = true)]
    async fn each_cap_holds_and_an_end_makes_room() {
        let own = Own::default();
        own.open("a", kept("one"), &BOUNDS).unwrap();
        own.open("b", kept("one"), &BOUNDS).unwrap();
        assert_eq!(own.open("c", kept("one"), &BOUNDS), Err(NotKept::Full));
        own.open("d", kept("two"), &BOUNDS).unwrap();
        own.open("e", kept("three"), &BOUNDS).unwrap();
        assert_eq!(own.open("f", kept("four"), &BOUNDS), Err(NotKept::Full));
        own.end("a", "deleted");
        own.open("f", kept("four"), &BOUNDS).unwrap();
        assert_eq!(own.open("c", kept("one"), &BOUNDS), Err(NotKept::Full));
    }
}

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

    /// The other instances that may have a call of the session.
    pub(super) async fn elsewhere(&self, id: &str) -> Result<Vec<Box<str>>, Away> {
        match self {
            Self::Own(_) => Ok(Vec::new()),
            Self::Shared(shared) => shared.elsewhere(id).await.map_err(|_| Away),
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
        self.ended.is_none() && !self.left(bounds).is_zero()
    }

    /// Until it ends, if nobody uses it.
    fn left(&self, bounds: &Bounds) -> Duration {
        let idle = bounds.idle.saturating_sub(self.used.elapsed());
        idle.min(bounds.age.saturating_sub(self.opened.elapsed()))
    }
}

/// Sessions that are counted together.
struct Set {
    room: usize,
    count: usize,
    first_end: Duration,
}

impl Set {
    const fn of(room: usize) -> Self {
        Self {
            room,
            count: 0,
            first_end: Duration::MAX,
        }
    }

    fn count(&mut self, is_in: bool, left: Duration) {
        if is_in {
            self.count += 1;
            self.first_end = self.first_end.min(left);
        }
    }

    /// Until there is room, where there is none.
    fn wait(&self) -> Option<Duration> {
        (self.count >= self.room).then_some(self.first_end)
    }
}

impl Own {
    fn open(&self, id: &str, kept: Kept, bounds: &Bounds) -> Result<(), NotKept> {
        let mut entries = self.lock();
        entries.retain(|_, entry| entry.lasts(bounds) || entry.ended.is_some());
        let mut sets = [bounds.total, bounds.per_client, bounds.per_user].map(Set::of);
        for entry in entries.values().filter(|entry| entry.ended.is_none()) {
            let is_clients = entry.kept.caller.client == kept.caller.client;
            let is_users = is_clients && entry.kept.caller.user == kept.caller.user;
            let left = entry.left(bounds);
            for (set, is_in) in sets.iter_mut().zip([true, is_clients, is_users]) {
                set.count(is_in, left);
            }
        }
        if let Some(wait) = sets.iter().filter_map(Set::wait).max() {
            return Err(NotKept::Full { wait });
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
        tokio::time::advance(Duration::from_secs(20)).await;
        let full = |seconds| {
            let wait = Duration::from_secs(seconds);
            Err(NotKept::Full { wait })
        };
        assert_eq!(own.open("c", kept("one"), &BOUNDS), full(40));
        own.open("d", kept("two"), &BOUNDS).unwrap();
        own.open("e", kept("three"), &BOUNDS).unwrap();
        assert_eq!(own.open("f", kept("four"), &BOUNDS), full(40));
        own.end("a", "deleted");
        own.open("f", kept("four"), &BOUNDS).unwrap();
        assert!(is_theirs(&own, "b", "one"), "this is use");
        assert_eq!(own.open("c", kept("one"), &BOUNDS), full(60));
    }
}

//! Sessions that one process keeps for itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::kept::{Bounds, ENDED, Kept, Look, Lookup, NotKept};
use crate::auth::Caller;

/// Keeps sessions in this process.
#[derive(Default)]
pub(super) struct Own(Mutex<HashMap<Box<str>, Entry>>);

struct Entry {
    kept: Arc<Kept>,
    opened: Instant,
    used: Instant,
}

impl Entry {
    fn lasts(&self, bounds: &Bounds) -> bool {
        !self.left(bounds).is_zero()
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
    pub(super) fn open(&self, id: &str, kept: Arc<Kept>, bounds: &Bounds) -> Result<(), NotKept> {
        let mut entries = self.lock();
        let mut sets = [bounds.total, bounds.per_client, bounds.per_user].map(Set::of);
        for entry in entries.values().filter(|entry| entry.lasts(bounds)) {
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
            kept,
            opened: now,
            used: now,
        };
        entries.insert(id.into(), entry);
        Ok(())
    }

    pub(super) fn find(&self, id: &str, caller: &Caller, bounds: &Bounds) -> Lookup {
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

    /// Whether it was there.
    pub(super) fn end(&self, id: &str) -> bool {
        self.lock().remove(id).is_some()
    }

    /// What is found to be over is kept no longer.
    pub(super) fn look(&self, ids: &[Box<str>], bounds: &Bounds) -> Vec<Look> {
        let mut entries = self.lock();
        let mut look = |id: &str| match entries.get(id) {
            Some(entry) if entry.lasts(bounds) => Look::Lasts,
            Some(_) => {
                entries.remove(id);
                Look::Lost
            }
            None => Look::Ended(ENDED),
        };
        ids.iter().map(|id| look(id)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::ProtocolVersion;
    use serde_json::value::RawValue;

    use super::*;
    use crate::{listen::Peer, mcp::session::kept::Opening};

    const BOUNDS: Bounds = Bounds {
        idle: Duration::from_secs(60),
        age: Duration::from_secs(600),
        total: 4,
        per_client: 3,
        per_user: 2,
    };

    fn kept(client: &str) -> Arc<Kept> {
        Arc::new(Kept {
            caller: Caller::sample(client).into(),
            revision: ProtocolVersion::V_2025_11_25,
            capabilities: RawValue::from_string("{}".to_owned()).unwrap(),
            opening: Opening::by(&Peer::sample(), "session".into()),
        })
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
        assert_eq!(own.look(&ids, &BOUNDS), [Look::Lost, Look::Lost]);
        let again = own.look(&ids, &BOUNDS);
        assert!(!again.contains(&Look::Lost), "it is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn anothers_session_is_not_used_and_one_that_ended_is_told_once() {
        let own = Own::default();
        own.open("a", kept("one"), &BOUNDS).unwrap();
        tokio::time::advance(Duration::from_secs(50)).await;
        let found = own.find("a", &Caller::sample("two"), &BOUNDS);
        assert!(matches!(found, Lookup::Anothers));
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(!is_theirs(&own, "a", "one"));
        own.open("b", kept("one"), &BOUNDS).unwrap();
        assert!(own.end("b") && !own.end("b"), "one of all has ended it");
        assert!(!is_theirs(&own, "b", "one"));
        assert_eq!(own.look(&["a".into()], &BOUNDS), [Look::Lost]);
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
        assert!(own.end("a"));
        own.open("f", kept("four"), &BOUNDS).unwrap();
        assert!(is_theirs(&own, "b", "one"), "this is use");
        assert_eq!(own.open("c", kept("one"), &BOUNDS), full(60));
    }
}

//! Calls in flight, for each client and in total. With Redis each also holds a place there, which
//! is given up for lost when this process no longer says that it is taken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{rules::Room, verdict::Busy};
use crate::store::{Lease, Leases};

/// Counts the calls in flight. Holds no more clients than there are calls, but for those whose
/// places have yet to be given back.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    given_back: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    by_client: HashMap<Arc<str>, Count>,
}

#[derive(Debug, Default)]
struct Count {
    calls: u32,
    places: Leases,
}

/// A call's name in Redis: the half of its id that is random.
pub(super) type Place = Lease;

/// The place of a call.
pub(super) fn place(id: &Uuid) -> Place {
    id.as_u64_pair().1.to_be_bytes()
}

/// One client's places in Redis.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) client: Arc<str>,
    pub(super) taken: Vec<Place>,
    pub(super) free: Vec<Place>,
}

/// One call in flight; over when this is dropped.
#[derive(Debug)]
pub struct InFlight {
    calls: Calls,
    client: Arc<str>,
    place: Option<Place>,
}

impl Calls {
    /// Lets a call begin, unless as many as may are in flight. Where that only watches, it says so
    /// beside the call.
    pub(super) fn enter(
        &self,
        client: &Arc<str>,
        room: Room,
    ) -> Result<(InFlight, Option<Busy>), Busy> {
        let mut counts = self.lock();
        let calls = counts.by_client.get(client).map_or(0, |count| count.calls);
        let over = [
            (
                calls >= room.client,
                room.watches_client,
                Busy::Client(room.client),
            ),
            (
                counts.total >= room.total,
                room.watches_total,
                Busy::Everybody(room.total),
            ),
        ];
        let first = |watches: bool| {
            let found = over.iter().find(|(over, w, _)| *over && *w == watches);
            found.map(|(.., busy)| *busy)
        };
        if let Some(busy) = first(false) {
            return Err(busy);
        }
        counts.total += 1;
        let count = counts.by_client.entry(Arc::clone(client)).or_default();
        count.calls += 1;
        let call = InFlight {
            calls: self.clone(),
            client: Arc::clone(client),
            place: None,
        };
        Ok((call, first(true)))
    }

    /// Whether so many places stand in Redis that others may soon lack those given back here.
    pub(super) fn are_scarce(&self, room: Room) -> bool {
        let counts = self.lock();
        let is_many = |places: usize, room: u32| places.saturating_mul(4) >= room as usize;
        let all = (counts.by_client.values())
            .map(|count| count.places.len())
            .sum();
        is_many(all, room.total)
            || (counts.by_client.values()).any(|count| is_many(count.places.len(), room.client))
    }

    /// The places of a client that its next question gives back.
    pub(super) fn free(&self, client: &Arc<str>) -> Vec<Place> {
        let counts = self.lock();
        let count = counts.by_client.get(client);
        count.map_or_else(Vec::new, |count| count.places.free().to_vec())
    }

    /// Whether there are places to give back, of any client.
    pub(super) fn owes(&self) -> bool {
        let counts = self.lock();
        counts
            .by_client
            .values()
            .any(|count| !count.places.free().is_empty())
    }

    /// They are given back.
    pub(super) fn gave_back(&self, client: &Arc<str>, places: &[Place]) {
        if places.is_empty() {
            return;
        }
        let mut counts = self.lock();
        if let Some(count) = counts.by_client.get_mut(client) {
            count.places.given_back(places);
            if count.is_idle() {
                counts.by_client.remove(client);
            }
        }
    }

    /// The clients that have places in Redis, or only those that have some to give back.
    pub(super) fn clients(&self, all: bool) -> Vec<Arc<str>> {
        let counts = self.lock();
        let wanted = counts.by_client.iter().filter(|(_, count)| match all {
            true => !count.places.is_empty(),
            false => !count.places.free().is_empty(),
        });
        wanted.map(|(client, _)| Arc::clone(client)).collect()
    }

    /// The places of these clients.
    pub(super) fn places(&self, clients: &[Arc<str>]) -> Vec<Places> {
        let counts = self.lock();
        let places = clients.iter().filter_map(|client| {
            let count = counts.by_client.get(client)?;
            Some(Places {
                client: Arc::clone(client),
                taken: count.places.taken().map(|(place, ())| *place).collect(),
                free: count.places.free().to_vec(),
            })
        });
        places.collect()
    }

    /// Waits until there are places to give back.
    pub(super) async fn given_back(&self) {
        self.0.given_back.notified().await;
    }

    fn leave(&self, client: &Arc<str>, place: Option<Place>) {
        let mut counts = self.lock();
        counts.total = counts.total.saturating_sub(1);
        let Some(count) = counts.by_client.get_mut(client) else {
            return;
        };
        count.calls = count.calls.saturating_sub(1);
        if let Some(place) = place {
            count.places.end(place);
            self.0.given_back.notify_one();
        }
        if count.is_idle() {
            counts.by_client.remove(client);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn is_idle(&self) -> bool {
        self.calls == 0 && self.places.free().is_empty()
    }
}

impl InFlight {
    /// Redis may hold a place for it, which has to be kept and given back.
    pub(super) fn has_place(&mut self, place: Place) {
        self.place = Some(place);
        let mut counts = self.calls.lock();
        if let Some(count) = counts.by_client.get_mut(&self.client) {
            count.places.take(place, ());
        }
    }

    /// Redis holds no place for it after all.
    pub(super) fn has_none(&mut self) {
        if let Some(place) = self.place.take() {
            let mut counts = self.calls.lock();
            if let Some(count) = counts.by_client.get_mut(&self.client) {
                count.places.forget(&place);
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.calls.leave(&self.client, self.place);
    }
}

/// How long Redis keeps a place that nobody speaks for.
pub(super) const KEEP: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        client: 3,
        total: 5,
        watches_client: false,
        watches_total: false,
    };

    #[test]
    fn a_client_has_so_many_calls_in_flight_and_others_are_not_concerned() {
        let calls = Calls::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let held: Vec<InFlight> = (0..3).map(|_| calls.enter(&one, ROOM).unwrap().0).collect();
        assert_eq!(calls.enter(&one, ROOM).unwrap_err(), Busy::Client(3));
        assert!(calls.enter(&other, ROOM).is_ok());
        drop(held);
        assert!(calls.enter(&one, ROOM).is_ok());
        assert!(
            calls.lock().by_client.is_empty(),
            "nothing is kept of clients at rest"
        );
        assert_eq!(calls.lock().total, 0);
    }

    #[test]
    fn all_clients_together_have_so_many() {
        let calls = Calls::default();
        let clients: [Arc<str>; 3] = ["one".into(), "two".into(), "three".into()];
        let held: Vec<_> = (0..5)
            .map(|n| calls.enter(&clients[n % 3], ROOM).unwrap())
            .collect();
        assert_eq!(
            calls.enter(&clients[2], ROOM).unwrap_err(),
            Busy::Everybody(5)
        );
        drop(held);
        assert!(calls.enter(&clients[2], ROOM).is_ok());
    }

    #[test]
    fn a_cap_that_only_watches_refuses_nothing_and_says_so() {
        let calls = Calls::default();
        let client: Arc<str> = "one".into();
        let room = Room {
            watches_client: true,
            ..ROOM
        };
        let mut held = Vec::new();
        let mut enter = || {
            let (call, watched) = calls.enter(&client, room)?;
            held.push(call);
            Ok(watched)
        };
        let told: Vec<_> = (0..6).map(|_| enter()).collect();
        assert_eq!(told[..3], [Ok(None); 3]);
        assert_eq!(told[3..5], [Ok(Some(Busy::Client(3))); 2]);
        assert_eq!(told[5], Err(Busy::Everybody(5)), "that one refuses");
    }

    #[test]
    fn places_are_scarce_where_a_quarter_of_them_is_not_free() {
        let calls = Calls::default();
        let client: Arc<str> = "one".into();
        let room = Room {
            client: 8,
            total: 100,
            ..ROOM
        };
        let (mut one, _) = calls.enter(&client, room).unwrap();
        one.has_place([1; 8]);
        assert!(!calls.are_scarce(room));
        drop(one);
        let (mut other, _) = calls.enter(&client, room).unwrap();
        other.has_place([2; 8]);
        assert!(
            calls.are_scarce(room),
            "one is taken, one not given back yet"
        );
        assert!(calls.are_scarce(Room { client: 1, ..room }));
    }

    #[test]
    fn a_place_is_taken_until_the_call_is_over_and_given_back_once() {
        let calls = Calls::default();
        let client: Arc<str> = "one".into();
        let (mut call, _) = calls.enter(&client, ROOM).unwrap();
        call.has_place([7; 8]);
        let clients = calls.clients(true);
        assert_eq!(calls.places(&clients)[0].taken, [[7; 8]]);
        assert!(calls.clients(false).is_empty(), "none to give back");
        drop(call);
        assert_eq!(calls.free(&client), [[7; 8]]);
        assert!(calls.places(&clients)[0].taken.is_empty(), "as it is now");
        assert_eq!(calls.clients(false), clients);
        calls.gave_back(&client, &[[7; 8]]);
        assert!(calls.free(&client).is_empty() && calls.clients(true).is_empty());
        assert!(calls.lock().by_client.is_empty());
    }
}

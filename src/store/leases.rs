//! Places that this process holds in Redis, and those that it has to give back: for every room that
//! counts what is in flight.

use std::collections::HashMap;

/// A place's name in Redis.
pub type Lease = [u8; 8];

/// The places of one owner, each with what has to be known of it. Holds as many as are in flight,
/// and a bounded number of those that are over.
#[derive(Debug)]
pub struct Leases<T = ()> {
    taken: HashMap<Lease, T>,
    /// Redis still believes them to be taken.
    free: Vec<Lease>,
}

impl<T> Leases<T> {
    /// Redis holds a place, or may hold it.
    pub fn take(&mut self, lease: Lease, what: T) {
        self.taken.insert(lease, what);
    }

    /// Redis holds none after all.
    pub fn forget(&mut self, lease: &Lease) {
        self.taken.remove(lease);
    }

    /// What held the place is over, so that it has to be given back.
    pub fn end(&mut self, lease: Lease) {
        self.taken.remove(&lease);
        // Without Redis nobody asks for them, and there they run out by themselves.
        if self.free.len() < MOST_FREE {
            self.free.push(lease);
        }
    }

    /// Redis was told that these are free. Until then they stay on the list: another question that
    /// overtakes the one that tells it gives them back as well.
    pub fn given_back(&mut self, leases: &[Lease]) {
        if !leases.is_empty() {
            self.free.retain(|lease| !leases.contains(lease));
        }
    }

    /// Places to give back.
    pub fn free(&self) -> &[Lease] {
        &self.free
    }

    /// Places that have to be kept.
    pub fn taken(&self) -> impl Iterator<Item = (&Lease, &T)> {
        self.taken.iter()
    }

    /// How many places Redis believes to be taken.
    pub fn len(&self) -> usize {
        self.taken.len() + self.free.len()
    }

    /// Whether Redis has no place of this owner.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for Leases<T> {
    fn default() -> Self {
        Self {
            taken: HashMap::new(),
            free: Vec::new(),
        }
    }
}

const MOST_FREE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_until_it_is_over_and_then_given_back_once() {
        let mut leases = Leases::default();
        leases.take([7; 8], true);
        assert_eq!(leases.taken().collect::<Vec<_>>(), [(&[7; 8], &true)]);
        leases.end([7; 8]);
        assert_eq!((leases.taken().count(), leases.free()), (0, &[[7; 8]][..]));
        leases.given_back(&[[7; 8], [8; 8]]);
        assert!(leases.is_empty());
    }

    #[test]
    fn a_place_that_redis_never_had_is_not_given_back() {
        let mut leases = Leases::default();
        leases.take([7; 8], ());
        leases.forget(&[7; 8]);
        assert!(leases.is_empty());
    }

    #[test]
    fn no_more_are_remembered_than_a_bounded_number() {
        let mut leases = Leases::<()>::default();
        for n in 0..2 * MOST_FREE as u64 {
            leases.end(n.to_be_bytes());
        }
        assert_eq!(leases.len(), MOST_FREE);
    }
}

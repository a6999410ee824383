//! Places for connections: in total, and for each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Address, Config, strangers::Line};

#[derive(Clone)]
pub(super) struct Places {
    total: Arc<Semaphore>,
    pub(super) line: Line,
    each: usize,
    by_address: Arc<Mutex<HashMap<Address, usize>>>,
}

/// One of all the places.
pub(super) struct Place {
    _total: OwnedSemaphorePermit,
}

/// One of an address's places.
pub(super) struct AddressPlace {
    address: Address,
    by_address: Arc<Mutex<HashMap<Address, usize>>>,
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            total: Arc::new(Semaphore::new(
                config.connections().min(Semaphore::MAX_PERMITS),
            )),
            line: Line::default(),
            each: config.max_connections_per_address.get(),
            by_address: Arc::default(),
        }
    }

    /// When all are taken, a stranger makes room, or else whoever has been at rest for longest; if
    /// there is one.
    pub(super) async fn take(&self) -> Option<Place> {
        if let Ok(total) = self.total.clone().try_acquire_owned() {
            return Some(Place { _total: total });
        }
        if !self.line.send_one_away() {
            return None;
        }
        // Nobody else could come in meanwhile either.
        let room = timeout(LEAVING, self.total.clone().acquire_owned());
        let total = room.await.ok()?.ok()?;
        Some(Place { _total: total })
    }

    pub(super) fn take_for(&self, ip: IpAddr) -> Option<AddressPlace> {
        let address = Address::from(ip);
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(AddressPlace {
            address,
            by_address: self.by_address.clone(),
        })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// For a connection that was sent away to be gone.
const LEAVING: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_has_the_places_of_one_address() {
        let places = Places {
            total: Arc::new(Semaphore::new(10)),
            line: Line::default(),
            each: 2,
            by_address: Arc::default(),
        };
        let take = |ip: &str| places.take_for(ip.parse().unwrap());
        let (first, second) = (take("2001:db8::1"), take("2001:db8::2"));
        assert!(first.is_some() && second.is_some() && take("2001:db8::3").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(take("2001:db8::3").is_some());
    }
}

//! Places for connections: in total, and for each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Config;

#[derive(Clone)]
pub(super) struct Places {
    total: Arc<Semaphore>,
    each: usize,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of all the places.
pub(super) struct Place {
    _total: OwnedSemaphorePermit,
}

/// One of an address's places.
pub(super) struct AddressPlace {
    ip: IpAddr,
    by_address: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            total: Arc::new(Semaphore::new(
                config.connections().min(Semaphore::MAX_PERMITS),
            )),
            each: config.max_connections_per_address.get(),
            by_address: Arc::default(),
        }
    }

    pub(super) fn take(&self) -> Option<Place> {
        let total = self.total.clone().try_acquire_owned().ok()?;
        Some(Place { _total: total })
    }

    pub(super) fn take_for(&self, ip: IpAddr) -> Option<AddressPlace> {
        let mut counts = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(AddressPlace {
            ip,
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
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

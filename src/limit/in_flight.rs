//! Calls in flight for each client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the calls in flight. Holds no more clients than there are calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    by_client: Arc<Mutex<HashMap<Arc<str>, u32>>>,
}

/// One call in flight; over when this is dropped.
#[derive(Debug)]
pub struct InFlight {
    calls: Calls,
    client: Arc<str>,
}

impl Calls {
    pub(super) fn enter(&self, client: &Arc<str>, limit: u32) -> Option<InFlight> {
        {
            let mut by_client = self.lock();
            let count = by_client.entry(Arc::clone(client)).or_default();
            if *count >= limit {
                return None;
            }
            *count += 1;
        }
        Some(InFlight {
            calls: self.clone(),
            client: Arc::clone(client),
        })
    }

    fn leave(&self, client: &Arc<str>) {
        let mut by_client = self.lock();
        if let Some(count) = by_client.get_mut(client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_client.remove(client);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.calls.leave(&self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_calls_in_flight_and_others_are_not_concerned() {
        let calls = Calls::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let held: Vec<InFlight> = (0..3).map_while(|_| calls.enter(&one, 3)).collect();
        assert_eq!(held.len(), 3);
        assert!(calls.enter(&one, 3).is_none());
        assert!(calls.enter(&other, 3).is_some());
        drop(held);
        assert!(calls.enter(&one, 3).is_some());
        assert!(
            calls.lock().is_empty(),
            "nothing is kept of clients at rest"
        );
    }
}

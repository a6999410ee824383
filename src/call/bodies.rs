//! How much of the bodies that are being read may be held at once, by all clients and by each: a
//! limit counts a call only once its body is there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the bytes that are held.
#[derive(Clone, Debug)]
pub struct Bodies {
    most: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_client: HashMap<Arc<str>, usize>,
}

/// What one body holds; given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    bodies: Bodies,
    client: Arc<str>,
    bytes: usize,
}

/// There is no room for a body, or for more of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes of bodies are being read")]
pub(super) struct Full;

impl Bodies {
    /// Room for so many bytes of all clients, and for a quarter of them of each.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            held: Arc::default(),
        }
    }

    /// Begins a body. A request takes memory before the first byte of its body came.
    pub(super) fn begin(&self, client: &Arc<str>) -> Result<Share, Full> {
        let mut share = Share {
            bodies: self.clone(),
            client: client.clone(),
            bytes: 0,
        };
        share.reach(LEAST)?;
        Ok(share)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// The same with room for a body that is so many bytes long by now; without room for that, what it
    /// had is given back.
    pub(super) fn reaching(mut self, bytes: usize) -> Result<Self, Full> {
        self.reach(bytes)?;
        Ok(self)
    }

    fn reach(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.bodies.lock();
        let own = held.by_client.get(&self.client).copied().unwrap_or(0);
        let (own, total) = (own.saturating_add(more), held.total.saturating_add(more));
        if own > self.bodies.most / SHARES || total > self.bodies.most {
            return Err(Full);
        }
        held.total = total;
        held.by_client.insert(self.client.clone(), own);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.bodies.lock();
        held.total = held.total.saturating_sub(self.bytes);
        if let Some(own) = held.by_client.get_mut(&self.client) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                held.by_client.remove(&self.client);
            }
        }
    }
}

/// Bytes of a body's room at least.
const LEAST: usize = 16 << 10;
/// One client gets no more than one of so many parts.
pub const SHARES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn clients<const N: usize>() -> [Arc<str>; N] {
        std::array::from_fn(|n| format!("client-{n}").into())
    }

    #[test]
    fn a_client_fills_its_own_part_and_no_other() {
        let bodies = Bodies::new(1 << 20);
        let [greedy, modest] = clients();
        let held: Vec<_> = std::iter::from_fn(|| bodies.begin(&greedy).ok()).collect();
        assert_eq!(held.len(), (1 << 18) / LEAST);
        let mut other = bodies.begin(&modest).unwrap();
        assert_eq!(other.reach(200_000), Ok(()));
        assert_eq!(other.reach(300_000), Err(Full));
        drop((held, other));
        assert!(bodies.begin(&greedy).is_ok());
        let held = bodies.lock();
        assert!(held.total == 0 && held.by_client.is_empty());
    }

    #[test]
    fn all_together_have_so_much_room() {
        let bodies = Bodies::new(1 << 20);
        let clients: [_; 5] = clients();
        let held: Vec<_> = clients
            .iter()
            .filter_map(|client| {
                let mut share = bodies.begin(client).ok()?;
                share.reach(1 << 18).ok()?;
                Some(share)
            })
            .collect();
        assert_eq!(held.len(), SHARES);
        drop(held);
        assert!(bodies.begin(&clients[4]).is_ok());
    }
}

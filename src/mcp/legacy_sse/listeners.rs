//! Streams of the sessions of `/mcp`: nothing is sent on them, and they take room as those here do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use super::Sessions;
use crate::{auth::Caller, refusal::Refusal};

/// Who listens.
#[derive(Default)]
pub(super) struct Listeners(Mutex<HashMap<Uuid, Arc<Caller>>>);

/// Room for one stream, for as long as it is held.
pub(in crate::mcp) struct Place {
    sessions: Arc<Sessions>,
    name: Uuid,
}

impl Listeners {
    pub(super) fn callers(&self) -> Vec<Arc<Caller>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Caller>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Takes room for a stream that is not a session of its own.
    ///
    /// # Errors
    /// As for a stream of `/sse`.
    pub(in crate::mcp) fn listen(self: Arc<Self>, caller: &Arc<Caller>) -> Result<Place, Refusal> {
        let name = Uuid::new_v4();
        self.with_room_for(caller, |_| {
            self.listeners.lock().insert(name, caller.clone());
        })?;
        Ok(Place {
            sessions: self,
            name,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.listeners.lock().remove(&self.name);
    }
}

//! `notifications/cancelled` of a session of `/mcp`, which may reach another instance than the one
//! that runs the call.

use rmcp::model::RequestId;
use uuid::Uuid;

use super::{Bound, HttpSessions, ask_each};
use crate::auth::Caller;

impl Bound {
    /// Cancels a call of this session, wherever it runs. As every notification it promises nothing:
    /// without Redis it counts here alone. `by`: the request that says so.
    pub(super) async fn cancel(&self, id: &RequestId, by: Uuid) {
        let sessions = &self.sessions;
        if sessions.calls.cancel(&self.id, id, by) {
            return;
        }
        let Some(relay) = sessions.streams.relay() else {
            return;
        };
        let Ok(mut elsewhere) = sessions.keeper.elsewhere(&self.id).await else {
            return;
        };
        let told = ask_each(&elsewhere, |instance| {
            relay.cancel(instance, &self.id, &self.caller, (id, by))
        });
        let mut are_gone = told.await.into_iter();
        elsewhere.retain(|_| are_gone.next().unwrap_or_default());
        if !elsewhere.is_empty() {
            sessions.keeper.forget(&self.id, &elsewhere).await;
        }
    }
}

impl HttpSessions {
    /// Another instance hands over that the caller of a session cancels a call.
    pub(in crate::mcp) fn cancel(
        &self,
        session: &str,
        caller: &Caller,
        (id, by): (&RequestId, Uuid),
    ) {
        let here = self.here();
        let here = here.get(session);
        if here.is_some_and(|here| here.kept.caller.shares_with(caller)) {
            self.calls.cancel(session, id, by);
        }
    }
}

//! What is under way in sessions on this instance: calls, which can be cancelled, and questions to
//! the client, which come with the answer to a call and are answered by a POST of their own.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::mcp::cause::{Cause, LAST_WORD};

/// A session, and what a request is called in it.
type Name = (Box<str>, RequestId);
type ByName<T> = HashMap<Name, T>;

#[derive(Default)]
pub(super) struct Calls {
    running: Mutex<ByName<Begun>>,
    asked: Mutex<ByName<Question>>,
}

/// What ends a call that runs.
struct Begun {
    place: Uuid,
    cancelled: CancellationToken,
    cause: Cause,
}

/// A request of the server's that a client has not answered.
struct Question {
    /// What the protocol library calls it; every call counts its own from zero.
    id: RequestId,
    answer: mpsc::Sender<ClientJsonRpcMessage>,
}

/// A call that runs, for as long as it is held; then it is cancelled.
pub(in crate::mcp) struct Running {
    calls: Arc<Calls>,
    name: Name,
    place: Uuid,
    cancelled: CancellationToken,
    cause: Cause,
    _end: DropGuard,
}

impl Running {
    pub(in crate::mcp) const fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Why it is cancelled, once it is.
    pub(in crate::mcp) const fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.calls.running();
        // A later call of the same id may have its place.
        if running
            .get(&self.name)
            .is_some_and(|begun| begun.place == self.place)
        {
            running.remove(&self.name);
        }
    }
}

impl Calls {
    /// None while another call with that id runs: of an answer or a cancellation nobody could say
    /// which of the two it is about.
    pub(super) fn begin(
        self: &Arc<Self>,
        session: &str,
        id: RequestId,
        over: &CancellationToken,
    ) -> Option<Running> {
        let (name, place, cancelled) = ((session.into(), id), Uuid::new_v4(), over.child_token());
        let cause = Cause::default();
        let begun = Begun {
            place,
            cancelled: cancelled.clone(),
            cause: cause.clone(),
        };
        match self.running().entry(Clone::clone(&name)) {
            Entry::Occupied(_) => return None,
            Entry::Vacant(vacant) => vacant.insert(begun),
        };
        Some(Running {
            calls: self.clone(),
            name,
            place,
            cause,
            _end: cancelled.clone().drop_guard(),
            cancelled,
        })
    }

    /// Whether there was such a call here.
    pub(super) fn cancel(&self, session: &str, id: &RequestId, by: Uuid) -> bool {
        let running = self.running().remove(&(session.into(), id.clone()));
        if let Some(begun) = &running {
            begun.cause.cancel(by);
            begun.cancelled.cancel();
        }
        running.is_some()
    }

    /// Cancels all calls of a session, whose caller may not have it any more. They are answered.
    pub(super) fn stop(&self, session: &str, why: &str) {
        let mut cut = Vec::new();
        for ((of, _), begun) in &*self.running() {
            if **of == *session {
                begun.cause.cut(why);
                cut.push(begun.cancelled.clone());
            }
        }
        if cut.is_empty() {
            return;
        }
        tokio::spawn(async move {
            sleep(LAST_WORD).await;
            for call in cut {
                call.cancel();
            }
        });
    }

    /// Says under which id the client is asked.
    pub(super) fn ask(
        &self,
        session: &str,
        id: RequestId,
        answer: mpsc::Sender<ClientJsonRpcMessage>,
    ) -> RequestId {
        let asked = RequestId::String(Uuid::new_v4().simple().to_string().into());
        let name = (session.into(), asked.clone());
        self.asked().insert(name, Question { id, answer });
        asked
    }

    /// Hands an answer to who asked. One to nothing that was asked here is let go.
    pub(super) fn answer(&self, session: &str, mut message: ClientJsonRpcMessage) {
        let given = match &message {
            JsonRpcMessage::Response(answer) => Some(answer.id.clone()),
            JsonRpcMessage::Error(answer) => answer.id.clone(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let question = given.and_then(|id| self.asked().remove(&(session.into(), id)));
        let Some(question) = question else {
            return;
        };
        match &mut message {
            JsonRpcMessage::Response(answer) => answer.id = question.id,
            JsonRpcMessage::Error(answer) => answer.id = Some(question.id),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        let _ = question.answer.try_send(message);
    }

    /// A call is over, and with it what it had asked.
    pub(super) fn forget(&self, session: &str, asked: &[RequestId]) {
        let mut questions = self.asked();
        for id in asked {
            questions.remove(&(session.into(), id.clone()));
        }
    }

    fn running(&self) -> MutexGuard<'_, ByName<Begun>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, ByName<Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

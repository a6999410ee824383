//! The side that was asked: it knows the caller, and waits for what the other side answers.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt as _;
use metrics::counter;
use rmcp::model::RequestId;
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use super::{
    super::legacy_sse::Sessions,
    Posted, Relay,
    letter::{Answer, Cancel, Letter, Post},
};
use crate::{auth::Caller, call::LONGEST_ID, listen::Peer, refusal::Refusal};

/// A session of the caller's on another instance.
#[derive(Clone)]
pub(in crate::mcp) struct Elsewhere {
    session: Arc<str>,
    instance: Arc<str>,
}

/// Whom an answer is for.
pub(super) struct Waiting {
    session: Arc<str>,
    tell: oneshot::Sender<Answer>,
}

/// What was found out about a session that is not here.
pub(in crate::mcp) enum Found {
    Elsewhere(Elsewhere),
    /// Somebody else opened it.
    Anothers,
}

/// Guard: hands the message over where its session is on another instance, and goes no further.
///
/// # Errors
/// 404 when that instance is gone, 503 when it cannot be asked or nobody knows, 413 for what is too large to be
/// handed over, 429 when too many messages are on their way.
pub async fn hand_over(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let Some(elsewhere) = request.extensions().get::<Elsewhere>().cloned() else {
        return Ok(next.run(request).await);
    };
    let relay = sessions.relay().ok_or(Refusal::Internal)?;
    let (parts, body) = request.into_parts();
    let extensions = &parts.extensions;
    let (Some(caller), Some(peer)) = (extensions.get::<Arc<Caller>>(), extensions.get::<Peer>())
    else {
        return Err(Refusal::Internal);
    };
    // It is in memory already, and valid: the guard before has read it.
    let body = body.collect().await.map_err(|_| Refusal::Internal)?;
    let body = body.to_bytes();
    if body.len() > LARGEST {
        return Err(Refusal::TooLarge);
    }
    let body = String::from_utf8(body.to_vec()).map_err(|_| Refusal::Internal)?;
    let post = Post::new(
        &relay.instance,
        &elsewhere.session,
        caller,
        (peer.ip, peer.request_id),
        &parts.headers,
        body,
    );
    let answered = relay.answered(&elsewhere, post).await;
    let outcome = match &answered {
        Ok(_) => "answered",
        Err(refusal) => refusal.name(),
    };
    counter!("zoho_mcp_relayed_total", "outcome" => outcome).increment(1);
    answered
}

impl Relay {
    /// Where a session of the caller's is that is not here.
    ///
    /// # Errors
    /// It is nowhere.
    pub(in crate::mcp) fn find(&self, id: &str, caller: &Caller) -> Result<Found, Refusal> {
        match self.read_ticket(id) {
            // One of ours that is not here any more has just ended.
            Some(ticket) if ticket.instance == self.instance => Err(Refusal::NoSession),
            Some(ticket) if !ticket.is_of(self, caller) => Ok(Found::Anothers),
            Some(ticket) => Ok(Found::Elsewhere(Elsewhere {
                session: id.into(),
                instance: ticket.instance.into(),
            })),
            None => Err(Refusal::NoSession),
        }
    }

    /// Tells an instance that the caller of a session of `/mcp` cancels a call, and says whether that
    /// instance is gone. What is lost on the way cancels nothing, and no call has an id that is longer
    /// than ids may be.
    pub(in crate::mcp) async fn cancel(
        &self,
        instance: &str,
        session: &str,
        caller: &Caller,
        (call, by): (&RequestId, Uuid),
    ) -> bool {
        if matches!(call, RequestId::String(id) if id.len() > LONGEST_ID) {
            return false;
        }
        let letter = Letter::Cancel(Box::new(Cancel::new(session, caller, call, by)));
        matches!(self.post(instance, &letter).await, Ok(Posted::Gone))
    }

    async fn answered(&self, to: &Elsewhere, post: Post) -> Result<Response, Refusal> {
        let (tell, mut told) = oneshot::channel();
        let id = post.id;
        let _place = self.wait(id, to, tell)?;
        let letter = Letter::Post(Box::new(post));
        let in_time = match self.post(&to.instance, &letter).await {
            Ok(Posted::Taken) => timeout(PATIENCE, &mut told).await.ok(),
            Ok(Posted::Gone) => return Err(Refusal::NoSession),
            Ok(Posted::Full | Posted::Unsure) => return Err(Refusal::SessionAway),
            // Whether Redis has it nobody knows.
            Err(_) => None,
        };
        let answer = match in_time {
            Some(answer) => answer.ok(),
            None if self.withdraw(&to.instance, id).await => return Err(Refusal::SessionAway),
            // It may have come this moment.
            None => told.try_recv().ok(),
        };
        let answer = answer.ok_or(Refusal::SessionSilent)?;
        answer.into_response().ok_or(Refusal::Internal)
    }

    /// Takes a place among those who wait, for as long as it is held.
    fn wait(
        &self,
        id: Uuid,
        to: &Elsewhere,
        tell: oneshot::Sender<Answer>,
    ) -> Result<Place<'_>, Refusal> {
        let mut waiting = self.waiting();
        let of_session = waiting.values().filter(|it| it.session == to.session);
        if waiting.len() >= MOST || of_session.count() >= MOST_OF_SESSION {
            return Err(Refusal::TooManyOpen);
        }
        let session = to.session.clone();
        waiting.insert(id, Waiting { session, tell });
        Ok(Place { relay: self, id })
    }

    /// An answer has come; perhaps nobody waits for it any more.
    pub(super) fn deliver(&self, answer: Answer) {
        let waiting = self.waiting().remove(&answer.to);
        if let Some(waiting) = waiting {
            let _ = waiting.tell.send(answer);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait.
struct Place<'a> {
    relay: &'a Relay,
    id: Uuid,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.relay.waiting().remove(&self.id);
    }
}

/// Bytes of one message.
const LARGEST: usize = 1 << 20;
/// Messages that wait for their answer.
const MOST: usize = 512;
/// The same of one session.
pub(super) const MOST_OF_SESSION: usize = 32;
/// For the other instance to answer. What it has not taken up by then is taken back.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

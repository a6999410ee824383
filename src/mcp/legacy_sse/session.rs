//! The sessions that are open here: bounded, each bound to the caller who opened it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use rmcp::{
    model::{ClientRequest, InitializeRequestParams, JsonRpcRequest, ProtocolVersion, RequestId},
    service::serve_directly_with_ct,
};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use uuid::Uuid;

use super::{listeners::Listeners, not_taken::NotTaken, transport::Exchange};
use crate::{
    auth::{Caller, Lapse},
    call::Call,
    listen::Drain,
    mcp::{
        Config, Handler,
        cause::{Cause, LAST_WORD},
        handler,
        relay::Relay,
        session,
    },
    refusal::Refusal,
};

/// All open sessions.
pub struct Sessions {
    open: Mutex<HashMap<Box<str>, Arc<Session>>>,
    pub(super) listeners: Listeners,
    config: Config,
    drain: Drain,
    /// To and from other instances, where there are some.
    relay: Option<Arc<Relay>>,
}

/// One open session.
pub struct Session {
    id: Box<str>,
    owner: Arc<Caller>,
    handler: Handler,
    outbound: mpsc::Sender<Bytes>,
    unanswered: Mutex<Vec<Unanswered>>,
    max_unanswered: usize,
    /// Messages that other instances hand over, at once.
    relayed: Arc<Semaphore>,
    /// Whether the handshake has begun, or a request came that needs none.
    begun: AtomicBool,
    /// What the handshake asked for.
    revision: OnceLock<ProtocolVersion>,
    drain: Drain,
    until: Instant,
    ended: CancellationToken,
    /// Why it has, for the calls that end with it.
    cause: Cause,
    /// Whether who opened it is not believed any more: it takes no more messages.
    lapsed: AtomicBool,
}

/// A request whose answer is not on the stream yet; the drain waits for it.
pub(super) struct Unanswered {
    id: RequestId,
    cancelled: CancellationToken,
    cause: Cause,
    _awaited: TaskTrackerToken,
}

/// A session, and what its stream sends.
pub(super) struct Opened {
    pub(super) session: Arc<Session>,
    pub(super) outbound: mpsc::Receiver<Bytes>,
}

impl Sessions {
    /// No session yet.
    pub fn new(config: Config, drain: Drain, relay: Option<Arc<Relay>>) -> Self {
        Self {
            open: Mutex::default(),
            listeners: Listeners::default(),
            config,
            drain,
            relay,
        }
    }

    pub(super) fn open(&self, caller: &Arc<Caller>, handler: Handler) -> Result<Opened, Refusal> {
        let (to_stream, outbound) = mpsc::channel(QUEUE);
        // Sealed, or 122 random bits; and an id alone opens nothing, since its owner is checked.
        let id: Box<str> = match &self.relay {
            Some(relay) => relay.new_session(caller).ok_or(Refusal::Internal)?,
            None => Uuid::new_v4().simple().to_string().into(),
        };
        let session = Arc::new(Session {
            id: id.clone(),
            owner: caller.clone(),
            handler,
            outbound: to_stream,
            unanswered: Mutex::default(),
            begun: AtomicBool::new(false),
            revision: OnceLock::new(),
            relayed: Arc::new(Semaphore::new(RELAYED)),
            max_unanswered: self.config.max_calls_per_stream.get(),
            drain: self.drain.clone(),
            until: Instant::now() + self.config.max_stream_age.duration(),
            ended: self.drain.streams().child_token(),
            cause: Cause::default(),
            lapsed: AtomicBool::new(false),
        });
        self.with_room_for(caller, |open| {
            open.insert(id, session.clone());
        })?;
        Ok(Opened { session, outbound })
    }

    /// Takes room for one more stream of the caller's, where there is some.
    pub(super) fn with_room_for(
        &self,
        caller: &Caller,
        take: impl FnOnce(&mut HashMap<Box<str>, Arc<Session>>),
    ) -> Result<(), Refusal> {
        if self.drain.has_begun() {
            return Err(Refusal::Draining);
        }
        let mut open = self.lock();
        let listeners = self.listeners.callers();
        let (mut of_client, mut of_user) = (0, 0);
        for owner in open
            .values()
            .map(|session| &session.owner)
            .chain(&listeners)
        {
            let is_clients = owner.client == caller.client;
            of_client += usize::from(is_clients);
            of_user += usize::from(is_clients && owner.user == caller.user);
        }
        let config = &self.config;
        if of_client >= config.max_streams_per_client.get()
            || of_user >= config.max_streams_per_user.get()
        {
            return Err(Refusal::TooManyOpen);
        }
        take(&mut open);
        Ok(())
    }

    pub(in crate::mcp) fn find(&self, id: &str, caller: &Caller) -> Option<Arc<Session>> {
        let session = self.lock().get(id)?.clone();
        let open = !session.ended.is_cancelled()
            && !session.lapsed.load(Ordering::Relaxed)
            && Instant::now() < session.until;
        (session.owner.shares_with(caller) && open).then_some(session)
    }

    /// Whether there is such a session, whoever opened it.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// The way to the sessions of other instances.
    pub fn relay(&self) -> Option<&Arc<Relay>> {
        self.relay.as_ref()
    }

    /// Whether there is such a session, and somebody else opened it.
    pub(super) fn is_anothers(&self, id: &str, caller: &Caller) -> bool {
        let sessions = self.lock();
        let session = sessions.get(id);
        session.is_some_and(|session| !session.owner.shares_with(caller))
    }

    /// `why` where it was not the client who ended it.
    pub(super) fn close(&self, session: &Session, why: Option<&str>) {
        if let Some(why) = why {
            session.cause.tell(why);
        }
        session.ended.cancel();
        session.unanswered().clear();
        self.lock().remove(&session.id);
    }

    /// How long a stream stays for its last answers, whose caller is not believed any more.
    pub(super) fn last_answers(&self, lapse: Lapse) -> Duration {
        match lapse.is_end_of_token() {
            true => self.config.tool_timeout.duration() + LAST_WORD,
            false => LAST_WORD,
        }
    }

    pub(super) fn keep_alive(&self) -> Duration {
        self.config.keep_alive.duration()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub(in crate::mcp) fn id(&self) -> &str {
        &self.id
    }

    pub(in crate::mcp) fn owner(&self) -> &Arc<Caller> {
        &self.owner
    }

    pub(in crate::mcp) fn relayed(&self) -> Arc<Semaphore> {
        self.relayed.clone()
    }

    /// What the log calls it.
    pub(in crate::mcp) fn label(&self) -> Arc<str> {
        session::label(&self.id)
    }

    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// When it takes no more messages, and ends once those that it took are answered.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Whether every answer that is owed is on the stream.
    pub(super) fn owes_nothing(&self) -> bool {
        self.unanswered().is_empty()
    }

    /// Lets a request in that may come now: first of all the handshake, or one of the revision
    /// that has none.
    pub(super) fn admit(&self, request: &ClientRequest, call: &Call) -> Result<(), NotTaken> {
        let handshake = matches!(request, ClientRequest::InitializeRequest(_));
        if let ClientRequest::InitializeRequest(handshake) = request {
            // The first one counts.
            let _ = self.revision.set(handshake.params.protocol_version.clone());
        }
        let probe = matches!(
            request,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_)
        );
        if handshake || (call.version.is_some() && !probe) {
            self.begun.store(true, Ordering::Relaxed);
        }
        if handler::is_never_asked(&call.method) {
            return Err(NotTaken::NoMethod);
        }
        let may_come = probe && (call.version.is_some() || &*call.method == "ping");
        match may_come || self.begun.load(Ordering::Relaxed) {
            true => Ok(()),
            false if &*call.method == "initialize" => Err(NotTaken::Handshake),
            false => Err(NotTaken::NotInitialized),
        }
    }

    /// Counts a call in, until it is answered or cancelled.
    pub(super) fn begin_call(
        &self,
        id: &RequestId,
        cause: Cause,
    ) -> Result<CancellationToken, NotTaken> {
        let mut unanswered = self.unanswered();
        // Of two calls with one id rmcp answers one.
        if unanswered.iter().any(|call| call.id == *id) {
            return Err(NotTaken::IdInUse);
        }
        if unanswered.len() >= self.max_unanswered {
            return Err(NotTaken::TooMany);
        }
        let cancelled = self.ended.child_token();
        unanswered.push(Unanswered {
            id: id.clone(),
            cancelled: cancelled.clone(),
            cause,
            _awaited: self.drain.call(),
        });
        Ok(cancelled)
    }

    /// Ends a call, which will never be answered.
    pub(super) fn cancel_call(&self, id: &RequestId, by: Uuid) {
        if let Some(call) = take(&mut self.unanswered(), id) {
            call.cause.cancel(by);
            call.cancelled.cancel();
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, Vec<Unanswered>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the handler answer a request on the stream, unless it is cancelled.
    pub(super) fn answer(
        self: Arc<Self>,
        request: JsonRpcRequest<ClientRequest>,
        cancelled: CancellationToken,
    ) {
        let known_as = self.revision.get().map(|revision| {
            let mut client = InitializeRequestParams::default();
            client.protocol_version = revision.clone();
            client
        });
        let handler = self.handler.clone();
        let exchange = Exchange::new(self, request);
        let service = serve_directly_with_ct(handler, exchange, known_as, cancelled);
        tokio::spawn(service.waiting());
    }

    /// Why one more call is cancelled, where it ends with the session or before.
    pub(super) fn cause(&self) -> Cause {
        self.cause.of_one()
    }

    /// Takes no more messages. Calls that have begun hear their end.
    pub(super) fn lapse(&self, lapse: Lapse) {
        self.lapsed.store(true, Ordering::Relaxed);
        self.cause.lapse(lapse);
    }

    /// Nobody reads it.
    fn stall(&self) {
        self.cause.tell("ended");
        self.ended.cancel();
    }

    /// Puts a message of our own on the stream. A stream that nobody reads ends instead.
    pub(super) fn tell(&self, message: &impl Serialize) {
        let event = event("message", message);
        if event.is_none_or(|event| self.outbound.try_send(event).is_err()) {
            self.stall();
        }
    }

    /// Sends a message, the answer to `answered` perhaps, waiting for a slow reader for a bounded
    /// while.
    pub(super) async fn send(
        &self,
        message: &impl Serialize,
        answered: Option<&RequestId>,
    ) -> Result<(), Gone> {
        let event = event("message", message).ok_or(Gone)?;
        let Ok(Ok(room)) = tokio::time::timeout(STALLED, self.outbound.reserve()).await else {
            self.stall();
            return Err(Gone);
        };
        // A client that has its answer may ask again at once, so the call has to be over by then;
        // and the stream may not end between the two.
        let mut unanswered = self.unanswered();
        let _awaited = answered.and_then(|id| take(&mut unanswered, id));
        room.send(event);
        Ok(())
    }
}

/// The stream has ended.
#[derive(Debug, thiserror::Error)]
#[error("the stream has ended")]
pub(super) struct Gone;

fn take(unanswered: &mut Vec<Unanswered>, id: &RequestId) -> Option<Unanswered> {
    let place = unanswered.iter().position(|call| call.id == *id)?;
    Some(unanswered.swap_remove(place))
}

fn event(name: &str, message: &impl Serialize) -> Option<Bytes> {
    let mut event = format!("event: {name}\ndata: ").into_bytes();
    serde_json::to_writer(&mut event, message).ok()?;
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}

/// Messages that wait for their reader.
const QUEUE: usize = 32;
/// Messages of other instances that are worked on for one session.
const RELAYED: usize = 32;
/// A reader that takes nothing for so long has left.
const STALLED: Duration = Duration::from_secs(30);

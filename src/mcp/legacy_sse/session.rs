//! The sessions that are open here: bounded, each bound to the caller who opened it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use rmcp::model::ClientJsonRpcMessage;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{auth::Caller, listen::Drain, mcp::Config, refusal::Refusal};

/// All open sessions.
pub struct Sessions {
    open: Mutex<HashMap<Box<str>, Arc<Session>>>,
    config: Config,
    drain: Drain,
}

/// One open session.
pub struct Session {
    id: Box<str>,
    owner: Arc<Caller>,
    inbound: mpsc::Sender<ClientJsonRpcMessage>,
    outbound: mpsc::Sender<Bytes>,
    unanswered: AtomicUsize,
    max_unanswered: usize,
    ended: CancellationToken,
}

/// A session and the ends of its channels that its stream and its service take.
pub(super) struct Opened {
    pub(super) session: Arc<Session>,
    pub(super) inbound: Option<mpsc::Receiver<ClientJsonRpcMessage>>,
    pub(super) outbound: mpsc::Receiver<Bytes>,
}

impl Sessions {
    /// No session yet.
    pub fn new(config: Config, drain: Drain) -> Self {
        Self {
            open: Mutex::default(),
            config,
            drain,
        }
    }

    pub(super) fn open(&self, caller: &Arc<Caller>) -> Result<Opened, Refusal> {
        if self.drain.has_begun() {
            return Err(Refusal::Draining);
        }
        let mut open = self.lock();
        let of_caller = open
            .values()
            .filter(|session| session.owner.client == caller.client);
        if of_caller.count() >= self.config.max_streams_per_client.get() {
            return Err(Refusal::TooManyOpen);
        }
        let (to_service, inbound) = mpsc::channel(QUEUE);
        let (to_stream, outbound) = mpsc::channel(QUEUE);
        // 122 random bits; and an id alone opens nothing, since its owner is checked.
        let id: Box<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let session = Arc::new(Session {
            id: id.clone(),
            owner: caller.clone(),
            inbound: to_service,
            outbound: to_stream,
            unanswered: AtomicUsize::new(0),
            max_unanswered: self.config.max_calls_per_stream.get(),
            ended: self.drain.streams().child_token(),
        });
        open.insert(id, session.clone());
        Ok(Opened {
            session,
            inbound: Some(inbound),
            outbound,
        })
    }

    pub(super) fn find(&self, id: &str, caller: &Caller) -> Option<Arc<Session>> {
        let session = self.lock().get(id)?.clone();
        let same = session.owner.client == caller.client && session.owner.user == caller.user;
        (same && !session.ended.is_cancelled()).then_some(session)
    }

    pub(super) fn close(&self, session: &Session) {
        session.ended.cancel();
        self.lock().remove(&session.id);
    }

    pub(super) fn keep_alive(&self) -> Duration {
        self.config.keep_alive.duration()
    }

    pub(super) fn max_age(&self) -> Duration {
        self.config.max_stream_age.duration()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What the log calls it: the id itself would let a reader of the log post to it.
    pub(super) fn label(&self) -> Arc<str> {
        let digest = Sha256::digest(self.id.as_bytes());
        let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        hex.collect::<String>().into()
    }

    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Counts a call in, unless too many are unanswered.
    pub(super) fn begin_call(&self) -> bool {
        let room = |unanswered| (unanswered < self.max_unanswered).then_some(unanswered + 1);
        self.unanswered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok()
    }

    pub(super) fn end_call(&self) {
        let less = |unanswered: usize| unanswered.checked_sub(1);
        let _ = self
            .unanswered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn deliver(&self, message: ClientJsonRpcMessage) -> Result<(), Refusal> {
        self.inbound.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::TooManyOpen,
            mpsc::error::TrySendError::Closed(_) => Refusal::NoSession,
        })
    }

    /// Puts a message of our own on the stream. A stream that nobody reads ends instead.
    pub(super) fn tell(&self, message: &impl Serialize) {
        let event = event("message", message);
        if event.is_none_or(|event| self.outbound.try_send(event).is_err()) {
            self.ended.cancel();
        }
    }

    /// Sends an answer, waiting for a slow reader for a bounded while.
    pub(super) async fn send(&self, message: &impl Serialize) -> Result<(), Gone> {
        let event = event("message", message).ok_or(Gone)?;
        let sent = self.outbound.send_timeout(event, STALLED).await;
        sent.map_err(|_| {
            self.ended.cancel();
            Gone
        })
    }
}

/// The stream has ended.
#[derive(Debug, thiserror::Error)]
#[error("the stream has ended")]
pub(super) struct Gone;

/// What a client with too many unanswered calls is told on its stream.
pub(super) fn busy(id: Option<&RawValue>) -> impl Serialize {
    #[derive(Serialize)]
    struct Busy<'a> {
        jsonrpc: &'static str,
        id: Option<&'a RawValue>,
        error: Error,
    }
    #[derive(Serialize)]
    struct Error {
        code: i32,
        message: &'static str,
    }
    let message =
        "Too many calls on this stream are unanswered. Wait for one to finish, then try again";
    Busy {
        jsonrpc: "2.0",
        id,
        error: Error { code: 429, message },
    }
}

fn event(name: &str, message: &impl Serialize) -> Option<Bytes> {
    let mut event = format!("event: {name}\ndata: ").into_bytes();
    serde_json::to_writer(&mut event, message).ok()?;
    event.extend_from_slice(b"\n\n");
    Some(event.into())
}

/// Messages that wait in either direction.
const QUEUE: usize = 32;
/// A reader that takes nothing for so long has left.
const STALLED: Duration = Duration::from_secs(30);

//! Sessions of `/mcp`, for clients of the older revisions that want them: an id, bound to the caller
//! who was given it. What a session has to be known by is a few words, so that every instance that
//! shares Redis can answer the next message of any session; nothing runs while nothing is asked.

mod calls;
mod cancel;
mod door;
mod ends;
mod exchange;
mod kept;
mod own;
mod shared;
mod unanswered;
mod unsure;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::HeaderName;
use futures_util::future::join_all;
use rmcp::model::{InitializeRequestParams, ProtocolVersion, RequestId};
use secrecy::SecretSlice;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    calls::Calls,
    kept::{Away, Bounds, Keeper, Kept, Lookup, NotKept, Opening},
    own::Own,
    shared::Shared,
    unanswered::Unanswered,
    unsure::Unsure,
};
use super::{Config, handler::ID_IN_USE, legacy_sse::Sessions};
use crate::{
    audit::{Audit, Kind},
    auth::{Caller, Lease},
    call::Call,
    limit::seconds_to_wait,
    listen::{Drain, Peer},
    refusal::Refusal,
    store::{BadKey, Store},
};

pub use door::{bind, call_in_log, delete, listen};
pub(super) use {calls::Running, door::open, exchange::serve};

/// All sessions of `/mcp`.
pub struct HttpSessions {
    keeper: Keeper,
    bounds: Bounds,
    /// What this instance has of sessions: it opened them, or holds streams of theirs.
    here: Mutex<HashMap<Box<str>, Here>>,
    calls: Arc<Calls>,
    unsure: Unsure,
    unanswered: Unanswered,
    /// The other room of streams: both have the same caps.
    streams: Arc<Sessions>,
    config: Config,
    audit: Audit,
    drain: Drain,
}

/// What this instance has of a session.
struct Here {
    kept: Arc<Kept>,
    /// Of the caller who opened it, wherever that was.
    lease: Lease,
    /// Then it is known here until it ends.
    is_opened_here: bool,
    /// Its client left before it was told the id: nobody can use it.
    is_untold: bool,
    /// Ends the streams that are open of it.
    ended: CancellationToken,
    /// Streams and calls.
    users: usize,
    /// When the keeper last heard that it is used.
    used: Instant,
}

/// The session that a message belongs to.
pub(super) struct Bound {
    pub(super) id: Box<str>,
    caller: Arc<Caller>,
    kept: Arc<Kept>,
    /// Of the caller who opened it.
    lease: Lease,
    sessions: Arc<HttpSessions>,
}

/// Part in a session, for as long as it is held: whoever has it hears of the end.
pub(super) struct Part {
    sessions: Arc<HttpSessions>,
    id: Box<str>,
    ended: CancellationToken,
}

impl HttpSessions {
    /// Sessions of this process alone, or of all that share a Redis and a key.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn new(
        streams: Arc<Sessions>,
        config: &Config,
        shared: Option<(Store, &SecretSlice<u8>)>,
        (audit, drain): (Audit, Drain),
    ) -> Result<Self, BadKey> {
        let keeper = match shared {
            Some((store, key)) => {
                let instance = streams.relay().map_or("", |relay| relay.instance());
                Keeper::Shared(Box::new(Shared::new(store, key, instance)?))
            }
            None => Keeper::Own(Own::default()),
        };
        Ok(Self {
            keeper,
            bounds: Bounds {
                idle: config.session_idle.duration(),
                age: config.max_session_age.duration(),
                total: config.max_sessions.get(),
                per_client: config.max_sessions_per_client.get(),
                per_user: config.max_sessions_per_user.get(),
            },
            here: Mutex::default(),
            calls: Arc::default(),
            unsure: Unsure::default(),
            unanswered: Unanswered::default(),
            streams,
            config: config.clone(),
            audit,
            drain,
        })
    }

    /// Opens a session of the caller's and says its id.
    async fn open(
        self: &Arc<Self>,
        (caller, lease): (Arc<Caller>, Lease),
        peer: &Peer,
        (revision, capabilities): (ProtocolVersion, Box<RawValue>),
        asked: Option<Box<RawValue>>,
    ) -> Result<Box<str>, Refusal> {
        // Two times 122 random bits; and an id alone opens nothing, since its owner is checked.
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let id: Box<str> = halves.map(|half| half.simple().to_string()).concat().into();
        let caller = Arc::new(caller.without_tokens());
        let kept = Arc::new(Kept {
            caller: caller.clone(),
            revision,
            capabilities,
            opening: Opening::by(peer, label(&id)),
        });
        // Its client may leave meanwhile, and what Redis keeps has its lines all the same, in a drain too.
        let (sessions, lease) = (self.clone(), lease.of(caller));
        let (tell, told) = oneshot::channel();
        let held = self.drain.call();
        tokio::spawn(async move {
            let _held = held;
            let opened = sessions.begin(id, kept.clone(), lease).await;
            if let Err(Ok(id)) = tell.send(opened) {
                sessions.end_untold(&id, &kept).await;
            }
        });
        let opened = told.await.unwrap_or(Err(NotKept::Away));
        opened.map_err(|not_kept| match not_kept {
            NotKept::Full { wait } => Refusal::TooManySessions {
                id: asked,
                retry_after_seconds: seconds_to_wait(wait),
            },
            NotKept::Away => Refusal::NoSessionNow { id: asked },
        })
    }

    /// Has a session kept that nobody knows of yet, and records it.
    async fn begin(
        &self,
        id: Box<str>,
        kept: Arc<Kept>,
        lease: Lease,
    ) -> Result<Box<str>, NotKept> {
        self.keeper.reachable().map_err(|_| NotKept::Away)?;
        let opened = self.keeper.open(&id, &kept, &self.bounds).await;
        if opened == Err(NotKept::Away) {
            self.unsure.remember(id.clone(), kept.caller.clone());
        }
        opened?;
        let signed = kept.event(Kind::SessionOpen);
        let here = self.of(kept, lease);
        let here = Here {
            is_opened_here: true,
            ..here
        };
        self.here().insert(id.clone(), here);
        self.audit.record(signed).await;
        Ok(id)
    }

    fn of(&self, kept: Arc<Kept>, lease: Lease) -> Here {
        Here {
            kept,
            lease,
            is_opened_here: false,
            is_untold: false,
            ended: self.drain.over().child_token(),
            users: 0,
            used: Instant::now(),
        }
    }

    /// Takes part in a session that was found just now.
    fn join(self: &Arc<Self>, bound: &Bound) -> Part {
        let id = &bound.id;
        let mut here = self.here();
        let here = here.entry(id.clone());
        let here = here.or_insert_with(|| self.of(bound.kept.clone(), bound.lease.clone()));
        here.users += 1;
        here.used = Instant::now();
        Part {
            sessions: self.clone(),
            id: id.clone(),
            ended: here.ended.clone(),
        }
    }

    /// Finds a session. To its owner asking is use.
    async fn find(&self, id: &str, caller: &Caller) -> Result<Lookup, Away> {
        let found = self.keeper.find(id, caller, &self.bounds).await?;
        if let (Lookup::Theirs(_), Some(here)) = (&found, self.here().get_mut(id)) {
            here.used = Instant::now();
        }
        Ok(found)
    }

    fn here(&self) -> MutexGuard<'_, HashMap<Box<str>, Here>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bound {
    /// As the protocol library wants to know the client.
    fn known_as(&self) -> InitializeRequestParams {
        self.kept.known_as()
    }

    /// Takes part, to hear of the end.
    pub(super) fn join(&self) -> Part {
        self.sessions.join(self)
    }

    /// Begins a call of this session.
    ///
    /// # Errors
    /// 400 while another call with this id runs.
    pub(super) fn begin(&self, call: &Call, id: RequestId) -> Result<Running, Refusal> {
        let over = self.sessions.drain.over();
        let running = self.sessions.calls.begin(&self.id, id, over);
        running.ok_or_else(|| Refusal::Unreadable {
            code: -32600,
            id: call.id.clone(),
            problem: ID_IN_USE,
        })
    }

    /// Whether it still is the caller's; asking is use. Without Redis it is until somebody knows.
    async fn goes_on(&self) -> bool {
        let found = self.sessions.find(&self.id, &self.caller);
        !matches!(found.await, Ok(Lookup::Nothing | Lookup::Anothers))
    }
}

impl Part {
    pub(super) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut all = self.sessions.here();
        let Some(here) = all.get_mut(&self.id) else {
            return;
        };
        here.users = here.users.saturating_sub(1);
        if here.users == 0 && !here.is_opened_here {
            all.remove(&self.id);
        }
    }
}

/// Asks Redis about each, about many at the same time. The answers stand in the order of the questions.
async fn ask_each<'a, T, F: Future>(all: &'a [T], ask: impl Fn(&'a T) -> F) -> Vec<F::Output> {
    let mut answers = Vec::with_capacity(all.len());
    for some in all.chunks(AT_ONCE) {
        answers.extend(join_all(some.iter().map(&ask)).await);
    }
    answers
}

/// What the log calls a session: the id itself would let a reader of the log try to use it.
pub(super) fn label(id: &str) -> Arc<str> {
    let digest = Sha256::digest(id.as_bytes());
    let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    hex.collect::<String>().into()
}

/// The header that names a session.
pub(super) const ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// What Redis is asked at the same time.
const AT_ONCE: usize = 100;

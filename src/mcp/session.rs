//! Sessions of `/mcp`, for clients of the older revisions that want them: an id, bound to the caller
//! who was given it. What a session has to be known by is a few words, so that every instance that
//! shares Redis can answer the next message of any session; nothing runs while nothing is asked.

mod calls;
mod cancel;
mod door;
mod exchange;
mod kept;
mod shared;
mod unsure;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::HeaderName;
use rmcp::model::{ClientCapabilities, InitializeRequestParams, ProtocolVersion, RequestId};
use secrecy::SecretSlice;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::{
    calls::Calls,
    kept::{Away, Bounds, EXPIRED, Keeper, Kept, Lookup, NotKept, Own},
    shared::Shared,
    unsure::Unsure,
};
use super::{Config, handler::ID_IN_USE, legacy_sse::Sessions};
use crate::{
    audit::{Audit, Event, Kind},
    auth::{Caller, Lapse, Lease},
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
    /// The other room of streams: both have the same caps.
    streams: Arc<Sessions>,
    config: Config,
    audit: Audit,
    drain: Drain,
}

/// What this instance has of a session.
struct Here {
    /// Where it was opened its end is recorded.
    opened: Option<Opened>,
    /// Ends the streams that are open of it.
    ended: CancellationToken,
    /// Streams and calls.
    users: usize,
    owner: Arc<Caller>,
    /// When the keeper last heard that it is used.
    used: Instant,
}

struct Opened {
    lease: Lease,
    caller: Arc<Caller>,
    signed: Event,
    too_old: Instant,
}

/// The session that a message belongs to.
pub(super) struct Bound {
    pub(super) id: Box<str>,
    caller: Arc<Caller>,
    kept: Arc<Kept>,
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
            streams,
            config: config.clone(),
            audit,
            drain,
        })
    }

    /// Opens a session of the caller's and says its id.
    async fn open(
        &self,
        (caller, lease): (Arc<Caller>, Lease),
        mut peer: Peer,
        (revision, capabilities): (ProtocolVersion, ClientCapabilities),
        asked: Option<Box<RawValue>>,
    ) -> Result<Box<str>, Refusal> {
        // Two times 122 random bits; and an id alone opens nothing, since its owner is checked.
        let halves = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()];
        let id: Box<str> = halves.map(|half| half.simple().to_string()).concat().into();
        let kept = Kept {
            caller: Caller::clone(&caller),
            revision,
            capabilities,
        };
        if let Err(not_kept) = self.keeper.open(&id, kept, &self.bounds).await {
            return Err(match not_kept {
                NotKept::Full { wait } => Refusal::TooManySessions {
                    id: asked,
                    retry_after_seconds: seconds_to_wait(wait),
                },
                NotKept::Away => {
                    self.unsure.remember(id, caller);
                    Refusal::NoSessionNow { id: asked }
                }
            });
        }
        peer.session = Some(label(&id));
        let signed = caller.sign(peer.sign(Event::new(Kind::SessionOpen)));
        let opened = Opened {
            lease,
            caller: caller.clone(),
            signed: signed.clone(),
            too_old: Instant::now() + self.bounds.age,
        };
        let here = Here {
            opened: Some(opened),
            ended: self.drain.over().child_token(),
            users: 0,
            owner: caller,
            used: Instant::now(),
        };
        self.here().insert(id.clone(), here);
        self.audit.record(signed).await;
        Ok(id)
    }

    /// Takes part in a session that was found just now.
    fn join(self: &Arc<Self>, id: &str, owner: &Arc<Caller>) -> Part {
        let mut here = self.here();
        let here = here.entry(id.into()).or_insert_with(|| Here {
            opened: None,
            ended: self.drain.over().child_token(),
            users: 0,
            owner: owner.clone(),
            used: Instant::now(),
        });
        here.users += 1;
        here.used = Instant::now();
        Part {
            sessions: self.clone(),
            id: id.into(),
            ended: here.ended.clone(),
        }
    }

    /// Ends a session everywhere: here at once, elsewhere when the others look.
    async fn end(&self, id: &str, owner: &Caller, reason: &str) -> Result<(), Away> {
        self.keeper.end(id, owner, reason).await?;
        self.look(&[id.into()]).await;
        Ok(())
    }

    /// Looks after what this instance has of sessions, until the streams have to end.
    pub async fn keep(self: Arc<Self>) {
        let every = LOOK.min(self.bounds.idle / 4);
        loop {
            tokio::select! {
                () = self.drain.streams().cancelled() => break,
                () = sleep(every) => {}
            }
            self.end_lapsed().await;
            self.unsure.end(&self.keeper, self.bounds.idle).await;
            self.use_again().await;
            let ids: Vec<Box<str>> = self.here().keys().cloned().collect();
            for ids in ids.chunks(AT_ONCE) {
                self.look(ids).await;
            }
        }
        // What all instances know goes on without this one.
        if !self.keeper.is_shared() {
            let ids: Vec<Box<str>> = self.here().keys().cloned().collect();
            for id in ids {
                self.ended(&id, "ended").await;
            }
        }
    }

    /// Ends the sessions of credentials that were taken away. A token just ends, and its successor
    /// goes on with the session.
    async fn end_lapsed(&self) {
        let mut lapsed = Vec::new();
        for (id, here) in self.here().iter() {
            let opened = here.opened.as_ref();
            let lapse = opened.and_then(|opened| Some((opened, opened.lease.lapse()?)));
            if let Some((opened, lapse)) = lapse.filter(|(_, lapse)| !is_renewed(*lapse)) {
                lapsed.push((id.clone(), opened.caller.clone(), lapse));
            }
        }
        for (id, caller, lapse) in lapsed {
            // Without Redis it is tried again.
            let _ = self.end(&id, &caller, lapse.reason()).await;
        }
    }

    /// Nobody's session is idle while a call of it runs.
    async fn use_again(&self) {
        for (id, owner) in self.used_for_long() {
            // Without Redis it is tried again.
            let _ = self.find(&id, &owner).await;
        }
    }

    /// Where something has run for a while without a word to the keeper.
    fn used_for_long(&self) -> Vec<(Box<str>, Arc<Caller>)> {
        let due = self.bounds.idle / 3;
        let here = self.here();
        let used = here.iter();
        let used = used.filter(|(_, here)| here.users > 0 && here.used.elapsed() >= due);
        used.map(|(id, here)| (id.clone(), here.owner.clone()))
            .collect()
    }

    /// Finds a session. To its owner asking is use.
    async fn find(&self, id: &str, caller: &Caller) -> Result<Lookup, Away> {
        let found = self.keeper.find(id, caller, &self.bounds).await?;
        if let (Lookup::Theirs(_), Some(here)) = (&found, self.here().get_mut(id)) {
            here.used = Instant::now();
        }
        Ok(found)
    }

    async fn look(&self, ids: &[Box<str>]) {
        let Ok(ends) = self.keeper.look(ids, &self.bounds).await else {
            return;
        };
        for (id, why) in ids.iter().zip(ends).filter(|(_, why)| !why.is_empty()) {
            self.ended(id, &why).await;
        }
    }

    /// Ends what is here of a session that has ended, and records it where it was opened.
    async fn ended(&self, id: &str, why: &str) {
        let Some(here) = self.here().remove(id) else {
            return;
        };
        here.ended.cancel();
        // What was asked while it lasted is answered, unless its caller ended it or may call no more.
        if ![EXPIRED, "ended"].contains(&why) {
            self.calls.stop(id, why);
        }
        let Some(opened) = here.opened else {
            return;
        };
        let is_old = why == EXPIRED && Instant::now() >= opened.too_old;
        let why = if is_old { "too_old" } else { why };
        let event = Event {
            kind: Kind::SessionClose,
            reason: Some(why.to_owned().into()),
            ..opened.signed
        };
        self.audit.record(event).await;
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
        self.sessions.join(&self.id, &self.caller)
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
        if here.users == 0 && here.opened.is_none() {
            all.remove(&self.id);
        }
    }
}

/// Whether the caller is about to bring another of the kind.
const fn is_renewed(lapse: Lapse) -> bool {
    matches!(lapse, Lapse::Token(_))
}

/// What the log calls a session: the id itself would let a reader of the log try to use it.
pub(super) fn label(id: &str) -> Arc<str> {
    let digest = Sha256::digest(id.as_bytes());
    let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    hex.collect::<String>().into()
}

/// The header that names a session.
pub(super) const ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// How often it is asked which sessions have ended elsewhere.
const LOOK: Duration = Duration::from_secs(2);
/// Sessions that Redis is asked about in one go.
const AT_ONCE: usize = 500;

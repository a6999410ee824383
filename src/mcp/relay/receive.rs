//! The side that holds the stream: it takes letters, sends each through the guards that a message
//! goes through here, and writes back what they answered.

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Response},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tower::ServiceExt as _;

use super::{
    super::{
        legacy_sse::{Session, Sessions, in_band},
        session::HttpSessions,
    },
    RETRY, Relay,
    letter::{Answer, Letter, Post},
    seen::Seen,
};
use crate::{
    auth::{Gate, Lease},
    listen::Peer,
    refusal::Refusal,
};

/// Where a message goes whose caller and session are known.
#[derive(Clone)]
pub struct Walk {
    /// The guards that are left, and what is behind them.
    pub routes: Router,
    /// Answers for callers.
    pub auth: Arc<Gate>,
    /// Sessions of `/mcp`, where they are on.
    pub http_sessions: Option<Arc<HttpSessions>>,
}

impl Relay {
    /// Takes what is for this instance and says that it lives, for as long as it does.
    pub async fn keep(self: Arc<Self>, sessions: Arc<Sessions>, walk: Walk) {
        tokio::join!(self.live(), Arc::clone(&self).take(&sessions, walk));
    }

    async fn take(self: Arc<Self>, sessions: &Arc<Sessions>, walk: Walk) {
        let mut inbox = self.store.inbox(super::queue_key(&self.instance));
        let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let (mut seen, mut complaint) = (Seen::default(), None::<Instant>);
        loop {
            let sealed = match inbox.next().await {
                Ok(Some(sealed)) => sealed,
                Ok(None) => continue,
                Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            let post = match self.read(&sealed) {
                Some(Letter::Answer(answer)) => {
                    self.deliver(answer);
                    continue;
                }
                Some(Letter::Cancel(cancel)) if cancel.is_fresh() && seen.is_new(cancel.id) => {
                    if let Some(sessions) = &walk.http_sessions {
                        let call = (&cancel.call, cancel.by);
                        sessions.cancel(&cancel.session, &cancel.caller, call);
                    }
                    continue;
                }
                Some(Letter::Post(post)) if post.is_fresh() && seen.is_new(post.id) => post,
                stale_or_foreign => {
                    complain(&mut complaint, stale_or_foreign.is_some());
                    continue;
                }
            };
            // Without a place nobody answers, and the other side says that the session is away.
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                let (relay, sessions) = (Arc::clone(&self), Arc::clone(sessions));
                let walk = walk.clone();
                tokio::spawn(async move {
                    if relay.take_up(post.id).await {
                        relay.answer(&sessions, &walk, *post).await;
                    } else {
                        not_taken();
                    }
                    drop(place);
                });
            }
        }
    }

    fn read(&self, sealed: &[u8]) -> Option<Letter> {
        serde_json::from_slice(&self.seal.open(&self.instance, sealed)?).ok()
    }

    async fn answer(&self, sessions: &Sessions, walk: &Walk, post: Post) {
        let (id, from) = (post.id, post.from.clone());
        let response = match sessions.find(&post.session, &post.caller) {
            None => Refusal::NoSession.into_response(),
            Some(session) => match session.relayed().try_acquire_owned() {
                Err(_) => Refusal::TooManyOpen.into_response(),
                Ok(_place) => through(walk, &session, post).await,
            },
        };
        let answer = Letter::Answer(Answer::of(id, response).await);
        // Whoever waits has waited long enough when this is lost.
        let _ = self.post(&from, &answer).await;
    }
}

/// As the message would have gone had it come here at once.
async fn through(walk: &Walk, session: &Arc<Session>, mut post: Post) -> Response {
    // A name for logs is this instance's own business.
    post.caller.user_in_log = session.owner().user_in_log.clone();
    let caller = Arc::new(post.caller.clone());
    let peer = Peer::relayed(post.ip, post.request_id, session.label());
    let mut request = post.into_request();
    let extensions = request.extensions_mut();
    extensions.insert(Lease::new(walk.auth.clone(), caller.clone()));
    extensions.insert(caller);
    extensions.insert(peer);
    extensions.insert(session.clone());
    let answered = walk.routes.clone().oneshot(request).await;
    let Ok(response) = answered;
    in_band(session, response)
}

fn not_taken() {
    metrics::counter!("zoho_mcp_relayed_total", "outcome" => "not_taken").increment(1);
}

/// Once a minute at most, since whoever can write to Redis could fill the log.
fn complain(last: &mut Option<Instant>, is_ours: bool) {
    not_taken();
    if last.is_some_and(|last| last.elapsed().as_secs() < 60) {
        return;
    }
    *last = Some(Instant::now());
    match is_ours {
        true => tracing::warn!(
            "a message of another instance was too old, or came twice, and was not taken; compare \
             the clocks of the instances"
        ),
        false => tracing::warn!(
            "what came over Redis for a session was not written by an instance with this \
             zoho.token_key, and was not taken; give all instances the same key, and look at who \
             can write to Redis"
        ),
    }
}

/// Letters that are worked on.
const MOST_AT_ONCE: usize = 512;

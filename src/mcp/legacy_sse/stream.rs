//! The stream of a session: where to post to, then messages, and comments while nothing happens.

use std::{convert::Infallible, sync::Arc};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, timeout_at};

use super::session::{Opened, Sessions};
use crate::audit::{Audit, Event, Kind};

/// The events, until the session ends, grows too old, or the client goes away.
pub(super) fn events(
    sessions: Arc<Sessions>,
    opened: Opened,
    audit: Audit,
    signed: Event,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let until = Instant::now() + sessions.max_age();
    let open = Open {
        sessions,
        opened,
        audit,
        signed,
        until,
        greeted: false,
    };
    stream::unfold(open, |mut open| async move {
        let event = open.next().await?;
        Some((Ok(event), open))
    })
}

struct Open {
    sessions: Arc<Sessions>,
    opened: Opened,
    audit: Audit,
    signed: Event,
    until: Instant,
    greeted: bool,
}

impl Open {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            // Relative, since clients refuse an endpoint of another origin.
            let id = self.opened.session.id();
            return Some(format!("event: endpoint\ndata: /messages?sessionId={id}\n\n").into());
        }
        let quiet = (Instant::now() + self.sessions.keep_alive()).min(self.until);
        let ended = self.opened.session.ended().clone();
        let message = tokio::select! {
            biased;
            message = timeout_at(quiet, self.opened.outbound.recv()) => message,
            () = ended.cancelled() => return None,
        };
        match message {
            Ok(message) => message,
            Err(_) if Instant::now() >= self.until => None,
            Err(_) => Some(Bytes::from_static(b": keep-alive\n\n")),
        }
    }
}

/// Also when the client just goes away: then hyper drops the stream, and this with it.
impl Drop for Open {
    fn drop(&mut self) {
        self.sessions.close(&self.opened.session);
        let event = Event {
            kind: Kind::SessionClose,
            ..self.signed.clone()
        };
        self.audit.record_now(event);
    }
}

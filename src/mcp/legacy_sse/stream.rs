//! The stream of a session: where to post to, then messages, and comments while nothing happens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, timeout_at};

use super::session::{Opened, Sessions};
use crate::{
    audit::{Audit, Event, Kind},
    listen::Drain,
};

/// The events, until the session ends, grows too old, or the client goes away.
pub(super) fn events(
    sessions: Arc<Sessions>,
    opened: Opened,
    (audit, signed): (Audit, Event),
    drain: Drain,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let open = Open {
        sessions,
        opened,
        audit,
        signed,
        drain,
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
    drain: Drain,
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
        let session = self.opened.session.clone();
        loop {
            let now = Instant::now();
            let old = now >= session.until();
            if old && session.owes_nothing() && self.opened.outbound.is_empty() {
                return None;
            }
            let quiet = match old {
                true => now + SETTLING,
                false => (now + self.sessions.keep_alive()).min(session.until()),
            };
            let message = tokio::select! {
                biased;
                message = timeout_at(quiet, self.opened.outbound.recv()) => message,
                () = session.ended().cancelled() => return None,
            };
            match message {
                Ok(message) => return message,
                Err(_) if Instant::now() >= session.until() => {}
                Err(_) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
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
        let audit = self.audit.clone();
        self.drain.see_off(async move { audit.record(event).await });
    }
}

/// How often an old stream looks whether its last calls are answered.
const SETTLING: Duration = Duration::from_millis(100);

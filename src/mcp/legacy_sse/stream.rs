//! The stream of a session: where to post to, then messages, and comments while nothing happens.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, timeout_at};

use super::session::{Opened, Sessions};
use crate::{
    audit::{Audit, Event, Kind},
    auth::{Lapse, Lease},
};

/// The events, until the session ends, grows too old, the caller's credential lapses, or the
/// client goes away.
pub(super) fn events(
    sessions: Arc<Sessions>,
    opened: Opened,
    lease: Lease,
    (audit, signed): (Audit, Event),
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let until = Instant::now() + sessions.max_age();
    let open = Open {
        sessions,
        opened,
        audit,
        signed,
        until,
        lapsed: Box::pin(lease.lapsed()),
        greeted: false,
        reason: "disconnected",
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
    lapsed: Pin<Box<dyn Future<Output = Lapse> + Send>>,
    greeted: bool,
    /// Why it ends, for the log.
    reason: &'static str,
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
            () = ended.cancelled() => return self.end("ended"),
            lapse = &mut self.lapsed => return self.end(lapse.reason()),
        };
        match message {
            Ok(message) => message,
            Err(_) if Instant::now() >= self.until => self.end("too_old"),
            Err(_) => Some(Bytes::from_static(b": keep-alive\n\n")),
        }
    }

    fn end(&mut self, reason: &'static str) -> Option<Bytes> {
        self.reason = reason;
        None
    }
}

/// Also when the client just goes away: then hyper drops the stream, and this with it.
impl Drop for Open {
    fn drop(&mut self) {
        self.sessions.close(&self.opened.session);
        let event = Event {
            kind: Kind::SessionClose,
            reason: Some(self.reason.into()),
            ..self.signed.clone()
        };
        let audit = self.audit.clone();
        tokio::spawn(async move { audit.record(event).await });
    }
}

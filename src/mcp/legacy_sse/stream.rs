//! The stream of a session: where to post to, then messages, and comments while nothing happens.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::time::{Instant, timeout_at};

use super::session::{Opened, Sessions};
use crate::{
    audit::{Audit, Event, Kind},
    auth::{Lapse, Lease},
    listen::Drain,
};

/// The events, until the session ends, grows too old, the caller's credential lapses, or the
/// client goes away.
pub(super) fn events(
    sessions: Arc<Sessions>,
    opened: Opened,
    lease: Lease,
    (audit, signed): (Audit, Event),
    drain: Drain,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let open = Open {
        sessions,
        opened,
        audit,
        signed,
        lapsed: Box::pin(lease.lapsed()),
        drain,
        greeted: false,
        lapse: None,
        reason: DISCONNECTED,
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
    lapsed: Pin<Box<dyn Future<Output = Lapse> + Send>>,
    drain: Drain,
    greeted: bool,
    /// Why its caller is not believed any more, and how long its last answers are waited for.
    lapse: Option<(&'static str, Instant)>,
    /// Why it ends, for the log.
    reason: &'static str,
}

impl Open {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            // The first message may reach another instance.
            if let Some(relay) = self.sessions.relay() {
                relay.announced().await;
            }
            // Relative, since clients refuse an endpoint of another origin.
            let id = self.opened.session.id();
            return Some(format!("event: endpoint\ndata: /messages?sessionId={id}\n\n").into());
        }
        let session = self.opened.session.clone();
        loop {
            let now = Instant::now();
            let old = (now >= session.until()).then_some(("too_old", None));
            let lapse = self.lapse.map(|(reason, last)| (reason, Some(last)));
            let settles = lapse.or(old);
            if let Some((reason, last)) = settles {
                let is_done = session.owes_nothing() && self.opened.outbound.is_empty();
                if is_done || last.is_some_and(|last| now >= last) {
                    return self.end(reason);
                }
            }
            let quiet = match settles.is_some() {
                true => now + SETTLING,
                false => (now + self.sessions.keep_alive()).min(session.until()),
            };
            let message = tokio::select! {
                biased;
                lapse = &mut self.lapsed, if self.lapse.is_none() => {
                    session.lapse(lapse);
                    let last = Instant::now() + self.sessions.last_answers(lapse);
                    self.lapse = Some((lapse.reason(), last));
                    continue;
                }
                message = timeout_at(quiet, self.opened.outbound.recv()) => message,
                () = session.ended().cancelled() => return self.end("ended"),
            };
            match message {
                Ok(message) => return message,
                Err(_) if settles.is_some() || Instant::now() >= session.until() => {}
                Err(_) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
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
        let why = Some(self.reason).filter(|why| *why != DISCONNECTED);
        self.sessions.close(&self.opened.session, why);
        let event = Event {
            kind: Kind::SessionClose,
            reason: Some(self.reason.into()),
            ..self.signed.clone()
        };
        let audit = self.audit.clone();
        self.drain.see_off(async move { audit.record(event).await });
    }
}

/// Its client went away.
const DISCONNECTED: &str = "disconnected";
/// How often an old stream looks whether its last calls are answered.
const SETTLING: Duration = Duration::from_millis(100);

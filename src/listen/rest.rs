//! The rest of a request that was answered before it was read to its end. A connection that is closed
//! in the middle of it loses the answer, and whatever request comes behind; and who is answered
//! early, a stranger perhaps, may share the connection with others, behind a load balancer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// A body that comes back when nobody has read it to its end.
pub(super) struct Lent {
    body: Option<Incoming>,
    back: Rest,
}

/// What was left of it.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

pub(super) fn lend(body: Incoming) -> (Lent, Rest) {
    let back = Rest::default();
    let lent = Lent {
        body: Some(body),
        back: back.clone(),
    };
    (lent, back)
}

impl Rest {
    /// Lets who is still sending come to an end, and drops what comes; not for long. False when there
    /// is more. One that `waits` to be asked for the body sends none.
    pub(super) async fn has_passed(&self, waits: bool) -> bool {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left else {
            return true;
        };
        if waits {
            return false;
        }
        let passing = async {
            let mut passed = 0;
            while let Some(frame) = body.frame().await {
                passed += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if passed > MOST {
                    return None;
                }
            }
            Some(())
        };
        matches!(timeout(PATIENCE, passing).await, Ok(Some(())))
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.body.as_ref().map_or_else(none, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| !body.is_end_stream());
        *self.back.0.lock().unwrap_or_else(PoisonError::into_inner) = unread;
    }
}

/// Bytes.
const MOST: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(1);
